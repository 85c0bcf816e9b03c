"""Panels of a score against a cost: points with bars, the Pareto front, the trivial predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from benchmark.metrics import Metric
from reports.figures.drawing import BLUE, GREY, VERMILION, size_axis
from reports.figures.labels import Point
from reports.profiles.pareto import front as smallest
from reports.sentences import Shown
from reports.subject import Subject
from reports.tables.table import Row, Table
from zoo.selection import Row as Selected

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cost = Literal["params", "macs", "fps"]
Pair = tuple[float, float]

FRONT: dict[str, Any] = {"color": "#f2bf9b", "linewidth": 2.0}
"""The line of a front: broad and pale, so that bars on it are seen."""
TRIVIAL: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": "--"}
"""The line of a trivial predictor."""
RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 10,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 1.2,
}
"""What stands around one's own network."""


@dataclass(frozen=True)
class Network:
    """A network as it is drawn.

    Attributes:
        label: Its name.
        score: Its score, as shown.
        low: Lower end of its bar.
        high: Upper end of its bar.
        full: Whether it can be held against the others: drawn full, and maybe on the front.
        costs: What is known of its cost.
    """

    label: str
    score: float
    low: float
    high: float
    full: bool
    costs: Mapping[Cost, float]

    def point(self, cost: Cost, label: str = "", *, bold: bool = False) -> Point:
        """Its point in the panel of a cost, for the placing of labels."""
        spread = max(self.high - self.score, self.score - self.low)
        return Point(label or self.label, self.costs[cost], self.score, spread, bold)


def shown(table: Table, metric: Metric) -> list[Network]:
    """The networks of a leaderboard that have a score and parameters."""
    scale = Shown(metric).scale
    found = []
    for row in table.rows:
        cells = {column.key: cell for column, cell in zip(table.columns, row.cells, strict=True)}
        costs = _costs(row, table)
        score = cells[metric.key].number if metric.key in cells else None
        if score is not None and "params" in costs and row.status != "trivial":
            spread = cells[metric.key].spread or 0.0
            ends = (scale * (score - spread), scale * (score + spread))
            found.append(Network(row.label, scale * score, *ends, row.competes, costs))
    return found


def networks_of(subject: Subject, table: Table, metric: Metric) -> list[Network]:
    """The networks with their scores, the best first.

    Args:
        subject: The comparison, which has scores with intervals of the rows that have every run.
        table: Its leaderboard, for costs, and for the scores of other rows.
        metric: The score.
    """
    scale, analysis = Shown(metric).scale, subject.analysis
    found = {each.label: each for each in shown(table, metric)}
    # A row without an interval beside rows that have one is scored on fewer runs.
    any_interval = analysis.resampled(metric) is not None
    networks = []
    for row in table.rows:
        interval = analysis.interval(row.label, metric)
        costs = _costs(row, table) | _speed(subject, row.label)
        if interval is not None:
            ends = (scale * interval.low, scale * interval.high)
            networks.append(Network(row.label, scale * interval.estimate, *ends, True, costs))
        elif row.label in found:
            own = found[row.label]
            full = own.full and not any_interval
            networks.append(Network(row.label, own.score, own.score, own.score, full, costs))
    sign = -1 if metric.higher_is_better else 1
    return sorted(networks, key=lambda each: (sign * each.score, each.label))


def _costs(row: Row, table: Table) -> dict[Cost, float]:
    """Parameters and multiply-adds, as far as a leaderboard has them."""
    cells = {column.key: cell for column, cell in zip(table.columns, row.cells, strict=True)}
    keys: tuple[Cost, ...] = ("params", "macs")
    return {key: size for key in keys if key in cells and (size := cells[key].number)}


def _speed(subject: Subject, label: str) -> dict[Cost, float]:
    """Images per second at batch size 1, where the machine timed this network."""
    entry = subject.entry(label)
    if subject.machine is None or entry is None or entry.specs[0].row != label:
        return {}  # of variants of one name it is not known which was timed
    spec = entry.specs[0]
    name = Selected(spec.model, tuple(sorted(spec.options.items()))).label
    network = subject.machine.network(name)
    timing = network.timing("latency") if network else None
    return {"fps": timing.fps} if timing else {}


def front(points: Sequence[Pair], larger: tuple[bool, bool]) -> list[int]:
    """The points that no other beats: none is as good in both numbers and better in one.

    Args:
        points: Two numbers each.
        larger: Of either number, whether more is better.

    Returns:
        Their indices, in order. Equal points don't beat each other.
    """
    signs = [-1.0 if more else 1.0 for more in larger]
    return smallest([[sign * x for sign, x in zip(signs, each, strict=True)] for each in points])


