"""Ranks of columns of values, the agreement of two orders, medians of repeated values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def ranks(values: Floats, higher_is_better: bool) -> npt.NDArray[np.int64]:
    """Ranks within each column, from 1; equal values share the better rank.

    Values are rounded to 12 decimals first, so that the order of additions can't break a tie.
    """
    from scipy import stats

    signed = -values if higher_is_better else values
    return np.asarray(stats.rankdata(signed.round(12), method="min", axis=0), dtype=np.int64)


def weighted_median(values: Floats, counts: Floats) -> Floats:
    """The median of each line of values that are repeated so many times.

    Args:
        values: Values, (lines or 1, n).
        counts: How often each occurs, (lines, n); whole numbers.

    Returns:
        The middle value of each line, or the mean of the two in the middle.
    """
    order = np.argsort(values, axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    reached = np.take_along_axis(counts, np.broadcast_to(order, counts.shape), axis=1).cumsum(
        axis=1
    )
    total = reached[:, -1:]
    lower = (reached >= np.floor((total + 1) / 2)).argmax(axis=1)
    upper = (reached >= np.floor(total / 2) + 1).argmax(axis=1)
    lines = np.arange(len(counts)) if len(ranked) > 1 else np.zeros(len(counts), dtype=int)
    return np.asarray((ranked[lines, lower] + ranked[lines, upper]) / 2)


def kendall_tau(first: Floats, second: Floats) -> Floats:
    """Kendall's tau-b between columns: 1 for the same order, -1 for the reverse.

    Kendall 1945, The treatment of ties in ranking problems, Biometrika 33(3).

    Args:
        first: Values, (rows, columns).
        second: Values of the same rows.

    Returns:
        One tau for each column; nan where all values of a column are equal.
    """
    above, below = np.triu_indices(len(first), 1)
    one = np.sign(first[above] - first[below])
    other = np.sign(second[above] - second[below])
    untied = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    agreeing = (one * other).sum(axis=0)
    return np.divide(agreeing, untied, out=np.full_like(untied, np.nan), where=untied > 0)
