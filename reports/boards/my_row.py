"""One row among others: its rank, tests against every other row, and its line for a paper."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.metrics import Metric
from benchmark.statistics import PairTest, Standing
from reports.boards.methods import methods
from reports.boards.rows import Form
from reports.boards.standings import leaderboard
from reports.boards.statistics_table import statistics_table
from reports.sentences import UNITS, Shown
from reports.subject import Subject
from reports.tables.latex import latex_row
from reports.tables.table import Table
from zoo.errors import CovbenchError


@dataclass(frozen=True)
class MyRow:
    """What can be said of one row.

    Attributes:
        label: The row.
        table: The leaderboard that it stands in.
        statistics: Every other row minus this one, with corrected p-values; None where there are
            too few rows or patients.
        latex: Its line of the leaderboard in LaTeX.
        sentences: Rank, interval, and which rows differ.
        methods: The methods section.
    """

    label: str
    table: Table
    statistics: Table | None
    latex: str
    sentences: tuple[str, ...]
    methods: str


def my_row(subject: Subject, label: str, form: Form, metric: Metric) -> MyRow:
    """Set a row among the others of its comparison.

    Args:
        subject: The comparison.
        label: The row.
        form: Columns of the leaderboard, and what stands beside a mean.
        metric: What ranks and tests are by.

    Raises:
        CovbenchError: The row is not part of it.
    """
    table = leaderboard(subject.comparison, subject.comparison.targets[0], form, subject.analysis)
    if label not in [row.label for row in table.rows]:
        raise CovbenchError(
            f"{label} has no runs on {subject.comparison.spec.dataset} under "
            f"{subject.analysis.place.protocol}.",
            "Its runs failed, or are of other data: see `covbench status`.",
        )
    known = label in subject.analysis.rows
    return MyRow(
        label,
        table,
        statistics_table(subject, metric, label) if known else None,
        latex_row(table, label),
        _sentences(subject, label, metric) if known else _alone(subject, label),
        methods(subject),
    )


def _alone(subject: Subject, label: str) -> tuple[str, ...]:
    why = next((each for each in subject.analysis.skipped if each.startswith(label)), "")
    return (f"{label} has no rank: {why or 'its runs have no per-image scores.'}",)


def _sentences(subject: Subject, label: str, metric: Metric) -> tuple[str, ...]:
    analysis = subject.analysis
    standings = analysis.standings(metric)
    if not standings:
        return (f"{label} has no rank: there are too few patients or rows.",)
    own = next(each for each in standings if each.row == label)
    found = [_rank(own, len(standings), subject, Shown(metric), metric)]
    tests = analysis.tests(metric, label)
    if tests:
        found.append(_differing(tests, label, metric))
    return tuple(found)


def _rank(own: Standing, rows: int, subject: Subject, shown: Shown, metric: Metric) -> str:
    resampled = subject.analysis.resampled(metric)
    assert resampled is not None, "there are standings"
    low, high = int(own.rank.low), int(own.rank.high)
    ends = f"{low}" if low == high else f"{low} to {high}"
    return (
        f"{own.row} is number {int(own.rank.estimate)} of {rows} by mean {metric.title} "
        f"({shown.number(own.mean.estimate)} {shown.unit}, {shown.span(own.mean)}; 95 % of the "
        f"resampled ranks: {ends}; best in {100 * own.first:.0f} % of the resamples, over "
        f"{resampled.n} {UNITS[resampled.unit]})."
    )


def _differing(tests: tuple[PairTest, ...], label: str, metric: Metric) -> str:
    """Which rows it is better and worse than, by the corrected test."""
    sure = [test for test in tests if test.p_holm < 0.05]
    sign = 1 if metric.higher_is_better else -1
    # A test's difference is the other row minus this one.
    better = [test.first for test in sure if sign * test.difference.estimate < 0]
    worse = [test.first for test in sure if sign * test.difference.estimate > 0]
    parts = []
    if better:
        parts.append(f"better than {len(better)} ({', '.join(better)})")
    if worse:
        parts.append(f"worse than {len(worse)} ({', '.join(worse)})")
    untold = len(tests) - len(sure)
    if untold:
        parts.append(f"not told from {untold} of the others")
    return (
        f"By the Wilcoxon signed-rank test with Holm's correction for {len(tests)} comparisons (5 "
        f"%) {label} is {'; '.join(parts)}."
    )
