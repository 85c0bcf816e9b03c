"""What the figures share: sizes along an axis, and the same bytes for the same records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Writer = Callable[[BinaryIO], object]

_SALT = "covbench"
_NO_DATE = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


def figure_writer(figure: Figure) -> Callable[[str], Writer]:
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
