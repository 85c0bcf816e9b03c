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
    unit: Unit = "patient",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Resampled:
    """Draw patients with replacement, the same for all rows, and pool their pixels.

    The same patients are drawn as by `bootstrap` with the same seed, and the spread is widened
    alike. A resample in which a ratio is 0/0 counts as the estimate.

    Args:
        rows: Names of the rows.
        counts: True positives, false positives, false negatives, true negatives of each image,
            (rows, seeds, images, 4).
        units: The patient of each image.
        measure: A ratio of `Confusion`, such as `miou`.
        unit: What the units are.
        resamples: How many resamples.
        seed: Seed of the random numbers.
        level: Probability that an interval is made for.

    Returns:
        Each row's score of all its images pooled, averaged over seeds, and its resamples.

    Raises:
        ValueError: There are fewer than two units.
    """
    names, code = np.unique(np.array(units, dtype=str), return_inverse=True)
    n = len(names)
    if n < 2:
        raise ValueError(f"{n} units; intervals need two")
    member = (code[:, None] == np.arange(n)).astype(float)
    by_unit = np.einsum("rsik,iu->rsuk", counts, member)
    estimates = _ratio(by_unit.sum(axis=2), measure).mean(axis=1)
    drawn = draw_units(n, resamples, seed)
    found = np.stack([_ratio(drawn @ own, measure).mean(axis=0) for own in by_unit])
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


def _ratio(counts: Floats, measure: str) -> Floats:
    """The ratio of counts, whose last axis is tp, fp, fn, tn."""
    parts = (cast(int, counts[..., place]) for place in range(4))
    return np.asarray(getattr(Confusion(*parts), measure), dtype=np.float64)
