"""What the figures share: one style, sizes along an axis, the same bytes for the same records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Writer = Callable[[BinaryIO], object]
Drawn = Callable[[str], Writer]
"""A figure: a function that gives, for png, pdf or svg, what writes it into an open binary file."""

COLUMN, PAGE = 3.5, 7.16
"""Width in inches of a column and of a page of a two-column paper (IEEE)."""

PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#f0e442",
)
"""Colours that the colour-blind tell apart (Okabe and Ito 2008, Color Universal Design)."""

BLUE, VERMILION, GREEN, GREY = PALETTE[0], PALETTE[1], PALETTE[2], "#666666"
_FONT = 8.0

_SALT = "covbench"
_NO_DATE = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


def new_figure(width: float = PAGE, height: float = 3.0) -> Figure:
    """An empty figure in the one style, to be drawn without a display; sizes in inches."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"font.size": _FONT}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
    return figure


def style_axes(axis: Axes, *, grid: Literal["both", "x", "y"] | None = "both") -> None:
    """The one style of axes: no box, a light grid behind the data, small type."""
    axis.spines[["top", "right"]].set_visible(False)
    if grid:
        axis.grid(axis=grid, color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=_FONT - 1)
    axis.xaxis.label.set_fontsize(_FONT)
    axis.yaxis.label.set_fontsize(_FONT)
    axis.title.set_fontsize(_FONT + 1)


def figure_writer(figure: Figure) -> Drawn:
    """A function that gives, for png, pdf or svg, what writes the figure into an open binary file.

    Without a date, and with names in an SVG that do not change, the same records give the same
    file.
    """

    def writer(kind: str) -> Writer:
        def write(file: BinaryIO) -> None:
            from matplotlib import rc_context

            with rc_context({"svg.hashsalt": _SALT}):
                figure.savefig(file, format=kind, dpi=200, metadata=_NO_DATE.get(kind))

        return write

    return writer


def size_axis(axis: Axis) -> None:
    """Label a logarithmic axis at 1, 2 and 5 of each decade, with K, M, G, T."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axis.set_major_formatter(FuncFormatter(_size))
    axis.set_minor_formatter(NullFormatter())


def _size(value: float, _position: int) -> str:
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:g} {unit}"
    return f"{value:g}"
