"""Rows under two protocols: what each gains, and which ranks move."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from benchmark.metrics import Metric
from benchmark.statistics import Agreement, PairTest, agreement, pair_tests
from reports.chosen import Place
from reports.comparing.compare import resample
from reports.sentences import UNITS, Shown, differences, notes, p_text, scored
from reports.sides import Side, check_paired, scores_of
from reports.tables.table import Cell, Column, Row, Table
from zoo.errors import CovbenchError

Pair = tuple[str, Side, Side]


def protocol_sides(first: Place, second: Place, row: str) -> tuple[Side, Side]:
    """One row under two protocols.

    Raises:
        CovbenchError: It has no runs under one of them.
    """
    found = []
    for each in (first, second):
        side = each.side(row, f"{row} ({each.protocol})")
        if side is None:
            raise CovbenchError(
                f"{row} has no runs under {each.protocol} on {each.spec.dataset}.",
                f"Rows under it: {', '.join(each.rows)}.",
            )
        found.append(side)
    return found[0], found[1]


def ranking_table(
    first: Place,
    second: Place,
    metric: Metric,
    *,
    resample_seeds: bool = False,
) -> Table:
    """All rows that two protocols share: the differences, the ranks, and Kendall's tau.

    Rows whose folds and seeds are not those of most rows are left out and named.

    Args:
        first: Runs under the one protocol.
        second: Runs under the other; differences are this one minus the first.
        metric: What they are compared by.
        resample_seeds: Whether intervals are about new trainings, too.

    Returns:
        One table, by the ranks under the first protocol; its caption is whole sentences.

    Raises:
        CovbenchError: Fewer than two rows can be compared.
    """
    pairs, skipped = _pairs(first, second)
    sides = [side for _, *own in pairs for side in own]
    names, labels, others = zip(*((row, a.label, b.label) for row, a, b in pairs), strict=True)
    scores = scores_of(sides, metric)
    drawn = resample(scores, metric, resample_seeds)
    tests = pair_tests(scores, list(zip(others, labels, strict=True)), resampled=drawn)
    found = agreement(drawn, labels, others, names)
    shown = Shown(metric)
    protocols = first.protocol, second.protocol
    rows = [
        _row(place, test, found, [drawn.mean(each).estimate for each in (test.second, test.first)])
        for place, test in enumerate(tests)
    ]
    dataset, what = first.spec.dataset, scored(first.spec)
    name = re.sub(r"[^A-Za-z0-9-]+", "-", f"ranks-{dataset}-{'-'.join(protocols)}-{metric.key}")
    return Table(
        name,
        f"{metric.title} on {dataset}{what} under {protocols[0]} and {protocols[1]}",
        (
            shown.column("first", protocols[0]),
            shown.column("second", protocols[1]),
            shown.column("difference", "Second minus first", difference=True),
            shown.end("low", "95 % from"),
            shown.end("high", "to"),
            Column("p_holm", "p (Wilcoxon, Holm)"),
            Column("rank_first", "Rank", style="count"),
            Column("rank_second", "Rank then", style="count"),
            Column("moved", "Moved", style="count"),
        ),
        tuple(sorted(rows, key=lambda row: row.cells[6].number or 0)),
        _caption(found, scores.values.shape[2], drawn.n, UNITS[scores.unit], len(tests)),
        (
            *skipped,
            *notes(sides, scores, drawn, resample_seeds),
            *differences(
                *(replace(one, label=at) for one, at in zip(sides, protocols, strict=False))
            ),
        ),
        {"dataset": dataset, "metric": metric.key, "protocols": ",".join(protocols)},
    )


def _pairs(first: Place, second: Place) -> tuple[list[Pair], list[str]]:
    """The rows that can stand in one ranking, and sentences on those that can't."""
    pairs: list[Pair] = []
    problems = []
    for row in sorted({*first.rows} & {*second.rows}):
        one, other = protocol_sides(first, second, row)
        try:
            check_paired(one, other)
        except CovbenchError as error:
            problems.append(error.problem)
        else:
            pairs.append((row, one, other))
    counted = Counter(frozenset(one.runs) for _, one, _ in pairs)
    usual = max(counted, key=lambda runs: (counted[runs], len(runs)), default=frozenset())
    kept = [pair for pair in pairs if pair[1].runs.keys() == usual]
    problems += [
        f"{row} is left out of the ranking, since most rows have other runs: {one}."
        for row, one, _ in pairs
        if one.runs.keys() != usual
    ]
    if len(kept) < 2:
        where = f"{first.protocol} and {second.protocol}"
        raise CovbenchError(
            " ".join([f"Only {len(kept)} rows can be ranked under {where}.", *problems[:1]]),
            "Run two or more networks under both, on the same folds and seeds.",
        )
    return kept, problems


def _row(place: int, test: PairTest, found: Agreement, means: Sequence[float]) -> Row:
    one, other = found.first[place], found.second[place]
    ends = test.difference.estimate, test.difference.low, test.difference.high
    cells = (
        *map(Cell, (*means, *ends)),
        Cell(test.p_holm, text=p_text(test.p_holm).removeprefix("= ")),
        Cell(one),
        Cell(other),
        Cell(one - other, text=f"{one - other:+d}" if one != other else "0"),
    )
    return Row(found.rows[place], cells)


def _caption(found: Agreement, images: int, n: int, units: str, rows: int) -> str:
    """Kendall's tau and the ranks that move, on how much."""
    moved = [
        f"{row} from {one} to {other}"
        for row, one, other in zip(found.rows, found.first, found.second, strict=True)
        if one != other
    ]
    tau = found.tau
    told = (
        f"Kendall's tau of the two orders is {tau.estimate:.2f} (95 % of the resamples: "
        f"{tau.low:.2f} to {tau.high:.2f}). "
        if tau.estimate == tau.estimate
        else "Kendall's tau is undefined: under one protocol all rows are equal. "
    )
    return (
        f"{rows} networks over {n} {units} with {images} test images. {told}"
        + (f"Ranks that move: {', '.join(moved)}. " if moved else "No rank moves. ")
        + f"Differences by paired bootstrap, 10,000 resamples, the same for all rows; p of the "
        f"Wilcoxon signed-rank test with Holm's correction for {rows} comparisons."
    )
