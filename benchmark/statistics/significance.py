"""Tests on patients' scores: Friedman over all rows, Wilcoxon of declared pairs, Holm's correction.

Patients are the sample, not images and not folds: images of one patient are alike, and the
training sets of folds overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.statistics.bootstrap import Bootstrap, Interval, bootstrap
from benchmark.statistics.scores import Scores, Unit, unit_scores

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Friedman:
    """Friedman's test: whether any row differs from the others.

    Attributes:
        statistic: Chi-square, corrected for ties.
        p: Its probability where all rows are equal.
        mean_ranks: Each row's rank, 1 the best, averaged over the units.
        n: Number of units.
        unit: What they are.
    """

    statistic: float
    p: float
    mean_ranks: tuple[float, ...]
    n: int
    unit: Unit


@dataclass(frozen=True)
class PairTest:
    """One declared comparison; every difference is the first row minus the second.

    Attributes:
        first: Name of the one row.
        second: Name of the other.
        difference: Difference of the means.
        median: Median over units of the difference.
        biserial: Matched-pairs rank-biserial correlation, -1 to 1: positive where the first row
            has the larger scores.
        statistic: Wilcoxon's: the smaller sum of ranks.
        p: Two-sided p of the Wilcoxon signed-rank test.
        p_holm: The same, corrected for the number of declared comparisons.
        n: Number of units.
        unit: What they are.
    """

    first: str
    second: str
    difference: Interval
    median: Interval
    biserial: float
    statistic: float
    p: float
    p_holm: float
    n: int
    unit: Unit


def friedman(scores: Scores) -> Friedman:
    """Friedman's test on the units' scores.

    Friedman 1937, The use of ranks to avoid the assumption of normality implicit in the analysis
    of variance, JASA 32(200).

    Args:
        scores: Scores of images of three rows or more.

    Returns:
        The test; statistic 0 and p 1 where all rows are equal in every unit.

    Raises:
        ValueError: There are fewer than three rows, or fewer than two units.
    """
    from scipy import stats

    values = unit_scores(scores).values.round(12)
    rows, n = values.shape
    if rows < 3 or n < 2:
        raise ValueError(f"Friedman's test needs three rows and two units, not {rows} and {n}")
    signed = -values if scores.higher_is_better else values
    mean_ranks = stats.rankdata(signed, axis=0).mean(axis=1)
    statistic, p = 0.0, 1.0
    if (values != values[0]).any():  # else scipy divides 0 by 0
        statistic, p = map(float, stats.friedmanchisquare(*values))
    return Friedman(statistic, p, tuple(map(float, mean_ranks)), n, scores.unit)


def pair_tests(
    scores: Scores,
    pairs: Sequence[tuple[str, str]] | None = None,
    *,
    baseline: str | None = None,
    resampled: Bootstrap | None = None,
) -> tuple[PairTest, ...]:
    """Wilcoxon's signed-rank test of declared pairs on the units' scores, with effect sizes.

    Units in which both rows are equal keep half their rank on either side (`zero_method="zsplit"`).
    The correction is Holm's, over the pairs that are declared here: declare them before looking.
    Seeds are averaged first: p is about new patients, for the networks as they were trained.

    Args:
        scores: Scores of images.
        pairs: The comparisons, each as first and second row.
        baseline: Instead of pairs: every other row against this one. Against the best row, the
            choice was made on the same data; whoever reports it should say so.
        resampled: Resamples of these scores, for the intervals; drawn anew where not given.

    Returns:
        One result for each pair, in their order.

    Raises:
        ValueError: Neither or both of pairs and baseline are given, a name is no row, or there
            are fewer than two units.
    """
    from scipy import stats

    if (pairs is None) == (baseline is None):
        raise ValueError("give either pairs or a baseline")
    if pairs is None:
        pairs = [(row, str(baseline)) for row in scores.rows if row != baseline]
    for name in {name for pair in pairs for name in pair} | ({baseline} - {None}):
        if name not in scores.rows:
            raise ValueError(f"{name!r} is no row")
    drawn = resampled or bootstrap(scores)
    values = dict(zip(drawn.rows, drawn.values, strict=True))
    differences = [(values[one] - values[other]).round(12) for one, other in pairs]
    tests = [stats.wilcoxon(each, zero_method="zsplit") for each in differences]
    corrected = holm([float(test.pvalue) for test in tests])
    return tuple(
        PairTest(
            first,
            second,
            drawn.difference(first, second),
            drawn.median_difference(first, second),
            rank_biserial(each),
            float(test.statistic),
            float(test.pvalue),
            p_holm,
            drawn.n,
            drawn.unit,
        )
        for (first, second), each, test, p_holm in zip(
            pairs, differences, tests, corrected, strict=True
        )
    )


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction of p-values for their number.

    Holm 1979, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6(2):
    the i-th smallest of m is multiplied by m - i + 1; none is smaller than one before it, nor
    larger than 1.

    Returns:
        The corrected values, in the order given.
    """
    corrected = [0.0] * len(p)
    least = 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - place) * p[index]))
        corrected[index] = least
    return corrected


def rank_biserial(differences: Floats) -> float:
    """Matched-pairs rank-biserial correlation: (R+ - R-) / (R+ + R-).

    Kerby 2014, The simple difference formula, Comprehensive Psychology 3(1). R+ and R- are the
    sums of the ranks of the positive and the negative differences by size; a zero gives half its
    rank to either, as in the test.

    Returns:
        -1 where every difference is negative, 1 where every one is positive, 0 where they balance.
    """
    from scipy import stats

    sizes = stats.rankdata(np.abs(differences))
    return float((np.sign(differences) * sizes).sum() / sizes.sum())
