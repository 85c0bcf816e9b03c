"""The leaderboard as a figure: Dice against parameters."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from reports.standings import PRIMARY
from reports.table import Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

Writer = Callable[[BinaryIO], object]

_TITLE_WIDTH = 85
_BLUE, _GREY = "#0b5394", "#666666"
_OFFSETS = [
    (dx * step, dy * step)
    for step in (1.0, 1.8, 2.8, 4.0, 5.5)
    for dx, dy in ((7, 0), (-7, 0), (0, 9), (0, -9), (6, 8), (-6, 8), (6, -8), (-6, -8))
]
"""Where a label may stand beside its point, in points, the nearest places first."""


@dataclass(frozen=True)
class _Point:
    label: str
    params: float
    dice: float
    spread: float
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
        _label(axis, points, canvas.get_renderer())

    def writer(kind: str) -> Writer:
        # Without a date the same records give the same file.
        metadata = {"CreationDate": None} if kind == "pdf" else None
        return lambda file: figure.savefig(file, format=kind, dpi=200, metadata=metadata)

    return writer


def _points(table: Table) -> list[_Point]:
    keys = [column.key for column in table.columns]
    if PRIMARY not in keys or "params" not in keys:
        return []
    found = []
    for row in table.rows:
        params = row.cells[keys.index("params")].number
        dice = row.cells[keys.index(PRIMARY)]
        if params and dice.number is not None:
            spread = 100 * (dice.spread or 0.0)
            found.append(_Point(row.label, params, 100 * dice.number, spread, row.competes))
    return found


def _baselines(table: Table) -> list[tuple[Row, float]]:
    place = [column.key for column in table.columns].index(PRIMARY)
    return [
        (row, 100 * value)
        for row in table.rows
        if row.status == "trivial" and (value := row.cells[place].number) is not None
    ]


def _panel(axis: Axes, table: Table, points: Sequence[_Point]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for point in points:
        axis.errorbar(
            point.params,
            point.dice,
            yerr=point.spread or None,
            fmt="o",
            markersize=5,
            color=_BLUE,
            markerfacecolor=_BLUE if point.competes else "white",
            elinewidth=0.8,
            capsize=2,
            alpha=0.9,
        )
    axis.set_xscale("log")
    low, high = min(p.params for p in points), max(p.params for p in points)
    axis.set_xlim(low / 1.8, high * 2.4)
    low = min(p.dice - p.spread for p in points)
    high = max(p.dice + p.spread for p in points)
    margin = 0.12 * (high - low) or 1.0
    best = max(_baselines(table), key=lambda pair: pair[1], default=None)
    if best is not None:
        _baseline(axis, *best, below=low - best[1] > high - low + margin)
        if low - best[1] <= high - low + margin:
            low, high = min(low, best[1]), max(high, best[1])
    axis.set_ylim(low - margin, high + margin)
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axis.xaxis.set_major_formatter(FuncFormatter(_size))
    axis.xaxis.set_minor_formatter(NullFormatter())
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


def _size(value: float, _position: int) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:g} {unit}"
    return f"{value:g}"


def _label(axis: Axes, points: Sequence[_Point], renderer: RendererAgg) -> None:
    """Name every point, each label where it hides the least; far ones get a line."""
    from matplotlib.transforms import Bbox

    taken: list[Bbox] = []
    for point in points:
        x, y = axis.transData.transform((point.params, point.dice))
        taken.append(Bbox.from_extents(x - 7, y - 7, x + 7, y + 7))
        if point.spread:
            _, top = axis.transData.transform((point.params, point.dice + point.spread))
            taken.append(Bbox.from_extents(x - 3, 2 * y - top, x + 3, top))
    for point in sorted(points, key=lambda each: -each.dice):
        texts = [_annotate(axis, point, offset) for offset in _OFFSETS]
        boxes = [_extent(text, renderer) for text in texts]
        costs = [_cost(box, taken, axis.bbox) for box in boxes]
        chosen = min(range(len(costs)), key=lambda place: (costs[place], place))
        taken.append(boxes[chosen])
        for place, text in enumerate(texts):
            if place != chosen:
                text.remove()


def _extent(label: Annotation, renderer: RendererAgg) -> Bbox:
    """The box of a label's words, without its line."""
    from matplotlib.text import Text

    label.update_positions(renderer)
    return Text.get_window_extent(label, renderer).padded(1.5)


def _annotate(axis: Axes, point: _Point, offset: tuple[float, float]) -> Annotation:
    dx, dy = offset
    far = abs(dx) + abs(dy) > 16
    return axis.annotate(
        point.label,
        (point.params, point.dice),
        xytext=offset,
        textcoords="offset points",
        ha="left" if dx > 0 else "right" if dx < 0 else "center",
        va="bottom" if dy > 0 else "top" if dy < 0 else "center",
        fontsize=7.5,
        parse_math=False,
        arrowprops={"arrowstyle": "-", "color": _GREY, "linewidth": 0.5} if far else None,
    )


def _cost(box: Bbox, taken: Sequence[Bbox], frame: Bbox) -> float:
    """Area of a label that lies over others or outside the frame, in square pixels."""
    from matplotlib.transforms import Bbox

    hidden = 0.0
    for other in taken:
        shared = Bbox.intersection(box, other)
        hidden += shared.width * shared.height if shared is not None else 0.0
    inside = Bbox.intersection(box, frame)
    outside = box.width * box.height - (inside.width * inside.height if inside else 0.0)
    return hidden + 3 * outside
