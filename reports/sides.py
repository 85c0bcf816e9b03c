"""What is compared with what: the runs of one row on either side, paired image by image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from benchmark.metrics import METRICS, Metric
from benchmark.statistics import Scores, Unit
from reports.words import numbers, plural
from results.cases import LeftOut
from results.record import RunRecord
from zoo.errors import CovbenchError, unknown

if TYPE_CHECKING:
    import pandas as pd

Run = tuple[str, int]
"""Hash of a fold, and a seed: what a run is paired by."""


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison.

    Attributes:
        label: What a table calls it.
        records: Its runs: one row on one dataset under one protocol.
        frame: Per-image scores that hold those of its runs.
        left_out: Runs whose scores couldn't be used, and which are its own, or may be.
    """

    label: str
    records: tuple[RunRecord, ...]
    frame: pd.DataFrame
    left_out: tuple[LeftOut, ...] = ()

    @cached_property
    def runs(self) -> dict[Run, str]:
        """The ids of its runs."""
        specs = [record.spec for record in self.records]
        return {(spec.fold_hash, spec.seed): spec.id for spec in specs}

    @cached_property
    def lines(self) -> dict[str, pd.DataFrame]:
        """The lines of the frame that are its own, by run: looked up once for all metrics."""
        own = self.frame[self.frame["run"].isin(list(self.runs.values()))]
        return {str(run): lines for run, lines in own.groupby("run", sort=False)}

    @property
    def folds(self) -> list[int]:
        """Its folds, ascending."""
        return sorted({record.spec.fold for record in self.records})

    @property
    def seeds(self) -> list[int]:
        """Its seeds, ascending."""
        return sorted({record.spec.seed for record in self.records})

    def __str__(self) -> str:
        has = f"{named('fold', self.folds)} with {named('seed', self.seeds)}"
        whole = len(self.folds) * len(self.seeds)
        if len(self.runs) < whole:
            has += f" ({len(self.runs)} of these {whole} runs)"
        return f"{self.label} has {has}"


def named(word: str, values: Sequence[int]) -> str:
    """Numbers after what they number: `fold 1`, `folds 1–3, 5`."""
    return f"{plural(word, values)} {numbers(values)}"


def metric_named(word: str) -> Metric:
    """The metric that a user means: `dice` and `hd95_px` over patients, or a key of the list.

    Raises:
        CovbenchError: There is none, or it has no value for a single image.
    """
    columns = {each.column: each for each in METRICS.values() if each.aggregation == "patient"}
    found = columns.get(word) or METRICS.get(word)
    if found is None:
        keys = [each.key for each in METRICS.values() if each.aggregation != "pooled"]
        raise unknown("metric", word, [*columns, *keys], ", ".join(columns))
    if found.aggregation == "pooled":
        raise CovbenchError(
            f"{word} is made of the pixels of all images together: single patients have none.",
            f"Choose one that each image has: {', '.join(columns)}.",
        )
    return found


def left_out_of(sides: Sequence[Side]) -> list[str]:
    """Sentences on the runs whose scores couldn't be used."""
    runs = dict.fromkeys(run for side in sides for run in side.left_out)
    return [f"Left out: {run.path} ({run.reason})." for run in runs]


def check_paired(first: Side, second: Side) -> None:
    """Refuse two sides whose runs can't be paired.

    Args:
        first: The one side.
        second: The other.

    Raises:
        CovbenchError: Data, task, folds or seeds are not the same, or some runs are missing.
    """
    one, other = first.records[0].spec, second.records[0].spec
    who = f"{first.label} and {second.label}"
    if (one.data_hash, one.truth) != (other.data_hash, other.truth):
        names = [f"{spec.dataset} {spec.data_hash[:8]} ({spec.truth})" for spec in (one, other)]
        raise CovbenchError(
            f"{who} are scored on different data: {' and '.join(names)}.",
            "Only scores on the same prepared dataset are compared: run one on the other's.",
        )
    lost = "".join(f" {each}" for each in left_out_of((first, second))[:1])
    if first.runs.keys() != second.runs.keys():
        folds = [
            {each.spec.fold: each.spec.fold_hash for each in s.records} for s in (first, second)
        ]
        differing = [n for n in folds[0].keys() & folds[1].keys() if folds[0][n] != folds[1][n]]
        if differing:
            raise CovbenchError(
                f"{who} can't be paired: fold {numbers(differing)} does not hold the same images.",
                "Compare runs that split the data alike (split.kind, folds, seed).",
            )
        raise CovbenchError(
            f"{who} can't be paired: {first}; {second}.{lost}",
            "Run what is missing, or choose what both have with --folds and --seeds.",
        )
    if len(first.runs) < len(first.folds) * len(first.seeds):
        raise CovbenchError(
            f"{who} have not every seed on every fold: {first}.{lost}",
            "Run what is missing, or choose whole ones with --folds and --seeds.",
        )


