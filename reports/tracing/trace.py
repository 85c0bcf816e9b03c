"""Where a table's numbers come from: a sidecar beside its files names the runs behind each cell."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from benchmark.metrics import METRICS
from benchmark.metrics.definitions import INSIDE_LUNG
from reports.tables.files import TABLE_FORMATS
from reports.tables.shown import show
from reports.tables.table import Cell, Column, Table
from results.files import parse_json, sha256_file, write_atomically
from results.provenance import covbench_version
from results.record import RunRecord
from results.spec import canonical_json, sha256
from results.store import Store
from zoo.errors import CovbenchError, one_line
from zoo.limits import read_limited

SCHEMA = 1
ENDING = ".trace.json"
TABLES = tuple(f".{each}" for each in TABLE_FORMATS)
"""Endings of the files that a sidecar is written for."""
COSTS = ("params", "macs")
"""Columns of what a network costs: the same in every run of a row."""

TRACED = {**METRICS, INSIDE_LUNG.key: INSIDE_LUNG}
"""What records have a score of."""

How = Literal["mean", "cost", "not traced"]
"""A mean over the scores of runs, what a network costs, or something that runs don't give."""

FileName = Annotated[str, Field(pattern=r"^[^/\\\x00]+$")]
Text = Annotated[str, AfterValidator(one_line)]
RunId = Annotated[str, Field(pattern="^[0-9a-f]{12,64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)


class CellPart(_Part):
    """A cell: its value, what readers see, how it was made, and the runs behind it."""

    value: float | int | Text | None
    shown: Text
    how: How
    runs: list[RunId]


class ColumnPart(_Part):
    """A column: its heading, and the key of the metric that its values are means of, if any."""

    title: Text
    unit: Text
    scale: float
    metric: str | None = None


class TablePart(_Part):
    """A table: its columns by key, and its cells by row and column."""

    title: Text
    context: dict[str, str]
    columns: dict[str, ColumnPart]
    rows: dict[str, dict[str, CellPart]]


class RunPart(_Part):
    """A run: its folder below the store, and the SHA-256 of its record's payload."""

    folder: str = ""
    record: str = ""


class Sidecar(_Part):
    """What a sidecar says; see `write_sidecar`."""

    version: Literal[1] = Field(alias="schema")
    store: str
    files: dict[FileName, str]
    runs: dict[RunId, RunPart]
    tables: dict[str, TablePart]


def sidecar_of(path: Path) -> Path:
    """The sidecar beside a table's file; a sidecar is its own."""
    return path if path.name.endswith(ENDING) else path.with_name(path.stem + ENDING)


def read_sidecar(path: Path) -> Sidecar:
    """What stands beside a table's file.

    Args:
        path: The file, or its sidecar.

    Raises:
        CovbenchError: There is no such file, it has no sidecar, or the sidecar can't be read.
    """
    sidecar = sidecar_of(path)
    again = "Write it again: covbench report --from FOLDER_OF_RUNS --to FOLDER"
    try:
        content = parse_json(read_limited(sidecar, "manifest_bytes"))
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        if content.get("schema") != SCHEMA:
            raise ValueError(f"schema {content.get('schema')!r}; this covbench reads {SCHEMA}")
        return Sidecar.model_validate(content)
    except OSError:
        if not path.is_file():
            raise CovbenchError(
                f"There is no file {path}.", "Name a written table: report/leaderboard.md"
            ) from None
        raise CovbenchError(
            f"{path} has no {sidecar.name} beside it, which says what stands behind its numbers.",
            again,
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CovbenchError(
            one_line(f"{sidecar} can't be read: {where[:100]}: {first['msg']}."), again
        ) from None
    except ValueError as error:
        raise CovbenchError(
            f"{sidecar} can't be read: {one_line(str(error))[:200]}.", again
        ) from None


def write_sidecar(
    tables: Sequence[Table],
    folder: Path,
    name: str,
    store_root: Path,
    records: Iterable[RunRecord] | None = None,
) -> tuple[Path, ...]:
    """Write `NAME.trace.json` beside the files of some tables, which are written first.

    It holds for each table, row and column the value, how it was made, and the ids of the runs
    behind it; the place of the store relative to the folder; and a SHA-256 of each table's file
    and each record, so that a later change of either is seen.

    Args:
        tables: The tables of the files.
        folder: Where the files are.
        name: Their name, without its ending.
        store_root: The folder of the records.
        records: The records, where they are read already.

    Returns:
        Its path; nothing where no such file is there.
    """
    files = [folder / f"{name}{ending}" for ending in TABLES]
    files = [path for path in files if path.is_file()]
    if not tables or not files:
        return ()
    if records is None:
        records = (each for each in Store(store_root).records() if isinstance(each, RunRecord))
    cells = (cell for table in tables for row in table.rows for cell in row.cells)
    cited = {run for cell in cells for run in cell.runs}
    content = {
        "schema": SCHEMA,
        "covbench": covbench_version(),
        # A shipped store has a name and no place.
        "store": _relative(store_root, folder) if store_root.exists() else str(store_root),
        "files": {path.name: sha256_file(path) for path in files},
        "runs": {
            record.spec.id: {"folder": record.spec.folder, "record": payload_hash(record)}
            for record in records
            if record.spec.id in cited
        },
        "tables": dict(
            zip(_distinct(table.name for table in tables), map(_table, tables), strict=True)
        ),
    }
    path = folder / f"{name}{ENDING}"
    write_atomically(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False))
    return (path,)


def payload_hash(record: RunRecord) -> str:
    """The SHA-256 that the record's file carries of its own payload."""
    return sha256(canonical_json(record.model_dump(mode="json", by_alias=True)))


def _relative(store_root: Path, folder: Path) -> str:
    """The store as seen from a folder; its whole path where no relative one leads there."""
    try:
        return Path(os.path.relpath(store_root.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return store_root.resolve().as_posix()


def _distinct(names: Iterable[str]) -> list[str]:
    """Names, each once: a second one of the same name is followed by (2)."""
    found: list[str] = []
    for name in names:
        count = 1 + sum(each == name or each.startswith(f"{name} (") for each in found)
        found.append(name if name not in found else f"{name} ({count})")
    return found


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "context": dict(table.context),
        "columns": {
            column.key: {
                "title": column.title,
                "unit": column.unit,
                "scale": column.scale,
                **({"metric": column.of} if column.of else {}),
            }
            for column in table.columns
        },
        "rows": {
            label: {
                column.key: _cell(cell, column)
                for cell, column in zip(row.cells, table.columns, strict=True)
            }
            for label, row in zip(
                _distinct(row.label for row in table.rows), table.rows, strict=True
            )
        },
    }


def _cell(cell: Cell, column: Column) -> dict[str, Any]:
    value = cell.value if isinstance(cell.value, str) or cell.number is not None else None
    runs = [run for run in cell.runs if run]  # trivial predictors have runs without an id
    how: How = "not traced"
    if runs and column.metric in TRACED:
        how = "mean"
    elif runs and column.key in COSTS:
        how = "cost"
    return {"value": value, "shown": show(cell, column), "how": how, "runs": runs}
