"""What the figures share: one style, sizes along an axis, the same bytes for the same records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.backend_bases import RendererBase
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
_LINE = 0.16
"""Inches of a line of a title."""
SMALL = 6.5
"""Size in points of names and numbers beside the data."""

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


def set_title(figure: Figure, text: str) -> None:
    """A figure's title: at the left, in as many lines as its width asks for.

    Beyond two lines, as of a protocol with many changes, the figure grows by them.
    """
    title = wrapped(figure, text)
    figure.set_figheight(figure.get_figheight() + _LINE * max(0, title.count("\n") - 1))
    figure.suptitle(title, fontsize=_FONT + 1, x=0.01, ha="left", parse_math=False)


def wrapped(figure: Figure, text: str, indent: float = 0.15) -> str:
    """A title in lines that fit the figure less so many inches."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(figure, longer, _FONT + 1) > figure.get_figwidth() - indent:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def name_rows(axis: Axes, names: Sequence[str]) -> None:
    """Name the rows of a figure: row i stands at y = i, the first at the top."""
    axis.set_yticks(range(len(names)), names, parse_math=False)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0, labelsize=SMALL)


def rank_ticks(rows: int) -> list[int]:
    """The ranks that an axis names, at most ten or so: 1 to 9; 1, 3, 5, ...; 1, 5, 10, ..."""
    every = next(step for step in (1, 2, 5, 10, 20, rows) if rows <= 10 * step)
    start = 1 if every < 5 else every
    return sorted({1, *range(start, rows + 1, every)})


def text_width(figure: Figure, text: str, size: float, *, bold: bool = False) -> float:
    """How wide a text is, in inches."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(size=size, weight="bold" if bold else "normal")
    sizes = renderer_of(figure).get_text_width_height_descent(text, font, ismath=False)
    return float(sizes[0] / figure.dpi)


def renderer_of(figure: Figure) -> RendererBase:
    """What measures the texts of a figure that `new_figure` made."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert isinstance(figure.canvas, FigureCanvasAgg), "figures are made by new_figure"
    return figure.canvas.get_renderer()


def figure_writer(figure: Figure) -> Drawn:
    """A function that gives, for png, pdf or svg, what writes the figure into an open binary file.

    Without a date, and with names in an SVG that do not change, the same records give the same
    file.
    """

    def writer(kind: str) -> Writer:
        def write(file: BinaryIO) -> None:
            from matplotlib import rc_context

            with rc_context({"svg.hashsalt": _SALT, "pdf.fonttype": 42}):  # no Type 3: IEEE
                figure.savefig(file, format=kind, dpi=200, metadata=_NO_DATE.get(kind))

        return write

    return writer


def size_axis(axis: Axis, most: int = 20) -> None:
    """Label a logarithmic axis at 1, 2 and 5 of each decade, with K, M, G, T.

    Args:
        axis: The axis, with its final limits.
        most: How many labels fit; where these are more, it is 1 and 3, or 1 of each decade.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    for subs in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        locator = LogLocator(subs=subs, numticks=20)
        if sum(low <= value <= high for value in locator.tick_values(low, high)) <= most:
            break
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(_size))
    axis.set_minor_formatter(NullFormatter())


def _size(value: float, _position: int) -> str:
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:g} {unit}"
    return f"{value:g}"
