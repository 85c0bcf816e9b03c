"""What stands below the panels of a figure: the legend, and the names behind numbered points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.figures.drawing import SMALL, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_LEGEND, _LINE, _EDGE, _GAP, _NUMBER = 0.2, 0.125, 0.06, 0.1, 0.17
"""In inches: height of the legend, from line to line, from the figure's edge to a column, from
column to column, width of a number."""


def add_key(figure: Figure, legend: Mapping[str, Line2D], names: Sequence[str] = ()) -> None:
    """Lengthen a figure by a legend in one line and, below it, numbered names in columns.

    Args:
        figure: A figure without any axes yet.
        legend: What is said of each handle.
        names: The names behind the numbers 1, 2, ... in their order.
    """
    columns = _columns(figure, names)
    lines = max(map(len, columns), default=0)
    width, height = figure.get_figwidth(), _LEGEND + _LINE * lines
    figure.set_figheight(figure.get_figheight() + height)
    share = height / figure.get_figheight()
    layout = figure.get_layout_engine()
    assert layout is not None, "figures are made by new_figure"
    layout.set(rect=(0, share, 1, 1 - share))  # type: ignore[call-arg]
    axis = figure.add_axes((0, 0, 1, share))
    axis.set_in_layout(False)
    axis.axis("off")
    axis.set(xlim=(0, width), ylim=(height, 0))
    shown = axis.legend(
        list(legend.values()),
        list(legend),
        loc="center",
        bbox_to_anchor=(width / 2, _LEGEND / 2),
        bbox_transform=axis.transData,
        ncols=len(legend),
        fontsize=SMALL,
        frameon=False,
        borderpad=0,
        columnspacing=1.2,
        handlelength=1.6,
    )
    for text in shown.get_texts():
        text.set_parse_math(False)
    number, x = 0, _EDGE
    for column in columns:
        for line, name in enumerate(column):
            number, y = number + 1, _LEGEND + _LINE * (line + 0.4)
            style: dict[str, Any] = {
                "fontsize": SMALL,
                "va": "center_baseline",
                "parse_math": False,
            }
            axis.text(x + _NUMBER - 0.05, y, str(number), ha="right", **style)
            axis.text(x + _NUMBER, y, name, **style)
        x += _width(figure, column) + _GAP


def _columns(figure: Figure, names: Sequence[str]) -> list[Sequence[str]]:
    """The names in as many columns as fit side by side; one where not even two fit."""
    found: list[Sequence[str]] = []
    for count in range(1, len(names) + 1):
        lines = -(-len(names) // count)
        columns = [names[start : start + lines] for start in range(0, len(names), lines)]
        needed = sum(_width(figure, column) + _GAP for column in columns) - _GAP
        if found and needed > figure.get_figwidth() - 2 * _EDGE:
            break
        found = columns
    return found


def _width(figure: Figure, column: Sequence[str]) -> float:
    return _NUMBER + max(text_width(figure, name, SMALL) for name in column)
