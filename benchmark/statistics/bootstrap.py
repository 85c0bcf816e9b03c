"""Paired bootstrap over patients: intervals of means, differences and ranks.

All networks are resampled together, by patient: images of one patient are alike, and drawn by
themselves they make intervals too narrow. In a simulation of two equal networks (20 patients, 5
images each, 2000 repeats) a 95 % interval of the difference leaves out 0 in 4.8 % of the repeats
as it is made here, in 7 % without the widening, and in 28 % where images are drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from benchmark.statistics.ranks import ranks, weighted_median
from benchmark.statistics.scores import Scores, Unit, unit_scores

Floats = npt.NDArray[np.float64]
RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate and the two ends of its interval."""

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends lie on the same side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Resampled:
    """Resampled scores of several rows; the same patients were drawn for all of them.

    Attributes:
        rows: Names of the rows.
        estimates: Each row's score, (rows,).
        means: Its score in each resample, (rows, resamples), widened about the estimate.
        widening: The factor of the widening.
        n: Number of units.
        unit: What they are.
        left_out: Units left out, since a row has no defined score of them.
        level: Probability that an interval is made for.
        higher_is_better: Whether a larger score is the better one.
        bounds: The least and the largest possible score.
    """

    rows: tuple[str, ...]
    estimates: Floats
    means: Floats
    widening: float
    n: int
    unit: Unit
    left_out: tuple[str, ...]
    level: float
    higher_is_better: bool
    bounds: tuple[float, float]

    @property
    def ends(self) -> tuple[float, float]:
        """The two probabilities between which an interval lies."""
        return (1 - self.level) / 2, (1 + self.level) / 2

    @property
    def best(self) -> str:
        """The row with the best mean; of equal ones the earliest."""
        signed = self.estimates if self.higher_is_better else -self.estimates
        return self.rows[int(signed.argmax())]

    @cached_property
    def ranks(self) -> npt.NDArray[np.int64]:
        """Each row's rank in each resample, (rows, resamples)."""
        return ranks(self.means, self.higher_is_better)

    def mean(self, row: str) -> Interval:
        """The score of a row, within the bounds of the score."""
        place = self.rows.index(row)
        low, high = np.quantile(self.means[place], self.ends).clip(*self.bounds)
        return Interval(float(self.estimates[place]), float(low), float(high))

    def difference(self, first: str, second: str) -> Interval:
        """The score of one row minus that of another, paired."""
        one, other = self.rows.index(first), self.rows.index(second)
        low, high = np.quantile(self.means[one] - self.means[other], self.ends)
        return Interval(float(self.estimates[one] - self.estimates[other]), float(low), float(high))

    def rank(self, row: str) -> Interval:
        """The rank of a row by its score; the ends are ranks that occurred."""
        place = self.rows.index(row)
        low, high = np.quantile(self.ranks[place], self.ends, method="inverted_cdf")
        own = ranks(self.estimates[:, None], self.higher_is_better)[place, 0]
        return Interval(float(own), float(low), float(high))

    def first(self, row: str) -> float:
        """Share of the resamples in which a row is the best; rows that tie share one."""
        best = self.ranks == 1
        return float((best[self.rows.index(row)] / best.sum(axis=0)).mean())


@dataclass(frozen=True)
class Bootstrap(Resampled):
    """Resampled means of scores that single images have.

    Attributes:
        values: Each row's score of each unit, (rows, units).
        drawn: How often each unit is in each resample, (resamples, units).
        seed_weights: What each row's seeds count, (rows, resamples or 1, seeds).
        by_seed: Each row's score of each unit and seed, (rows, seeds, units).
    """

    values: Floats
    drawn: Floats
    seed_weights: Floats
    by_seed: Floats

    def median_difference(self, first: str, second: str) -> Interval:
        """The median over units of one row's score minus another's."""
        one, other = self.rows.index(first), self.rows.index(second)
        estimate = float(np.median(self.values[one] - self.values[other]))
        found = weighted_median(self._resampled(one) - self._resampled(other), self.drawn)
        low, high = estimate + self.widening * (np.quantile(found, self.ends) - estimate)
        return Interval(estimate, float(low), float(high))

    def _resampled(self, place: int) -> Floats:
        """A row's score of each unit, (resamples, units), or (1, units) where seeds are fixed."""
        return self.seed_weights[place] @ self.by_seed[place]


