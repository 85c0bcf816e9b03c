"""A cell of a written table, looked up in the sidecar beside its files."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.tracing.trace import ENDING, TABLES, How, RunPart, TablePart, read_sidecar, sidecar_of
from reports.words import csv_value
from results.files import sha256_file
from results.shared import shipped_stores
from zoo.errors import CovbenchError, one_line, unknown
from zoo.limits import read_limited


@dataclass(frozen=True)
class Traced:
    """A cell of a written table, as its sidecar has it.

    Attributes:
        sidecar: The file that says so.
        table: Name of the table.
        title: Its heading.
        row: Label of the row.
        column: Key of the column.
        metric: Key of the metric that the column's values are means of, if they are.
        heading: The column's title.
        unit: Unit of what is shown.
        scale: Shown is the value times this.
        value: The value, unrounded; None where there is none.
        shown: The value as readers see it.
        how: How it was made.
        target: What was segmented.
        runs: The run behind it and the SHA-256 of its record's payload when the table was written.
        store: The folder of the records.
        edited: Sentences on files that are no longer what was written.
        csv_value: What the CSV says where that is another value, else None.
    """

    sidecar: Path
    table: str
    title: str
    row: str
    column: str
    metric: str
    heading: str
    unit: str
    scale: float
    value: float | int | str | None
    shown: str
    how: How
    target: str
    runs: Mapping[str, str]
    store: Path
    edited: tuple[str, ...] = ()
    csv_value: str | None = None

    def __str__(self) -> str:
        return f"{self.heading} of {self.row}"


def find_cell(
    table: str, row: str, column: str, *, store: Path | None = None, folders: Iterable[Path] = ()
) -> Traced:
    """Look a cell of a written table up.

    Args:
        table: A written file (`report/leaderboard.md`) or its sidecar; `FILE#NAME` where a file
            holds several tables; or a table's name alone, which is looked for in `folders`.
        row: Label of the row.
        column: Key or title of the column.
        store: The folder of the records; by default the one that the sidecar names.
        folders: Where a table's name alone is looked for.

    Raises:
        CovbenchError: There is no such file, table, row or column, or there are several.
    """
    file, _, name = (table, "", "") if Path(table).is_file() else table.partition("#")
    path = Path(file)
    if path.is_file() or path.suffix in TABLES or sidecar_of(path) == path:
        tables = read_sidecar(path).tables
        if name and name not in tables:
            raise unknown(f"table of {path}", name, tables, ", ".join(tables))
        found = [(path, key, each) for key, each in tables.items() if name in ("", key)]
    else:
        found = _named(table, folders)
    return _of(_choose(found, row, column), row, column, store)


Found = tuple[Path, str, TablePart]
"""A file, the name of a table in it, and what its sidecar says of the table."""


def _named(name: str, folders: Iterable[Path]) -> list[Found]:
    """The tables of a name in the sidecars of some folders."""
    looked = list(dict.fromkeys(folders))
    sidecars = [path for folder in looked for path in sorted(folder.glob(f"*{ENDING}"))]
    tables = [
        (path, key, each) for path in sidecars for key, each in read_sidecar(path).tables.items()
    ]
    found = [each for each in tables if each[1] == name]
    if not found:
        known = list(dict.fromkeys(key for _, key, _ in tables))
        where = " and ".join(map(str, looked))
        raise unknown(
            "table", name, known, ", ".join(known) or f"there are none in {where}; name a file"
        )
    # The same table, written into several folders: the first one stands for it.
    return found[:1]


def _column_keys(table: TablePart, column: str) -> list[str]:
    """The keys of the columns that a word means."""
    if column in table.columns:
        return [column]
    return [key for key, each in table.columns.items() if each.title == column]


def _choose(found: Sequence[Found], row: str, column: str) -> Found:
    """The one table that holds a row and a column."""
    with_row = [each for each in found if row in each[2].rows]
    if not with_row:
        rows = list(dict.fromkeys(label for _, _, each in found for label in each.rows))
        raise unknown("row", row, rows, ", ".join(rows))
    with_both = [each for each in with_row if _column_keys(each[2], column)]
    if not with_both:
        known = {
            word: key
            for _, _, table in with_row
            for key, each in table.columns.items()
            for word in (key, each.title)
        }
        keys = ", ".join(dict.fromkeys(known.values()))
        raise unknown("column", column, known, keys)
    if len(with_both) > 1:
        path, names = with_both[0][0], [name for _, name, _ in with_both]
        raise CovbenchError(
            f"{len(names)} tables of {path} have {row} and {column}: {', '.join(names)}.",
            f"Name one of them: covbench trace '{path}#{names[0]}' ...",
        )
    return with_both[0]


def _store(sidecar: Path, named: str) -> Path:
    """The store that a sidecar names: a place seen from its folder, or a shipped one."""
    if named in shipped_stores():
        return Path(named)
    return Path(os.path.normpath(sidecar.parent / named))


def _of(found: Found, row: str, column: str, store: Path | None) -> Traced:
    path, name, table = found
    keys = _column_keys(table, column)
    if len(keys) > 1:
        raise CovbenchError(
            f"{len(keys)} columns are called {column!r}.", f"Name it by its key: {', '.join(keys)}."
        )
    content, sidecar = read_sidecar(path), sidecar_of(path)
    head, cell = table.columns[keys[0]], table.rows[row].get(keys[0])
    if cell is None:
        raise CovbenchError(
            f"{sidecar} has no cell for {row} and {keys[0]}.",
            "Write it again: covbench report --from FOLDER_OF_RUNS --to FOLDER",
        )
    return Traced(
        sidecar=sidecar,
        table=name,
        title=table.title,
        row=row,
        column=keys[0],
        metric=head.metric or keys[0],
        heading=head.title,
        unit=head.unit,
        scale=head.scale,
        value=cell.value,
        shown=cell.shown,
        how=cell.how,
        target=table.context.get("target", "infection"),
        runs={run: content.runs.get(run, RunPart()).record for run in cell.runs},
        store=store or _store(sidecar, content.store),
        edited=tuple(_edited(sidecar, content.files)),
        csv_value=_other_value(sidecar, table.context, row, keys[0], cell.value),
    )


def _edited(sidecar: Path, files: Mapping[str, str]) -> list[str]:
    """Which of the table's files are no longer what was written."""
    return [
        f"{name} was changed after it was written: its numbers may be others."
        for name, expected in files.items()
        if (path := sidecar.with_name(name)).is_file() and sha256_file(path) != expected
    ]


def _other_value(
    sidecar: Path, context: Mapping[str, str], row: str, key: str, value: float | str | None
) -> str | None:
    """What the CSV beside a sidecar says of a cell, where that is not the sidecar's value."""
    path = sidecar.with_name(sidecar.name.removesuffix(ENDING) + ".csv")
    if not path.is_file():
        return None
    try:
        text = read_limited(path, "table_bytes").decode()
        lines = [
            line
            for line in csv.DictReader(io.StringIO(text, newline=""))
            if line.get("name") == csv_value(row)
            and all(line.get(key) == csv_value(value) for key, value in context.items())
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise CovbenchError(
            f"{path} can't be read: {one_line(str(error))[:200]}.",
            "Write it again: covbench report --from FOLDER_OF_RUNS --to FOLDER",
        ) from None
    texts = [line.get(key) or "" for line in lines]
    if any(_same_text(text, value) for text in texts):  # two tables may share their context
        return None
    return (texts[0] or "nothing") if texts else None  # a row that is gone is told by the hash


def _same_text(text: str, value: float | str | None) -> bool:
    if value is None or isinstance(value, str):
        return text == (value or "")
    try:
        return float(text) == value
    except ValueError:
        return False
