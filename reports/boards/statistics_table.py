"""Where each network stands, with what patients' scores can and can't tell."""

from __future__ import annotations

from dataclasses import replace

from benchmark.metrics import METRICS, Metric
from benchmark.statistics import PairTest, Standing
from reports.boards.caption import title
from reports.boards.standings import context_of
from reports.sentences import UNITS, Shown, p_text
from reports.sides import named
from reports.subject import Subject, slug
from reports.tables.table import Cell, Column, Row, Table

STATISTIC = METRICS["dice_patient"]
"""The score that is resampled and tested, unless another is asked for."""


def statistics_table(
    subject: Subject, metric: Metric = STATISTIC, baseline: str | None = None
) -> Table | None:
    """Means, ranks and differences with their intervals, and tests.

    Args:
        subject: The comparison.
        metric: What the rows are compared by.
        baseline: The row that the others are tested against; the best by default, which is chosen
            on the same data: the caption says so.

    Returns:
        The rows from best to worst; None for fewer than two rows or patients.
    """
    analysis = subject.analysis
    standings = analysis.standings(metric, baseline)
    if len(standings) < 2:
        return None
    against = baseline if baseline in analysis.rows else standings[0].row
    tests = {test.first: test for test in analysis.tests(metric, against)}
    shown, target = Shown(metric), subject.comparison.targets[0]
    columns = (
        replace(shown.column("mean", metric.title), shows="interval"),
        Column("rank_interval", "Rank, 95 %", style="text"),
        Column("first", "P(first)"),
        shown.column("difference", f"Minus {against}", difference=True),
        shown.end("difference_low", "95 % from"),
        shown.end("difference_high", "to"),
        Column("p_holm", "p (Holm)"),
        Column("rank_biserial", "Rank-biserial", brief=False),
    )
    rows = [_row(each, tests.get(each.row), shown) for each in standings]
    return Table(
        name=slug(f"statistics-{subject.name}-{metric.key}"),
        title=f"{metric.title} of patients: {title(subject.comparison, target)}",
        columns=columns,
        rows=tuple(rows),
        caption=_caption(subject, metric, against, declared=baseline is not None),
        notes=analysis.skipped,
        context={**context_of(subject.comparison, target), "metric": metric.key},
    )


def _row(standing: Standing, test: PairTest | None, shown: Shown) -> Row:
    mean, rank = standing.mean, standing.rank
    low, high = int(rank.low), int(rank.high)
    ends = f"{low}" if low == high else f"{low} to {high}"
    difference = test.difference if test else None
    return Row(
        standing.row,
        (
            Cell(
                mean.estimate,
                interval=(mean.low, mean.high),
            ),
            Cell(ends),
            Cell(standing.first),
            *(
                Cell(end)
                for end in (
                    (difference.estimate, difference.low, difference.high)
                    if difference
                    else (None, None, None)
                )
            ),
            Cell(test.p_holm, text=p_text(test.p_holm).removeprefix("= ")) if test else Cell(),
            Cell(test.biserial if test else None),
        ),
        rank=int(rank.estimate),
    )


def _caption(subject: Subject, metric: Metric, against: str, *, declared: bool) -> str:
    """What was resampled and tested, and what Friedman's test says of all rows."""
    analysis = subject.analysis
    side = analysis.sides[0]
    resampled = analysis.resampled(metric)
    assert resampled is not None, "there are standings"
    unit = UNITS[resampled.unit]
    many = len(analysis.rows) - 1
    sentences = [
        f"Over {resampled.n} {unit} ({named('fold', side.folds)}; {named('seed', side.seeds)}"
        f"{', averaged' if len(side.seeds) > 1 else ''}).",
        "Intervals: paired bootstrap, 10,000 resamples, the same for all rows. Rank: the middle "
        "95 % of its resampled ranks; P(first): share of the resamples in which it is the best.",
        f"p: Wilcoxon signed-rank test against {against}, Holm's correction for {many} "
        "comparisons.",
    ]
    if not declared:
        sentences.append(
            f"{against} was chosen as the best on these data, which makes differences to it look "
            "larger than they are; --baseline declares another before looking."
        )
    test = analysis.friedman(metric)
    if test is not None:
        sentences.append(
            f"Friedman's test over all {len(analysis.rows)} rows: chi-square "
            f"{test.statistic:.1f}, p {p_text(test.p)}"
            + ("." if test.p < 0.05 else ": no row is shown to differ from the others.")
        )
    if len(side.seeds) == 1:
        sentences.append(
            "One training each: how much another seed changes is not in these numbers."
        )
    return " ".join(sentences)
