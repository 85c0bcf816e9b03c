"""What stands behind a table's number: its runs, and the number made once more from what they left.

Three levels, each deeper than the one before: the scores in the records, the scores of single
images, the stored predictions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from benchmark.metrics import Confusion, Metric, aggregate
from benchmark.metrics.aggregate import inside_lung
from benchmark.metrics.definitions import INSIDE_LUNG
from benchmark.protocols.sections import ScoreRule
from reports.comparing.rescoring import Rounding, Truth, rescore, rounding, score_rule, truths_of
from reports.frame import summarise
from reports.tracing.lookup import Traced
from reports.tracing.trace import TRACED, payload_hash
from results.cases import read_cases
from results.predictions import read_predictions
from results.record import RunRecord
from results.spec import RunSpec
from results.store import RECORD, read_record
from zoo.errors import CovbenchError, unknown

Row = Mapping[str, Any]
Level = Literal["records", "per-image scores", "predictions"]
LEVELS: tuple[Level, ...] = ("records", "per-image scores", "predictions")


@dataclass(frozen=True, eq=False)
class Behind:
    """One run behind a number.

    Attributes:
        record: Its record.
        folder: Where it lies.
        rows: Its per-image scores; empty where they can't be used.
        values: The number of this run, by level; levels that can't be had are missing.
        reasons: Why a level is missing.
        rounded: What the rounding of stored probabilities changes, where they were scored.
        differs: What does not fit, in a sentence; empty where everything does.
    """

    record: RunRecord
    folder: Path
    rows: tuple[Row, ...] = ()
    values: dict[Level, float | None] = field(default_factory=dict)
    reasons: dict[Level, str] = field(default_factory=dict)
    rounded: Rounding | None = None
    differs: str = ""

    @property
    def images(self) -> list[tuple[str, str, float]]:
        """Each image with its patient and score."""
        return [(str(row["id"]), str(row["group"]), row["score"]) for row in self.rows]


@dataclass(frozen=True)
class Check:
    """A number made once more.

    Attributes:
        level: From what.
        value: What it comes to; None where it can't be had, or is undefined.
        agrees: Whether it is the table's; None where it can't be had.
        told: In a sentence.
    """

    level: Level
    value: float | None
    agrees: bool | None
    told: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """A cell, the runs behind it, and whether they give its value again."""

    cell: Traced
    runs: tuple[Behind, ...]
    checks: tuple[Check, ...]

    @property
    def disagreement(self) -> CovbenchError | None:
        """The error that names what does not fit, or None."""
        cell = self.cell
        odd = [run for run in self.runs if run.differs]
        if odd:
            run = odd[0]
            more = f" ({len(odd) - 1} more runs differ)" if len(odd) > 1 else ""
            return CovbenchError(
                f"{cell}: run {run.record.spec.id[:12]} does not give its part of "
                f"{cell.value!r}: {run.differs}{more}",
                f"See {run.folder}; write the table again from what is there: covbench report.",
            )
        wrong = [check for check in self.checks if check.agrees is False]
        if wrong:
            return CovbenchError(
                f"{cell}: {cell.sidecar.name} has {cell.value!r}, its runs give {wrong[0].value!r}"
                f" ({wrong[0].level}).",
                "Every run agrees with its record, so the file was changed: covbench report.",
            )
        if cell.csv_value is not None:
            return CovbenchError(
                f"{cell}: the CSV has {cell.csv_value}, its runs give {cell.value!r}.",
                "The file was changed after it was written: write it again with covbench report.",
            )
        return None


def retrace(cell: Traced) -> Evidence:
    """Gather the runs behind a cell and make its value once more.

    Args:
        cell: A mean over runs, or a cost.

    Returns:
        The runs, with what does not fit, and the checks.

    Raises:
        CovbenchError: The cell is not made of runs, or one of them is not in the store.
    """
    if cell.how == "not traced":
        raise CovbenchError(
            f"{cell} ({cell.shown}) is not a mean over runs, nor a cost: no run is named for it.",
            "Trace a score of a trained network, its params or its macs.",
        )
    if cell.how == "mean" and cell.metric not in TRACED:
        raise unknown("metric", cell.metric, TRACED, ", ".join(TRACED))
    found = [_read(cell, run, expected) for run, expected in cell.runs.items()]
    # Runs of one cell share data and rules, so that one dataset is opened for all of them.
    truths = cache(lambda: _truths(found[0][0].spec))
    runs = tuple(
        _cost(cell, *each) if cell.how == "cost" else _score(cell, *each, truths) for each in found
    )
    levels = LEVELS[:1] if cell.how == "cost" else LEVELS
    return Evidence(cell, runs, tuple(_check(cell, runs, level) for level in levels))


def _read(cell: Traced, run: str, expected: str) -> tuple[RunRecord, Path, str]:
    """A run's record, its folder, and what is wrong with it."""
    if not cell.store.is_dir():
        raise CovbenchError(
            f"There is no folder {cell.store}, where the runs of {cell.sidecar.name} were.",
            "Give the folder of the records with --from.",
        )
    paths = sorted(cell.store.rglob(f"*-{run[:12]}/{RECORD}"))
    for path in paths:
        record = read_record(path)
        if isinstance(record, RunRecord) and record.spec.id == run:
            same = expected in ("", payload_hash(record))
            differs = "its record is not the one that the table was made from."
            return record, path.parent, "" if same else differs
    what = "is damaged" if paths else f"is not below {cell.store}"
    raise CovbenchError(
        f"{cell}: run {run[:12]} {what}.",
        "Give the folder of the records with --from, or run it again: covbench run.",
    )


