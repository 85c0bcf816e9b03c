"""The leaderboard as a figure: Dice against parameters."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.figures.drawing import Writer, figure_writer, size_axis
from reports.figures.labels import Point, place_labels
from reports.standings import PRIMARY
from reports.tables.table import Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLE_WIDTH = 85
_BLUE, _GREY = "#0b5394", "#666666"


@dataclass(frozen=True)
class _Network:
    point: Point
    competes: bool


def leaderboard_figure(tables: Sequence[Table]) -> Callable[[str], Writer] | None:
    """Draw Dice against the number of parameters, a panel for each leaderboard.

    Error bars are the sample standard deviation over runs; hollow points have fewer runs than the
    others; dashed lines are the trivial predictors.

    Args:
        tables: Leaderboards.

    Returns:
        A function that gives, for a format such as `png`, what writes the figure into an open
        binary file; None where no table holds a network with a Dice.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = [(table, points) for table in tables if (points := _points(table))]
    if not drawn:
        return None
    height = 4.4 if max(len(points) for _, points in drawn) <= 12 else 6.0
    figure = Figure(figsize=(7.5, height * len(drawn)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for axis, (table, points) in zip(axes, drawn, strict=True):
        _panel(axis, table, points)
    canvas.draw()  # fixes the layout, so that the labels can be placed by their size
    for axis, (_, points) in zip(axes, drawn, strict=True):
        place_labels(axis, [each.point for each in points], canvas.get_renderer())
    return figure_writer(figure)


def _points(table: Table) -> list[_Network]:
    keys = [column.key for column in table.columns]
    if PRIMARY not in keys or "params" not in keys:
        return []
    found = []
    for row in table.rows:
        params = row.cells[keys.index("params")].number
        dice = row.cells[keys.index(PRIMARY)]
        if params and dice.number is not None:
            spread = 100 * (dice.spread or 0.0)
            point = Point(row.label, params, 100 * dice.number, spread)
            found.append(_Network(point, row.competes))
    return found


def _baselines(table: Table) -> list[tuple[Row, float]]:
    place = [column.key for column in table.columns].index(PRIMARY)
    return [
        (row, 100 * value)
        for row in table.rows
        if row.status == "trivial" and (value := row.cells[place].number) is not None
    ]


def _panel(axis: Axes, table: Table, points: Sequence[_Network]) -> None:
    for network in points:
        point = network.point
        axis.errorbar(
            point.x,
            point.y,
            yerr=point.spread or None,
            fmt="o",
            markersize=5,
            color=_BLUE,
            markerfacecolor=_BLUE if network.competes else "white",
            elinewidth=0.8,
            capsize=2,
            alpha=0.9,
        )
    axis.set_xscale("log")
    low, high = min(each.point.x for each in points), max(each.point.x for each in points)
    axis.set_xlim(low / 1.8, high * 2.4)
    low = min(each.point.y - each.point.spread for each in points)
    high = max(each.point.y + each.point.spread for each in points)
    margin = 0.12 * (high - low) or 1.0
    best = max(_baselines(table), key=lambda pair: pair[1], default=None)
    if best is not None:
        _baseline(axis, *best, below=low - best[1] > high - low + margin)
        if low - best[1] <= high - low + margin:
            low, high = min(low, best[1]), max(high, best[1])
    axis.set_ylim(low - margin, high + margin)
    size_axis(axis.xaxis)
    axis.set_xlabel("Parameters")
    axis.set_ylabel("Dice (%), mean over images")
    title = textwrap.fill(table.title, _TITLE_WIDTH)
    axis.set_title(title, fontsize=10, loc="left", parse_math=False)
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _baseline(axis: Axes, row: Row, value: float, *, below: bool) -> None:
    """The best trivial predictor: a dashed line, or words where it lies far below the networks."""
    if not below:
        axis.axhline(value, color=_GREY, linewidth=0.9, linestyle="--", zorder=0)
    axis.annotate(
        f"{row.label}: {value:.2f} %" + (", below" if below else ""),
        (0.995, 0.0 if below else value),
        xycoords=("axes fraction", "axes fraction" if below else "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        color=_GREY,
        parse_math=False,
    )
