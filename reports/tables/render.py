"""A table as Markdown, CSV, JSON objects, and in a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reports.tables.shown import lines, one_line
from reports.tables.table import Cell, Mark, Table
from reports.words import csv_value

if TYPE_CHECKING:
    import rich.table

Scalar = bool | int | float | str | None


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, aligned; best value bold, second best underlined."""
    lead = ["#"] if table.ranked else []
    head = [*lead, table.label, *(column.head for column in table.columns)]
    grid = [[escape_markdown(title) for title in head]]
    for line in lines(table):
        label = escape_markdown(line.label)
        if line.letters:
            label += f"<sup>{','.join(line.letters)}</sup>"
        rank = [line.rank] if lead else []
        grid.append([*rank, label, *(_marked(text, mark) for text, mark in line.cells)])
    left = {len(lead)} | {
        place + len(lead) + 1
        for place, column in enumerate(table.columns)
        if column.style == "text"
    }
    parts = [f"## {escape_markdown(table.title)}", _grid(grid, left)]
    if table.footnotes:
        parts.append(
            "\n".join(
                f"- <sup>{letter}</sup> {escape_markdown(note)}"
                for note, letter in table.footnotes.items()
            )
        )
    if table.caption:
        parts.append(escape_markdown(table.caption))
    if table.notes:
        parts.append("\n".join(f"- {escape_markdown(note)}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


def _marked(text: str, mark: Mark | None) -> str:
    text = escape_markdown(text)
    return {"best": f"**{text}**", "second": f"<u>{text}</u>", None: text}[mark]


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    text = re.sub(r"([\\`*|~])", r"\\\1", one_line(text))
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # within a word it is an underscore already
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return text.replace("](", "]\\(")


def _grid(grid: Sequence[Sequence[str]], left: set[int]) -> str:
    widths = [max(3, *(len(line[place]) for line in grid)) for place in range(len(grid[0]))]

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
        for line in grid
    ]
    return "\n".join([padded[0], joined(rule), *padded[1:]])


def csv_text(tables: Sequence[Table]) -> str:
    """Several tables in one CSV: unrounded values, empty where there are none.

    A column whose values have a spread is followed by `..._sd` and `..._runs`, one that has
    intervals by `..._low` and `..._high`. Footnotes are in a column `notes`. Texts that a
    spreadsheet would compute begin with an apostrophe.
    """
    flat = [line for table in tables for line in _flat(table)]
    names = list(dict.fromkeys(name for line in flat for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_value(each) for name, each in line.items()} for line in flat)
    return text.getvalue()


def _flat(table: Table) -> list[dict[str, Scalar]]:
    found = []
    with_interval = _with_interval(table)
    for row in table.rows:
        line: dict[str, Scalar] = {**table.context, "name": row.label, "status": row.status}
        if table.ranked:
            line["rank"] = row.rank
        for cell, column in zip(row.cells, table.columns, strict=True):
            line[column.key] = _raw(cell)
            if column.higher_is_better is not None:
                line[f"{column.key}_sd"] = _finite(cell.spread)
                line[f"{column.key}_runs"] = cell.n
            if column.key in with_interval:
                line |= {f"{column.key}_{end}": value for end, value in _ends(cell).items()}
        if table.footnotes:
            line["notes"] = "; ".join(row.notes)
        found.append(line)
    return found


def json_text(tables: Sequence[Table]) -> str:
    """Several tables as one JSON list: the rows of `objects`, each with its table's title."""
    items = [{"table": table.title, **row} for table in tables for row in objects(table)]
    return json.dumps(items, indent=1, allow_nan=False) + "\n"


def objects(table: Table) -> list[dict[str, Any]]:
    """A dictionary for each row; metrics are under `scores` as `{value, sd, runs}`.

    A column that has intervals adds `low` and `high`, a table that has footnotes `notes`.
    """
    found = []
    with_interval = _with_interval(table)
    for row in table.rows:
        item: dict[str, Any] = {**table.context, "name": row.label, "rank": row.rank}
        item["status"] = row.status
        scores = {}
        for cell, column in zip(row.cells, table.columns, strict=True):
            ends = _ends(cell) if column.key in with_interval else {}
            if column.higher_is_better is None:
                item[column.key] = _raw(cell)
                item |= {f"{column.key}_{end}": value for end, value in ends.items()}
            else:
                score = {"value": cell.number, "sd": _finite(cell.spread), "runs": cell.n}
                scores[column.key] = score | ends
        if table.footnotes:
            item["notes"] = list(row.notes)
        found.append({**item, "scores": scores})
    return found


def _with_interval(table: Table) -> set[str]:
    """The keys of the columns in which some cell has an interval."""
    return {
        column.key
        for place, column in enumerate(table.columns)
        if any(row.cells[place].interval is not None for row in table.rows)
    }


def _ends(cell: Cell) -> dict[str, float | None]:
    low, high = cell.interval or (None, None)
    return {"low": _finite(low), "high": _finite(high)}


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _raw(cell: Cell) -> Scalar:
    """The unrounded value: text as it is, a number that is not finite as None."""
    if isinstance(cell.value, str):
        return cell.value
    return cell.value if cell.number is not None else None


def rich_table(table: Table) -> rich.table.Table:
    """The brief columns for a terminal, footnotes below; best value bold, second underlined."""
    import rich.box
    import rich.table
    from rich.text import Text

    shown = [(place, column) for place, column in enumerate(table.columns) if column.brief]
    notes = [f"({letter}) {one_line(note)}" for note, letter in table.footnotes.items()]
    grid = rich.table.Table(
        title=Text(one_line(table.title)),
        title_justify="left",
        caption=Text("\n".join(notes)) if notes else None,
        caption_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
    )
    if table.ranked:
        grid.add_column("#", justify="right")
    grid.add_column(Text(table.label), overflow="fold")
    for _, column in shown:
        grid.add_column(
            Text(column.head), justify="left" if column.style == "text" else "right", no_wrap=True
        )
    styles = {"best": "bold", "second": "underline", None: ""}
    for line in lines(table):
        cells = [
            Text(one_line(text), style=styles[mark])
            for text, mark in (line.cells[place] for place, _ in shown)
        ]
        letters = f" ({','.join(line.letters)})" if line.letters else ""
        rank = [Text(line.rank)] if table.ranked else []
        grid.add_row(*rank, Text(one_line(line.label) + letters), *cells)
    return grid
