"""Every two rows of a comparison beside each other, as `covbench compare` would have them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

from benchmark.metrics import METRICS, Metric
from benchmark.statistics import Interval, Resampled, Scores, bootstrap, unit_scores
from reports.analysis import Analysis
from reports.sentences import UNITS, Shown
from zoo.errors import CovbenchError

COMPARED = ("dice_patient", "dice_slice", "hd95_patient_px")
"""What two rows are compared by; the first is what `covbench compare` takes by default."""

Defined = frozenset[str]
Pair = tuple[str, str]
Numbers = list[float | int | None]


def pairs_data(analysis: Analysis) -> dict[str, Any] | None:
    """All pairs of the rows that can be paired, by each metric.

    Args:
        analysis: The rows, with their scores by patient.

    Returns:
        The rows' labels and, for each metric, what `_by_metric` gives; None where there are fewer
        than two rows or units.
    """
    if len(analysis.sides) < 2:
        return None
    found = [made for key in COMPARED if (made := _by_metric(analysis, METRICS[key])) is not None]
    return {"rows": list(analysis.rows), "metrics": found} if found else None


def _by_metric(analysis: Analysis, metric: Metric) -> dict[str, Any] | None:
    """The scores of all units, and the difference of each pair, in percent or pixels.

    `values` are by row and unit, null where undefined. `pairs` are in the order of
    `itertools.combinations`, each as `_pairs` gives it, or null where two rows share fewer than
    two units.
    """
    try:
        scores = analysis.scores(metric)
    except CovbenchError:
        return None
    own = {row: unit_scores(_only(scores, [row])) for row in scores.rows}
    shown = Shown(metric)
    defined = {row: frozenset(units.names) for row, units in own.items()}
    pairs = _pairs(analysis, metric, scores, defined, shown)
    if not pairs:
        return None
    names = sorted(frozenset().union(*defined.values()))
    values = []
    for units in own.values():
        by_name = dict(zip(units.names, units.values[0], strict=True))
        values.append([_rounded(by_name.get(name), shown, 4) for name in names])
    return {
        "key": metric.key,
        "title": metric.title,
        "over": "images" if scores.average == "slice" else _word(scores),
        "unit": shown.unit,
        "step": shown.step,
        "units": _word(scores),
        "names": names,
        "values": values,
        "pairs": [pairs.get(pair) for pair in combinations(scores.rows, 2)],
    }


def _pairs(
    analysis: Analysis,
    metric: Metric,
    scores: Scores,
    defined: dict[str, Defined],
    shown: Shown,
) -> dict[Pair, Numbers]:
    """Every pair as `_pair` gives it, then mean and interval of the first and of the second.

    Pairs that share fewer than two units are left out.

    A pair is resampled over the units that both rows have a score of, whatever the others lack.
    Pairs that share the same units are resampled together.
    """
    alike: dict[Defined, list[Pair]] = {}
    for one, other in combinations(scores.rows, 2):
        alike.setdefault(defined[one] & defined[other], []).append((one, other))
    found: dict[Pair, Numbers] = {}
    # Sets of one size follow each other, since their units are drawn alike, and once.
    for shared, pairs in sorted(alike.items(), key=lambda item: len(item[0])):
        if len(shared) < 2:
            continue
        named = {row for pair in pairs for row in pair}
        rows = [row for row in scores.rows if row in named]
        if len(rows) == len(scores.rows) and all(own == shared for own in defined.values()):
            resampled: Resampled = analysis.bootstrap(metric)
        else:
            resampled = bootstrap(_only(scores, rows))
        means = {row: _three(resampled.mean(row), shown) for row in rows}
        for one, other in pairs:
            found[one, other] = [*_pair(resampled, one, other, shown), *means[one], *means[other]]
    return found


def _pair(resampled: Resampled, one: str, other: str, shown: Shown) -> Numbers:
    """The number of units; the difference and its interval; what is told of it.

    That is the probability that the first is better, and which of the two is told to be: 1, -1, or
    0 for neither.
    """
    difference = resampled.difference(one, other)
    told = 0
    if difference.excludes_zero:
        told = 1 if (difference.estimate > 0) == resampled.higher_is_better else -1
    chance = float(f"{chance_better(resampled, one, other):.4f}")
    return [resampled.n, *_three(difference, shown), chance, told]


def _three(interval: Interval, shown: Shown) -> list[float | None]:
    return [_rounded(each, shown, 2) for each in (interval.estimate, interval.low, interval.high)]


def chance_better(resampled: Resampled, first: str, second: str) -> float:
    """Share of the resamples in which one row is better than another; ties count half.

    Means are rounded to 12 decimals first, as for ranks.
    """
    one, other = (resampled.means[resampled.rows.index(row)].round(12) for row in (first, second))
    better = one > other if resampled.higher_is_better else one < other
    return float((better + 0.5 * (one == other)).mean())


def _only(scores: Scores, rows: list[str]) -> Scores:
    """The scores of some rows."""
    places = [scores.rows.index(row) for row in rows]
    return replace(scores, rows=tuple(rows), values=scores.values[places])


def _word(scores: Scores) -> str:
    """What the units are, in one word."""
    return UNITS[scores.unit].partition(" ")[0]


def _rounded(value: float | None, shown: Shown, digits: int) -> float | None:
    """A number as it is shown, in percent or pixels, so that a page prints the same digits."""
    return None if value is None else float(f"{value * shown.scale + 0.0:.{digits}f}") + 0.0
