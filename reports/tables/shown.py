"""A table as readers see it, whatever it is written as: text, digits, which values are marked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reports.tables.table import Cell, Column, Mark, Table

MISSING = "–"


@dataclass(frozen=True)
class Line:
    """A row as readers see it.

    Attributes:
        rank: Its rank, or nothing.
        label: Its label.
        letters: The letters of its footnotes.
        cells: The text and the mark of each cell.
    """

    rank: str
    label: str
    letters: tuple[str, ...]
    cells: tuple[tuple[str, Mark | None], ...]


def lines(table: Table) -> list[Line]:
    """The rows as every format for readers shows them, not yet escaped."""
    found, letters = marks(table), table.footnotes
    return [
        Line(
            rank=str(row.rank or ""),
            label=row.heading,
            letters=tuple(letters[note] for note in dict.fromkeys(row.notes)),
            cells=tuple(
                (show(cell, column), found.get((index, place)))
                for place, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True))
            ),
        )
        for index, row in enumerate(table.rows)
    ]


def one_line(text: str) -> str:
    """Text without line breaks and control characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def show(cell: Cell, column: Column) -> str:
    """A cell as readers see it: `75.63 ± 1.20`, `75.63 [70.10, 80.20]`, `472.4 K`, `–`."""
    if cell.text is not None:
        return cell.text
    if column.style == "text" and cell.value is not None:
        return str(cell.value)
    number = cell.number
    if number is None:
        return MISSING
    if column.style == "count":
        return f"{number:.0f}"
    if column.style == "size":
        return _size(number)
    text = f"{number * column.scale:.{column.digits}f}"
    if column.shows == "spread" and cell.spread is not None and math.isfinite(cell.spread):
        text += f" ± {cell.spread * column.scale:.{column.digits}f}"
    if (
        column.shows == "interval"
        and cell.interval is not None
        and all(map(math.isfinite, cell.interval))
    ):
        low, high = (f"{end * column.scale + 0.0:.{column.digits}f}" for end in cell.interval)
        text += f" [{low}, {high}]"
    return text


def rounded(cell: Cell, column: Column) -> float | None:
    """The value as its shown digits have it, so that equal-looking values are equal."""
    number = cell.number
    if number is None or cell.text is not None:
        return None
    return round(number * column.scale, column.digits) + 0.0  # no -0.0


def marks(table: Table) -> dict[tuple[int, int], Mark]:
    """Which cells, by row and column, hold the best and the second best value of a metric.

    Only rows that compete count, and only where there are two or more. Values whose shown digits
    are equal share a mark; the second best is the next different value. Where intervals decide
    ties, the cells carry their marks.
    """
    found: dict[tuple[int, int], Mark] = {}
    competing = [index for index, row in enumerate(table.rows) if row.competes]
    for place, column in enumerate(table.columns):
        if column.higher_is_better is None or len(competing) < 2:
            continue
        if column.ties == "interval":
            own = {index: table.rows[index].cells[place].mark for index in competing}
            found |= {(index, place): mark for index, mark in own.items() if mark}
            continue
        values = {index: rounded(table.rows[index].cells[place], column) for index in competing}
        order = sorted(
            {value for value in values.values() if value is not None},
            reverse=column.higher_is_better,
        )
        places: tuple[Mark, ...] = ("best", "second")
        names = dict(zip(order, places, strict=False))
        for index, value in values.items():
            if value is not None and value in names:
                found[index, place] = names[value]
    return found


def _size(number: float) -> str:
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        # 999,950 is shown as 1.00 M, not as 1000.0 K
        if abs(number) >= limit * 0.99995:
            shown = number / limit
            return f"{shown:.{2 if shown < 99.995 else 1}f} {unit}"
    return f"{number:.0f}"