def _cost(cell: Traced, record: RunRecord, folder: Path, differs: str) -> Behind:
    value = record.cost.params if cell.column == "params" else record.cost.headline
    if not differs and value != cell.value:
        differs = f"its record has {value!r}."
    return Behind(record, folder, values={"records": value}, differs=differs)


_Truths = Callable[[], "dict[str, Truth] | str"]
"""The truth of all images, or why it can't be had."""


def _truths(spec: RunSpec) -> dict[str, Truth] | str:
    try:
        return truths_of(spec)
    except CovbenchError as error:
        return error.problem


def _score(cell: Traced, record: RunRecord, folder: Path, differs: str, truths: _Truths) -> Behind:
    """A run's score on every level that can be had."""
    key = cell.metric
    score = record.scores.get(cell.target, {}).get(key)
    own = score.value if score else None
    found = Behind(record, folder, values={"records": own}, differs=differs)
    rows, reason = _case_rows(record, folder, cell.target)
    if not rows:
        return replace(
            found,
            reasons=dict.fromkeys(LEVELS[1:], reason),
            differs=differs or f"{reason}.",
        )
    rule = score_rule(record.spec)
    again = _aggregated(rows, rule, key)
    if not differs and not same(again, own):
        differs = f"its per-image scores give {again!r}, its record has {own!r}."
    found = replace(
        found,
        rows=tuple({**row, "score": _image_score(row, TRACED[key])} for row in rows),
        values={**found.values, "per-image scores": again},
        differs=differs,
    )
    if cell.target != next(iter(record.scores)):
        why = "stored predictions are of all lesions together"
        return replace(found, reasons={"predictions": why})
    if key == INSIDE_LUNG.key:
        return replace(found, reasons={"predictions": "they hold the infection, and no lungs"})
    return _deeper(found, rows, rule, TRACED[key], truths)


def _deeper(
    found: Behind,
    rows: Sequence[Row],
    rule: ScoreRule,
    metric: Metric,
    truths: _Truths,
) -> Behind:
    """The same run with what its stored predictions give."""
    try:
        predictions = read_predictions(found.folder.parent.parent, found.record)
        known = truths()
        if isinstance(known, str):
            return replace(found, reasons={"predictions": known})
        again = rescore(predictions, known, rule, distances=metric.unit != "fraction")
    except CovbenchError as error:
        return replace(found, reasons={"predictions": error.problem})
    rounded = rounding(again, rows)
    value, own = _aggregated(again.rows, rule, metric.key), found.values["records"]
    differs = found.differs
    if not differs and rounded.unexplained:
        differs = f"its predictions do not give the counts of {', '.join(rounded.unexplained[:3])}."
    if not differs and not rounded.pixels and not same(value, own):
        differs = f"its predictions give {value!r}, its record has {own!r}."
    values = {**found.values, "predictions": value}
    return replace(found, values=values, rounded=rounded, differs=differs)


def _case_rows(record: RunRecord, folder: Path, target: str) -> tuple[list[dict[str, Any]], str]:
    """The lines of a run's per-image scores of a target, or why they can't be used."""
    if target not in record.scores:
        return [], f"it has no scores of {target}"
    cases = read_cases(folder, lambda spec: spec.id == record.spec.id, target=target)
    if not cases.records:
        return [], cases.left_out[0].reason if cases.left_out else "it has no per-image scores"
    return [{str(k): v for k, v in row.items()} for row in cases.frame.to_dict("records")], ""


def _aggregated(rows: Sequence[Row], rule: ScoreRule, key: str) -> float | None:
    """A score of a run from the rows of its images."""
    if key == INSIDE_LUNG.key:
        return inside_lung(rows).value
    score = aggregate(rows, [str(row["group"]) for row in rows], rule).get(key)
    return score.value if score else None


def _image_score(row: Row, metric: Metric) -> float:
    """The score of an image; where the metric is pooled, that of its own pixels."""
    if metric.aggregation != "pooled":
        return float(row[metric.column])
    if metric is INSIDE_LUNG:
        share = inside_lung([row]).value
        return math.nan if share is None else share
    counts = Confusion(*(int(row[name]) for name in ("tp", "fp", "fn", "tn")))
    return float(getattr(counts, metric.measure))


def same(one: float | None, other: float | None) -> bool:
    """Whether two numbers are equal in 12 digits: the last ones hang on the order of additions."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-15)


def _check(cell: Traced, runs: Sequence[Behind], level: Level) -> Check:
    """The cell's value from one level of all its runs."""
    lacking = [run for run in runs if level not in run.values]
    if lacking:
        reason = lacking[0].reasons.get(level, "")
        return Check(level, None, None, f"not checked: {reason.rstrip('.')}.")
    values = [run.values[level] for run in runs]
    value = _mean(values) if cell.how == "mean" else values[0]
    table = cell.value if isinstance(cell.value, int | float) else None
    pixels = sum(run.rounded.pixels for run in runs if run.rounded) if level == LEVELS[2] else 0
    if same(value, table):
        return Check(level, value, True, f"{value!r}: agrees with the table to the digit.")
    if pixels:
        told = (
            f"{value!r}: differs from the table only since stored probabilities are rounded to "
            f"1/255, which turns {pixels} {'pixel' if pixels == 1 else 'pixels'} at 0.5."
        )
        return Check(level, value, None, told)
    return Check(level, value, False, f"{value!r}: the table has {table!r}.")


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean as a table has it."""
    import pandas as pd

    found = [math.nan if each is None else float(each) for each in values]
    frame = pd.DataFrame({"metric": "", "run": "", "value": found})
    return summarise(frame)[""].number
