"""A table as Markdown, CSV, JSON objects, and in a terminal."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reports.tables.table import Cell, Table, marks, show

if TYPE_CHECKING:
    import rich.table

Scalar = bool | int | float | str | None


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, aligned; best value bold, second best underlined."""
    found = marks(table)
    lead = ["#"] if table.ranked else []
    head = [*lead, "Model", *(column.head for column in table.columns)]
    lines = [[escape_markdown(title) for title in head]]
    for index, row in enumerate(table.rows):
        cells = []
        for place, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True)):
            text = escape_markdown(show(cell, column))
            mark = found.get((index, place))
            cells.append(f"**{text}**" if mark == "best" else f"<u>{text}</u>" if mark else text)
        rank = [str(row.rank) if row.rank else ""] if lead else []
        lines.append([*rank, escape_markdown(row.label), *cells])
    left = {len(lead)} | {
        place + len(lead) + 1
        for place, column in enumerate(table.columns)
        if column.style == "text"
    }
    parts = [f"## {escape_markdown(table.title)}", _grid(lines, left)]
    if table.caption:
        parts.append(escape_markdown(table.caption))
    if table.notes:
        parts.append("\n".join(f"- {escape_markdown(note)}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    text = " ".join(text.split())
    text = re.sub(r"([\\`*|~])", r"\\\1", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # within a word it is an underscore already
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return text.replace("](", "]\\(")


def _grid(lines: Sequence[Sequence[str]], left: set[int]) -> str:
    widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(lines[0]))]

    def joined(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rule = [
        "-" * width if place in left else "-" * (width - 1) + ":"
        for place, width in enumerate(widths)
    ]
    padded = [
        joined(
            [
                cell.ljust(width) if place in left else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
        )
        for line in lines
    ]
    return "\n".join([padded[0], joined(rule), *padded[1:]])


def csv_text(tables: Sequence[Table]) -> str:
    """Several tables in one CSV: unrounded values, empty where there are none.

    A column whose values have a spread is followed by `..._sd` and `..._runs`. Texts that a
    spreadsheet would compute begin with an apostrophe.
    """
    lines = [line for table in tables for line in _flat(table)]
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _no_formula(each) for name, each in line.items()} for line in lines)
    return text.getvalue()


def _no_formula(value: Scalar) -> Scalar:
    """A text that a spreadsheet doesn't compute: an apostrophe stands before what it might."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def _flat(table: Table) -> list[dict[str, Scalar]]:
    lines = []
    for row in table.rows:
        line: dict[str, Scalar] = {**table.context, "name": row.label, "status": row.status}
        if table.ranked:
            line["rank"] = row.rank
        for cell, column in zip(row.cells, table.columns, strict=True):
            line[column.key] = _raw(cell)
            if column.higher_is_better is not None:
                line[f"{column.key}_sd"] = cell.spread
                line[f"{column.key}_runs"] = cell.n
        lines.append(line)
    return lines


def objects(table: Table) -> list[dict[str, Any]]:
    """A dictionary for each row; metrics are under `scores` as `{value, sd, runs}`."""
    found = []
    for row in table.rows:
        item: dict[str, Any] = {**table.context, "name": row.label, "rank": row.rank}
        item["status"] = row.status
        scores = {}
        for cell, column in zip(row.cells, table.columns, strict=True):
            if column.higher_is_better is None:
                item[column.key] = _raw(cell)
            else:
                scores[column.key] = {"value": cell.number, "sd": cell.spread, "runs": cell.n}
        found.append({**item, "scores": scores})
    return found


def _raw(cell: Cell) -> Scalar:
    """The unrounded value: text as it is, a number that is not finite as None."""
    if isinstance(cell.value, str):
        return cell.value
    return cell.value if cell.number is not None else None


def rich_table(table: Table) -> rich.table.Table:
    """The brief columns for a terminal; best value bold, second best underlined."""
    import rich.box
    import rich.table
    from rich.text import Text

    found = marks(table)
    shown = [(place, column) for place, column in enumerate(table.columns) if column.brief]
    grid = rich.table.Table(
        title=Text(table.title), title_justify="left", box=rich.box.SIMPLE_HEAD, pad_edge=False
    )
    if table.ranked:
        grid.add_column("#", justify="right")
    grid.add_column("Model", overflow="fold")
    for _, column in shown:
        grid.add_column(
            Text(column.head), justify="left" if column.style == "text" else "right", no_wrap=True
        )
    styles = {"best": "bold", "second": "underline", None: ""}
    for index, row in enumerate(table.rows):
        cells = [
            Text(show(row.cells[place], column), style=styles[found.get((index, place))])
            for place, column in shown
        ]
        rank = [Text(str(row.rank or ""))] if table.ranked else []
        grid.add_row(*rank, Text(row.label), *cells)
    return grid
