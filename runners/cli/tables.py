"""Tables for people, on standard output."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from zoo.errors import one_line


def print_table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Collection[str] = (),
    cut: Collection[str] = (),
) -> None:
    """Print aligned columns: fitted to a terminal, one whole line a row elsewhere.

    Args:
        header: Names of the columns.
        rows: The cells of each row.
        right: Names of the columns that are aligned at the right.
        cut: Names of the columns that a narrow terminal cuts off rather than wraps.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [[one_line(str(cell)) for cell in row] for row in rows]
    console = Console()
    if console.is_terminal:
        table = Table(box=None, pad_edge=False)
        for name in header:
            side: Literal["left", "right"] = "right" if name in right else "left"
            table.add_column(name, justify=side, no_wrap=name == header[0], overflow="fold")
        for line in lines:  # as text, since [a=b] would be taken for markup
            table.add_row(
                *(
                    Text(cell, no_wrap=True, overflow="ellipsis") if name in cut else Text(cell)
                    for name, cell in zip(header, line, strict=True)
                )
            )
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for line in [list(header), *lines]:
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(header, line, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one below the other; empty values are left out."""
    from rich.console import Console

    shown = [
        (one_line(name), one_line(str(value))) for name, value in fields if value not in (None, "")
    ]
    indent = max((len(name) for name, _ in shown), default=0) + 2
    console = Console()
    for name, value in shown:
        width = max(console.width - indent, 30) if console.is_terminal else len(value)
        lines = textwrap.wrap(value, max(width, 1), break_on_hyphens=False) or [""]
        print(name.ljust(indent) + ("\n" + " " * indent).join(lines))