def scores_of(sides: Sequence[Side], metric: Metric) -> Scores:
    """The scores of sides that can be paired, as the statistics take them.

    Args:
        sides: Sides that `check_paired` accepts, each with a label of its own.
        metric: Which score, and whether its mean is over patients or images.

    Returns:
        Scores of (rows, seeds, images); an image is one of a fold.

    Raises:
        CovbenchError: The sides were not scored on the same images, or not all with this metric.
    """
    import numpy as np

    runs = list(sides[0].runs)
    folds = list(dict.fromkeys(fold for fold, _ in runs))
    images: dict[str, dict[str, str]] = {}
    values: list[list[list[float]]] = []
    for side in sides:
        if metric.column not in side.frame.columns:
            raise _lacks(side, metric)
        values.append([])
        for seed in side.seeds:
            values[-1].append([])
            for fold in folds:
                lines = side.lines[side.runs[fold, seed]]
                groups = dict(zip(lines["id"], lines["group"], strict=True))
                if images.setdefault(fold, groups) != groups or len(groups) < len(lines):
                    raise _other_images(sides[0], side, images[fold], groups)
                scores = dict(zip(lines["id"], lines[metric.column], strict=True))
                values[-1][-1] += [float(scores[image]) for image in images[fold]]
    found = np.array(values)
    if metric.unit == "mm":
        for side, own in zip(sides, found, strict=True):
            if np.isnan(own).all():
                raise _lacks(side, metric)
    return Scores(
        rows=tuple(side.label for side in sides),
        values=found,
        units=tuple(group for fold in folds for group in images[fold].values()),
        higher_is_better=metric.higher_is_better,
        unit=_unit(sides, (groups for groups in images.values())),
        average="slice" if metric.aggregation == "slice" else "patient",
        bounds=(0.0, 1.0 if metric.unit == "fraction" else math.inf),
        folds=tuple(fold for fold in folds for _ in images[fold]),
    )


def _unit(sides: Sequence[Side], folds: Iterable[dict[str, str]]) -> Unit:
    """What the groups of the images are, as far as the records say."""
    if all(record.data.groups_disjoint for side in sides for record in side.records):
        return "patient"
    # Groups are not all known, or stand on both sides of a fold: a record doesn't say which.
    images_of: dict[str, set[str]] = {}
    for groups in folds:
        for image, group in groups.items():
            images_of.setdefault(group, set()).add(image)
    return "group" if any(len(images) > 1 for images in images_of.values()) else "slice"


def _lacks(side: Side, metric: Metric) -> CovbenchError:
    return CovbenchError(
        f"{side.label} has no {metric.column} of any image.",
        "Millimetres need images whose spacing is known; take pixels: "
        f"{metric.column.replace('_mm', '_px')}."
        if metric.unit == "mm"
        else "Choose another --metric.",
    )


def _other_images(
    first: Side, second: Side, one: dict[str, Any], other: dict[str, Any]
) -> CovbenchError:
    differing = sorted(
        image for image in one.keys() | other.keys() if one.get(image) != other.get(image)
    )
    shown = ", ".join(differing[:3]) + (", ..." if len(differing) > 3 else "")
    return CovbenchError(
        f"{first.label} and {second.label} are not scored on the same images: {shown}.",
        "Only runs on the same images of the same patients are compared: run one of them again.",
    )
