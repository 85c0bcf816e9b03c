"""Paired bootstrap of pooled scores: patients' pixel counts are drawn, added up, then divided."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from benchmark.metrics.confusion import Confusion
from benchmark.statistics.bootstrap import RESAMPLES, Resampled, draw_units, widening_of
from benchmark.statistics.scores import Unit

Floats = npt.NDArray[np.float64]


def pooled_bootstrap(
    rows: tuple[str, ...],
    counts: Floats,
    units: tuple[str, ...],
    measure: str,
    *,
    folds: tuple[str, ...] = (),
    unit: Unit = "patient",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Resampled:
    """Draw patients with replacement, the same for all rows, and pool their pixels.

    The same patients are drawn as by `bootstrap` with the same seed, and the spread is widened
    alike. A fold of which a resample holds no patient is left out of that resample.

    Args:
        rows: Names of the rows.
        counts: True positives, false positives, false negatives, true negatives of each image,
            (rows, seeds, images, 4).
        units: The patient of each image.
        measure: A ratio of `Confusion`, such as `miou`.
        folds: The fold of each image; empty: all are of one. Pixels are pooled in each fold.
        unit: What the units are.
        resamples: How many resamples.
        seed: Seed of the random numbers.
        level: Probability that an interval is made for.

    Returns:
        Each row's score of a fold's images pooled, averaged over folds and seeds, as the mean over
        runs is; and its resamples.

    Raises:
        ValueError: There are fewer than two units.
    """
    names, code = np.unique(np.array(units, dtype=str), return_inverse=True)
    n = len(names)
    if n < 2:
        raise ValueError(f"{n} units; intervals need two")
    member = (code[:, None] == np.arange(n)).astype(float)
    _, fold = np.unique(np.array(folds or ("",) * len(units)), return_inverse=True)
    of_fold = (fold[:, None] == np.arange(fold.max() + 1)).astype(float)
    # (rows, seeds, folds, units, 4): a patient's pixels in each fold
    by_unit = np.einsum("rsik,iu,if->rsfuk", counts, member, of_fold)
    estimates = _mean_ratio(by_unit.sum(axis=3), measure)
    drawn = draw_units(n, resamples, seed)
    found = np.stack([_mean_ratio(np.moveaxis(drawn @ own, 2, 0), measure) for own in by_unit])
    found = np.where(np.isnan(found), estimates[:, None], found)
    widening = widening_of(n, level)
    return Resampled(
        rows=rows,
        estimates=estimates,
        means=estimates[:, None] + widening * (found - estimates[:, None]),
        widening=widening,
        n=n,
        unit=unit,
        left_out=(),
        level=level,
        higher_is_better=True,
        bounds=(0.0, 1.0),
    )


def _mean_ratio(counts: Floats, measure: str) -> Floats:
    """The ratio of counts (n, seeds, folds, 4), averaged over seeds and the folds that have one."""
    parts = (cast(int, counts[..., place]) for place in range(4))
    ratios = np.asarray(getattr(Confusion(*parts), measure), dtype=np.float64)
    known = ~np.isnan(ratios)
    total = known.sum(axis=(1, 2))
    sums = np.where(known, ratios, 0.0).sum(axis=(1, 2))
    return np.divide(sums, total, out=np.full(len(ratios), np.nan), where=total > 0)