def bootstrap(
    scores: Scores,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    resample_seeds: bool = False,
    level: float = 0.95,
) -> Bootstrap:
    """Draw units with replacement, the same for all rows, and take every row's mean.

    The spread of the resamples is widened by sqrt(n / (n - 1)) t / z, with t of n - 1 degrees of
    freedom: with few patients, percentile and BCa intervals are too narrow by about that
    (Hesterberg 2015, What Teachers Should Know About the Bootstrap, The American Statistician
    69(4), who widens the percentiles instead). Of two equal networks an interval so made leaves
    out 0 in 5.8, 4.8, 4.8 and 5.0 % for 6, 10, 20 and 40 patients; percentiles alone in 14.8, 9.8,
    7.0 and 5.9 %, BCa in 14.4, 10.6, 7.2 and 6.2 % (2000 simulations each).

    Where trainings of equal networks differ by their seed (standard deviation half of that of a
    patient's scores), 2, 3 and 5 seeds that are averaged leave out 0 in 27, 19 and 15 %, Wilcoxon's
    test gives p < 0.05 in 26, 18 and 14 %, and seeds that are drawn leave out 0 in 8, 4 and 4 %.

    Args:
        scores: Scores of images.
        resamples: How many resamples.
        seed: Seed of the random numbers.
        resample_seeds: Draw each row's seeds as well, each row by itself: the intervals are then
            about new trainings on new patients, else about these trainings on new patients. The
            spread of seeds is widened by sqrt(s / (s - 1)), s being their number.
        level: Probability that an interval is made for.

    Returns:
        The resampled means. They do not depend on the order of rows or images.

    Raises:
        ValueError: Fewer than two units have a defined score in every row, or seeds are to be
            drawn and there is only one.
    """
    units = unit_scores(scores)
    n = len(units.names)
    if n < 2:
        raise ValueError(f"{n} units with a defined score in every row; intervals need two")
    if resample_seeds and scores.seeds < 2:
        raise ValueError("seeds can be resampled only where there are two or more")
    drawn = draw_units(n, resamples, seed)
    weights = np.stack(
        [_seed_weights(row, scores.seeds, resamples, seed, resample_seeds) for row in scores.rows]
    )
    widening = widening_of(n, level)
    estimates = units.means
    means = np.empty((len(scores.rows), resamples))
    for place, (own, values) in enumerate(zip(units.weights, units.by_seed, strict=True)):
        means[place] = _means(drawn, own, values, weights[place], estimates[place])
    return Bootstrap(
        rows=scores.rows,
        estimates=estimates,
        means=estimates[:, None] + widening * (means - estimates[:, None]),
        values=units.values,
        drawn=drawn,
        seed_weights=weights,
        by_seed=units.by_seed,
        widening=widening,
        n=n,
        unit=scores.unit,
        left_out=units.left_out,
        level=level,
        higher_is_better=scores.higher_is_better,
        bounds=scores.bounds,
    )


@lru_cache(maxsize=1)  # the many metrics and pairs of one report mostly have the same units
def draw_units(n: int, resamples: int, seed: int) -> Floats:
    """How often each of n units is in each resample, (resamples, n); drawn with replacement."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    drawn.setflags(write=False)  # it is shared
    return drawn


def widening_of(n: int, level: float) -> float:
    """What the spread of resamples of n units is multiplied by; see `bootstrap`."""
    from scipy import stats

    ends = (1 + level) / 2
    return math.sqrt(n / (n - 1)) * float(stats.t.ppf(ends, n - 1) / stats.norm.ppf(ends))


def _means(
    drawn: Floats, weights: Floats, values: Floats, seeds: Floats, estimate: float
) -> Floats:
    """A row's mean in each resample; its estimate where none of the drawn units is defined."""
    totals = drawn @ weights.T
    sums = drawn @ (weights * values).T
    by_seed = np.divide(sums, totals, out=np.full_like(sums, np.nan), where=totals > 0)
    # A seed of which nothing was drawn is left out, as in the estimate.
    counted = np.where(np.isnan(by_seed), 0.0, np.broadcast_to(seeds, by_seed.shape))
    total = counted.sum(axis=1)
    mean = (np.nan_to_num(by_seed) * counted).sum(axis=1)
    return np.divide(mean, total, out=np.full_like(mean, estimate), where=total != 0)


def _seed_weights(row: str, seeds: int, resamples: int, seed: int, draw: bool) -> Floats:
    """What a row's seeds count in each resample, (resamples, seeds), or (1, seeds) where fixed."""
    equal = np.full((1, seeds), 1 / seeds)
    if not draw:
        return equal
    # By name, so that a row's draws are its own whatever stands beside it.
    generator = np.random.default_rng([seed, *row.encode()])
    drawn = generator.multinomial(seeds, equal[0], size=resamples) / seeds
    return np.asarray(equal + math.sqrt(seeds / (seeds - 1)) * (drawn - equal))
