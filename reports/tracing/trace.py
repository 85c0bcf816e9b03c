"""Where a table's numbers come from: a sidecar beside its files names the runs behind each cell."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from benchmark.metrics import METRICS
from reports.tables.files import TABLE_FORMATS
from reports.tables.shown import show
from reports.tables.table import Cell, Column, Table
from results.files import sha256_file, write_atomically
from results.provenance import covbench_version
from results.record import RunRecord
from results.spec import canonical_json, sha256
from results.store import Store

SCHEMA = 1
ENDING = ".trace.json"
TABLES = tuple(f".{each}" for each in TABLE_FORMATS)
"""Endings of the files that a sidecar is written for."""
COSTS = ("params", "macs")
"""Columns of what a network costs: the same in every run of a row."""

How = Literal["mean", "cost", "not traced"]
"""A mean over the scores of runs, what a network costs, or something that runs don't give."""


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
    if runs and column.metric in METRICS:
        how = "mean"
    elif runs and column.key in COSTS:
        how = "cost"
    return {"value": value, "shown": show(cell, column), "how": how, "runs": runs}
