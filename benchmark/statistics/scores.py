"""Scores of the same images by several networks, and what they come to for each patient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Unit = Literal["patient", "group", "slice"]
"""What is resampled: patients; groups, where only some patients are known; single slices."""
Average = Literal["patient", "slice"]


@dataclass(frozen=True)
class Scores:
    """Scores of the same images by several networks: rows of a table.

    Attributes:
        rows: Names of the rows, each once.
        values: Scores, (rows, seeds, images); nan where undefined, which is where both masks are
            empty or a ratio is 0/0.
        units: The patient of each image; the image itself where patients are not known.
        higher_is_better: Whether a larger score is the better one.
        unit: What the units are. It changes no number, only what may be said of them.
        average: Whether a mean is over patients' means, as in `dice_patient`, or over images, as
            in `dice_slice`. Patients are what is resampled either way.
        bounds: The least and the largest possible score; the interval of a mean ends there.
        folds: The fold of each image; empty: all are of one. A mean is over folds of each fold's
            mean, as the mean over the runs of a leaderboard is.
    """

    rows: tuple[str, ...]
    values: Floats
    units: tuple[str, ...]
    higher_is_better: bool = True
    unit: Unit = "patient"
    average: Average = "patient"
    bounds: tuple[float, float] = (-math.inf, math.inf)
    folds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.values.shape
        if len(shape) != 3 or not all(shape):
            raise ValueError(f"scores are (rows, seeds, images), none of them zero, not {shape}")
        if (shape[0], shape[2]) != (len(self.rows), len(self.units)):
            raise ValueError(f"{len(self.rows)} rows and {len(self.units)} images, scores {shape}")
        if self.folds and len(self.folds) != shape[2]:
            raise ValueError(f"{len(self.folds)} folds for {shape[2]} images")
        if len(set(self.rows)) < len(self.rows):
            raise ValueError("every row has a name of its own")
        if np.isinf(self.values).any():
            raise ValueError("a score is a finite number, or nan where it is undefined")

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return self.values.shape[1]


@dataclass(frozen=True)
class UnitScores:
    """Scores by unit: what is resampled and tested.

    Attributes:
        names: The units that every row has a score of, in alphabetical order.
        values: Each row's score of each unit, (rows, units).
        by_seed: The same of each seed, (rows, seeds, units); their mean over seeds is `values`.
        weights: What each unit counts in the mean of a row and seed, (rows, seeds, units).
        left_out: Units without a defined score in at least one row.
    """

    names: tuple[str, ...]
    values: Floats
    by_seed: Floats
    weights: Floats
    left_out: tuple[str, ...]

    @property
    def seed_means(self) -> Floats:
        """Each row's mean in each seed, (rows, seeds); nan where it has no defined score."""
        total = self.weights.sum(axis=2)
        sums = (self.by_seed * self.weights).sum(axis=2)
        return np.divide(sums, total, out=np.full_like(total, np.nan), where=total > 0)

    @property
    def means(self) -> Floats:
        """Each row's mean over seeds."""
        return np.asarray(np.nanmean(self.seed_means, axis=1))


def unit_scores(scores: Scores) -> UnitScores:
    """Average a row's images within each unit, then over seeds.

    Undefined scores are left out of a unit's mean as in the scores of a run: each row averages
    over its own defined images, so that a network which rightly finds nothing in an empty image
    is not held to that image, and one which finds something is penalised. A seed in which a unit
    has no defined image is left out of that unit's mean over seeds. A unit that has no defined
    image in some row is left out of every row, since nothing can be paired with it.

    Args:
        scores: Scores of images.

    Returns:
        Scores of units. A unit's weight is such that the weighted mean is the mean over runs: in
        each fold it is its share of the defined images where means are over images, else of the
        units.
    """
    names, code = np.unique(np.array(scores.units, dtype=str), return_inverse=True)
    member = (code[:, None] == np.arange(len(names))).astype(float)
    defined = ~np.isnan(scores.values)
    counts = _image_weights(scores, code, defined)
    weights = counts @ member
    totals = (np.where(defined, scores.values, 0.0) * counts) @ member
    by_seed = np.divide(totals, weights, out=np.full_like(totals, np.nan), where=weights > 0)
    some = ~np.isnan(by_seed)
    seeds_defined = some.sum(axis=1)
    kept = (seeds_defined > 0).all(axis=0)
    values = np.where(some, by_seed, 0.0).sum(axis=1) / np.maximum(seeds_defined, 1)
    by_seed = np.where(some, by_seed, values[:, None, :])
    return UnitScores(
        tuple(str(name) for name in names[kept]),
        values[:, kept],
        by_seed[:, :, kept],
        weights[:, :, kept],
        tuple(str(name) for name in names[~kept]),
    )


def _image_weights(
    scores: Scores, unit: npt.NDArray[np.int64], defined: npt.NDArray[np.bool_]
) -> Floats:
    """What each image counts in the mean of its fold, (rows, seeds, images); 0 where undefined."""
    names = scores.folds or ("",) * len(scores.units)
    _, fold = np.unique(np.array(names, dtype=str), return_inverse=True)
    of_fold = (fold[:, None] == np.arange(fold.max() + 1)).astype(float)
    if scores.average == "slice":
        share = (defined @ of_fold)[..., fold]
    else:
        # A unit's images share its place in the fold's mean.
        both, part = np.unique(np.stack([unit, fold]), axis=1, return_inverse=True)
        of_part = (part[:, None] == np.arange(both.shape[1])).astype(float)
        images = defined @ of_part
        units = (images > 0) @ of_fold[np.unique(part, return_index=True)[1]]
        share = images[..., part] * units[..., fold]
    return np.divide(defined, share, out=np.zeros(defined.shape), where=defined)
