"""Tables as files, one a format."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from reports.tables.html import html_file
from reports.tables.latex import latex_file
from reports.tables.render import csv_text, json_text
from reports.tables.table import Table
from results.files import write_atomically

TABLE_FORMATS = ("md", "tex", "csv", "html", "json")
STORE_FORMATS = ("md", "tex", "csv")
"""What every `covbench run` leaves."""


def write_tables(
    tables: Sequence[Table], folder: Path, name: str, formats: Collection[str]
) -> tuple[Path, ...]:
    """Write tables into one file a format.

    Args:
        tables: The tables, in their order.
        folder: Where the files go.
        name: Their name, without its ending.
        formats: Which of `TABLE_FORMATS` to write; others are passed over.

    Returns:
        The paths; nothing is written where there is no table.
    """
    if not tables:
        return ()
    texts = {
        "md": lambda: "\n".join(table.to_markdown() for table in tables),
        "tex": lambda: latex_file(tables),
        "csv": lambda: csv_text(tables),
        "html": lambda: html_file(tables, f"covbench: {name}"),
        "json": lambda: json_text(tables),
    }
    paths = {each: folder / f"{name}.{each}" for each in TABLE_FORMATS if each in formats}
    for each, path in paths.items():
        write_atomically(path, texts[each]())
    return tuple(paths.values())