def steps(best: Sequence[Pair], *, more_is_better: bool = False) -> list[Pair]:
    """The corners of the line along a front: the best score at a cost, or at one that is better.

    Args:
        best: Cost and score of the networks on the front.
        more_is_better: Whether more of the cost is better, as of images per second.

    Returns:
        Cost and score of each corner, from the best cost on.
    """
    line = sorted(best, reverse=more_is_better)
    corners = line[:1]
    for (_, before), (cost, score) in pairwise(line):
        corners += [(cost, before), (cost, score)]
    return corners


def draw_front(
    axis: Axes, networks: Sequence[Network], cost: Cost, metric: Metric
) -> tuple[frozenset[str], list[Pair]]:
    """Draw the line along the Pareto front of the networks that are full.

    Returns:
        The labels of the networks on the front, and the corners of the line.
    """
    full = [each for each in networks if each.full]
    pairs = [(each.costs[cost], each.score) for each in full]
    more = cost == "fps"
    best = front(pairs, (more, metric.higher_is_better))
    curve = steps([pairs[place] for place in best], more_is_better=more)
    axis.plot([x for x, _ in curve], [y for _, y in curve], zorder=1, **FRONT)
    return frozenset(full[place].label for place in best), curve


def draw_points(
    axis: Axes,
    networks: Sequence[Network],
    cost: Cost,
    best: frozenset[str] = frozenset(),
    *,
    most: int = 20,
) -> None:
    """Draw each network with its bar, a square on the front, hollow where it is not full.

    Args:
        axis: The axes.
        networks: What is drawn.
        cost: Over what.
        best: The labels of the networks on the front.
        most: How many labels the axis of costs has room for.
    """
    for each in networks:
        color = VERMILION if each.label in best else BLUE
        below, above = each.score - each.low, each.high - each.score
        axis.errorbar(
            each.costs[cost],
            each.score,
            yerr=[[below], [above]] if below or above else None,
            fmt="s" if each.label in best else "o",
            markersize=4,
            color=color,
            markerfacecolor=color if each.full else "white",
            elinewidth=0.7,
            capsize=1.5,
            zorder=3,
        )
    axis.set_xscale("log")
    sizes = [each.costs[cost] for each in networks]
    axis.set_xlim(min(sizes) / 1.8, max(sizes) * 1.8)
    size_axis(axis.xaxis, most)


def draw_rings(axis: Axes, networks: Sequence[Network], cost: Cost) -> None:
    """Draw a ring around networks, on top of their points."""
    for each in networks:
        axis.plot(each.costs[cost], each.score, linestyle="none", zorder=4, **RING)


def trivial(table: Table, metric: Metric) -> tuple[str, float] | None:
    """The best trivial predictor of a leaderboard and its score as shown, or None."""
    place = next((i for i, column in enumerate(table.columns) if column.key == metric.key), None)
    found = [
        (row.label, Shown(metric).scale * value)
        for row in table.rows
        if row.status == "trivial"
        and place is not None
        and (value := row.cells[place].number) is not None
    ]
    sign = 1 if metric.higher_is_better else -1
    return max(found, key=lambda pair: sign * pair[1], default=None)


@dataclass(frozen=True)
class Scores:
    """The axis of scores.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        words: The best trivial predictor in words; empty where there is none.
        line: Where that stands; None where it is so much worse than all networks that the axis
            ends before.
    """

    low: float
    high: float
    words: str = ""
    line: float | None = None

    def apply(self, axis: Axes) -> None:
        """Set the limits and draw the trivial predictor."""
        if self.line is not None:
            axis.axhline(self.line, zorder=0, **TRIVIAL)
        axis.set_ylim(self.low, self.high)


def score_axis(networks: Sequence[Network], metric: Metric, table: Table) -> Scores:
    """The axis of scores for some networks, and a trivial predictor that is not far worse."""
    low = min(each.low for each in networks)
    high = max(each.high for each in networks)
    margin = 0.12 * (high - low) or 1.0
    words, line = "", None
    if (found := trivial(table, metric)) is not None:
        label, value = found
        words = f"{label}: {value:.2f} {Shown(metric).unit}"
        worse = low - value if metric.higher_is_better else value - high
        if worse > high - low + margin:
            words += ", below" if metric.higher_is_better else ", above"
        else:
            line, low, high = value, min(low, value), max(high, value)
    # No score is negative: the axis ends soon below 0.
    floor = low - margin if low > margin else min(low, 0) - margin / 3
    return Scores(floor, high + margin, words, line)
