"""From the rows of single images to the scores of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeInt

from benchmark.metrics.cases import is_penalised
from benchmark.metrics.confusion import Confusion
from benchmark.metrics.definitions import INSIDE_LUNG, METRICS, Aggregation, Metric, Unit
from benchmark.protocols.sections import ScoreRule


class InconsistentScores(RuntimeError):
    """Scores that no confusion matrix can have: a fault in covbench or in altered rows."""


class Score(BaseModel):
    """One score of a run, and how many images or patients stand behind it.

    `n`, `undefined` and `penalised` count images where the aggregation is `pooled` or `slice`,
    patients where it is `patient`; `n + undefined` is always all of them.

    Attributes:
        value: The score; None where nothing was defined.
        unit: `fraction`, `px` or `mm`.
        higher_is_better: Whether a larger value is the better one.
        aggregation: `pooled`, `slice` or `patient`.
        n: How many entered.
        undefined: How many were left out because their value is undefined.
        penalised: How many of those that entered hold a value that an empty mask gave them
            (a patient: at least one image).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: FiniteFloat | None
    unit: Unit
    higher_is_better: bool
    aggregation: Aggregation
    n: NonNegativeInt
    undefined: NonNegativeInt
    penalised: NonNegativeInt


# An image or a patient: its value (nan where undefined), and whether an empty mask gave it.
_Item = tuple[float, bool]


def _number(value: Any) -> float:
    """A cell of a row; missing, None and empty text (as CSV has it) are nan."""
    return math.nan if value is None or value == "" else float(value)


def _mean(values: Sequence[float]) -> float:
    """The mean, nan of nothing; rounded once, so that the order of the rows can't matter."""
    return math.fsum(values) / len(values) if values else math.nan


def _score(metric: Metric, value: float, n: int, undefined: int, penalised: int) -> Score:
    """A score with the metric's unit and direction; nan becomes None."""
    return Score(
        value=None if math.isnan(value) else value,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        aggregation=metric.aggregation,
        n=n,
        undefined=undefined,
        penalised=penalised,
    )


def _slices(metric: Metric, rows: Sequence[Mapping[str, Any]], rule: ScoreRule) -> list[_Item]:
    """Every image's value of a metric's column."""
    return [
        (
            _number(row.get(metric.column)),
            is_penalised(str(row["status"]), metric.measure, rule),
        )
        for row in rows
    ]


def _patients(slices: Sequence[_Item], groups: Sequence[str]) -> list[_Item]:
    """Every group's mean over its defined images."""
    defined: dict[str, list[_Item]] = {group: [] for group in groups}
    for group, (value, penalised) in zip(groups, slices, strict=True):
        if not math.isnan(value):
            defined[group].append((value, penalised))
    return [
        (_mean([value for value, _ in own]), any(penalised for _, penalised in own))
        for own in defined.values()
    ]


def pooled_counts(rows: Sequence[Mapping[str, Any]]) -> Confusion:
    """The counts of all images, added up."""
    return Confusion(*(sum(int(row[name]) for row in rows) for name in ("tp", "fp", "fn", "tn")))


def inside_lung(rows: Sequence[Mapping[str, Any]]) -> Score:
    """The share of all images' true foreground inside a cascade's lungs (`INSIDE_LUNG`)."""
    inside = sum(int(row[INSIDE_LUNG.column]) for row in rows)
    foreground = sum(int(row["tp"]) + int(row["fn"]) for row in rows)
    value = inside / foreground if foreground else math.nan
    defined = len(rows) if foreground else 0
    return _score(INSIDE_LUNG, value, defined, len(rows) - defined, 0)


def check_identities(values: Mapping[str, float]) -> None:
    """Makes sure that pooled scores can come from one confusion matrix.

    Jaccard is Dice / (2 - Dice), and accuracy, a weighted mean of sensitivity and specificity,
    lies between them. Published tables break both, where columns were averaged in different ways.

    Args:
        values: `dice`, `jaccard`, `sensitivity`, `specificity` and `accuracy` as fractions, nan
            where undefined.

    Raises:
        InconsistentScores: Where an identity is broken by more than rounding.
    """
    dice, jaccard = values["dice"], values["jaccard"]
    if math.isnan(dice) != math.isnan(jaccard) or abs(jaccard - dice / (2 - dice)) > 1e-9:
        raise InconsistentScores(f"Jaccard {jaccard} does not belong to Dice {dice}")
    ends = values["sensitivity"], values["specificity"]
    accuracy = values["accuracy"]
    if not any(map(math.isnan, ends)) and not min(ends) - 1e-9 <= accuracy <= max(ends) + 1e-9:
        raise InconsistentScores(
            f"accuracy {accuracy} is not between sensitivity {ends[0]} and specificity {ends[1]}"
        )


def aggregate(
    rows: Sequence[Mapping[str, Any]], groups: Sequence[str], rule: ScoreRule
) -> dict[str, Score]:
    """Turns the rows of single images into the scores of a run.

    Undefined values are left out of the means and counted. `pooled` adds up the counts of all
    images first, `slice` is the mean over images, `patient` the mean over a group's defined images
    and then over groups.

    Args:
        rows: Rows of `score_case`, or the same read back from CSV.
        groups: Each row's patient (or volume).
        rule: The `score` section that the rows were scored under.

    Returns:
        Scores by key of `METRICS`; `_mm` keys only where some row has that column.

    Raises:
        ValueError: Where there are no rows, or not one group for each.
        InconsistentScores: Where the pooled scores break an identity.
    """
    if not rows or len(rows) != len(groups):
        raise ValueError(f"need one group for each row, not {len(groups)} for {len(rows)}")
    counts = pooled_counts(rows)
    scores: dict[str, Score] = {}
    pooled: dict[str, float] = {}
    for key, metric in METRICS.items():
        if metric.aggregation == "pooled":
            value = pooled[metric.measure] = getattr(counts, metric.measure)
            undefined = len(rows) if math.isnan(value) else 0
            scores[key] = _score(metric, value, len(rows) - undefined, undefined, 0)
            continue
        if metric.unit == "mm" and not any(metric.column in row for row in rows):
            continue
        items = _slices(metric, rows, rule)
        if metric.aggregation == "patient":
            items = _patients(items, groups)
        defined = [item for item in items if not math.isnan(item[0])]
        scores[key] = _score(
            metric,
            _mean([value for value, _ in defined]),
            n=len(defined),
            undefined=len(items) - len(defined),
            penalised=sum(penalised for _, penalised in defined),
        )
    check_identities(pooled)
    return scores
