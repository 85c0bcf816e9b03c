"""Two rows beside each other: means, the paired difference, sentences for a paper."""

from __future__ import annotations

import re

from benchmark.metrics import Metric
from benchmark.statistics import Bootstrap, PairTest, Scores, bootstrap, pair_tests, unit_scores
from reports.sentences import (
    UNITS,
    Shown,
    difference_sentences,
    differences,
    means_sentence,
    notes,
    p_text,
    scored,
)
from reports.sides import Side, check_paired, scores_of
from reports.tables.table import Cell, Column, Row, Table
from zoo.errors import CovbenchError


def resample(scores: Scores, metric: Metric, resample_seeds: bool) -> Bootstrap:
    """Resample scores, and tell a user where they are too few.

    Raises:
        CovbenchError: Fewer than two patients have scores, or seeds are to be drawn and there is
            only one.
    """
    if len(unit_scores(scores).names) < 2:
        raise CovbenchError(
            f"Fewer than two {UNITS[scores.unit]} have a defined {metric.title} in every row.",
            "Intervals need two or more: compare over more folds, or with another --metric.",
        )
    if resample_seeds and scores.seeds < 2:
        raise CovbenchError(
            "There is one seed alone: seeds can't be resampled.",
            "Run more: covbench run --seeds 0-2; or leave --resample-seeds out.",
        )
    return bootstrap(scores, resample_seeds=resample_seeds)


def pair_tables(
    first: Side,
    second: Side,
    metric: Metric,
    *,
    resample_seeds: bool = False,
) -> list[Table]:
    """Two sides by one metric.

    Args:
        first: The one side.
        second: The other: differences are the first minus this one.
        metric: What they are compared by.
        resample_seeds: Whether intervals are about new trainings, too.

    Returns:
        A table of means, and one of the difference. Their captions are whole sentences.

    Raises:
        CovbenchError: The two can't be compared.
    """
    check_paired(first, second)
    scores = scores_of((first, second), metric)
    drawn = resample(scores, metric, resample_seeds)
    (test,) = pair_tests(scores, [(first.label, second.label)], resampled=drawn)
    shown = Shown(metric)
    spec = first.records[0].spec
    slug = re.sub(r"[^A-Za-z0-9-]+", "-", f"{first.label}-{second.label}-{metric.key}")
    context = {"dataset": spec.dataset, "metric": metric.key}
    return [
        Table(
            f"means-{slug}",
            f"{metric.title} of {first.label} and {second.label}, {spec.dataset}{scored(spec)}",
            (
                Column("protocol", "Protocol", style="text"),
                shown.column("mean", metric.title),
                shown.end("low", "95 % from"),
                shown.end("high", "to"),
                shown.column("seed_sd", "SD over seeds", difference=True, brief=False),
            ),
            tuple(_mean_row(side, scores, drawn) for side in (first, second)),
            means_sentence(first, second, scores, drawn, shown),
            (
                *notes((first, second), scores, drawn, resample_seeds),
                *differences(first, second),
            ),
            context,
        ),
        Table(
            f"difference-{slug}",
            f"{metric.title}: {first.label} minus {second.label}",
            (
                shown.column("difference", "Difference", difference=True),
                shown.end("low", "95 % from"),
                shown.end("high", "to"),
                shown.column("median", "Median", difference=True, brief=False),
                shown.end("median_low", "95 % from", brief=False),
                shown.end("median_high", "to", brief=False),
                Column("rank_biserial", "Rank-biserial", brief=False),
                Column("p", "p"),
                Column("n", UNITS[test.unit].partition(" ")[0].capitalize(), style="count"),
                Column("unit", "Unit", style="text", brief=False),
                Column("seeds", "Seeds", style="count", brief=False),
            ),
            (_difference_row(test, scores),),
            " ".join(difference_sentences(test, shown, resample_seeds)),
            (),
            context,
        ),
    ]


def _mean_row(side: Side, scores: Scores, drawn: Bootstrap) -> Row:
    import numpy as np

    mean = drawn.mean(side.label)
    units, place = unit_scores(scores), scores.rows.index(side.label)
    spread = float(np.nanstd(units.seed_means[place], ddof=1)) if scores.seeds > 1 else None
    cells = [Cell(each) for each in (mean.estimate, mean.low, mean.high, spread)]
    return Row(side.label, (Cell(side.records[0].spec.protocol), *cells))


def _difference_row(test: PairTest, scores: Scores) -> Row:
    ends = [
        end
        for each in (test.difference, test.median)
        for end in (each.estimate, each.low, each.high)
    ]
    cells = (
        *map(Cell, ends),
        Cell(test.biserial),
        Cell(test.p, text=p_text(test.p).removeprefix("= ")),
        Cell(test.n),
        Cell(test.unit),
        Cell(scores.seeds),
    )
    return Row(f"{test.first} − {test.second}", cells)
