"""Where networks stand: ranks, the chance of being first, and whether two rankings agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.statistics.bootstrap import Interval, Resampled
from benchmark.statistics.ranks import kendall_tau, ranks


@dataclass(frozen=True)
class Standing:
    """Where one row stands among the others.

    Attributes:
        row: Its name.
        mean: Its mean score.
        rank: Its rank by the mean, from 1; equal means share the better rank.
        first: Share of the resamples in which it is the best; the rows that tie share one.
        to_best: Its mean minus that of the best row; None for the best itself. The best was chosen
            on these data, which makes the differences to it look a little larger than they are.
        to_baseline: Its mean minus the baseline's; None for the baseline, or without one.
    """

    row: str
    mean: Interval
    rank: Interval
    first: float
    to_best: Interval | None
    to_baseline: Interval | None


@dataclass(frozen=True)
class Agreement:
    """Two rankings of the same networks, under two protocols.

    Attributes:
        rows: The networks.
        first: Each one's rank in the first ranking, from 1.
        second: Its rank in the second.
        tau: Kendall's tau-b of the two, 1 where the orders are the same, -1 where one is the
            other reversed; nan where all of a ranking are equal.
    """

    rows: tuple[str, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]
    tau: Interval


def standings(resampled: Resampled, baseline: str | None = None) -> tuple[Standing, ...]:
    """Where every row stands: mean, rank, chance of being first, differences.

    Args:
        resampled: Resampled means.
        baseline: A row that the others are compared with.

    Returns:
        The rows from best to worst; of equal ones the earlier first.

    Raises:
        ValueError: The baseline is no row.
    """
    best = resampled.best
    if baseline is not None and baseline not in resampled.rows:
        raise ValueError(f"the baseline {baseline!r} is no row")

    def to(row: str, other: str | None) -> Interval | None:
        return None if other is None or other == row else resampled.difference(row, other)

    found = [
        Standing(
            row,
            resampled.mean(row),
            resampled.rank(row),
            resampled.first(row),
            to(row, best),
            to(row, baseline),
        )
        for row in resampled.rows
    ]
    return tuple(sorted(found, key=lambda each: each.rank.estimate))


def agreement(
    resampled: Resampled, first: tuple[str, ...], second: tuple[str, ...], names: tuple[str, ...]
) -> Agreement:
    """Compare two rankings whose scores were resampled together.

    Args:
        resampled: Resamples of all rows, twice as many as there are networks.
        first: The networks' rows in the first ranking.
        second: Their rows in the second, in the same order.
        names: The networks.

    Returns:
        Both rankings, and Kendall's tau of their means. Its interval is between percentiles of the
        resampled tau, not centred on tau: resampling adds noise to both rankings, which pulls tau
        towards 0.
    """
    places = [[resampled.rows.index(row) for row in rows] for rows in (first, second)]
    estimates = [resampled.estimates[place][:, None] for place in places]
    found = [ranks(each, resampled.higher_is_better)[:, 0] for each in estimates]
    tau = kendall_tau(*(each.round(12) for each in estimates))[0]
    low, high = np.nanquantile(
        kendall_tau(*(resampled.means[place].round(12) for place in places)), resampled.ends
    )
    return Agreement(
        names,
        tuple(map(int, found[0])),
        tuple(map(int, found[1])),
        Interval(float(tau), float(low), float(high)),
    )
