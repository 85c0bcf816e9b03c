"""Hostile sidecars of tables, which `covbench trace` reads, and the CSV files beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reports.boards.leaderboard import write_leaderboard
from reports.tracing.lookup import find_cell
from reports.tracing.retrace import retrace
from reports.tracing.trace import read_sidecar
from results.store import Store
from tests.hostile.case import Case, special_file, written
from tests.hostile.records import nested
from tests.stores import write_run
from zoo.errors import CovbenchError

SIDECAR = "leaderboard.trace.json"


def traced(path: Path, out: Path) -> Any:
    cell = find_cell(str(path), "unet", "dice_slice")
    return retrace(cell)


def traced_of_bytes(path: Path, out: Path) -> Any:
    """The same of a sidecar beside which nothing lies; a table of any name will do."""
    try:
        return traced(path, out)
    except CovbenchError as error:
        if "Unknown row" not in str(error):
            raise
    for table in read_sidecar(path).tables.values():
        for row, cells in table.rows.items():
            for column in cells:
                return retrace(find_cell(str(path), row, column))


def sidecar(path: Path, out: Path) -> Any:
    return read_sidecar(path)


def table(change: Callable[[Any], Any], files: dict[str, bytes] | None = None) -> Any:
    """A leaderboard whose sidecar was changed, and what else lies there."""

    def make(folder: Path) -> Path:
        store = Store(folder)
        for fold in (1, 2):
            write_run(store, {"p1-0": 0.75, "p2-0": 0.65}, model="unet", fold=fold)
        write_leaderboard(folder)
        path = folder / SIDECAR
        content = json.loads(path.read_text())
        path.write_text(json.dumps(change(content) or content))
        for name, each in (files or {}).items():
            (folder / name).write_bytes(each)
        return path

    return make


def put(value: Any, *keys: str) -> Callable[[Any], None]:
    """A change of one place; "*" stands for every key of a level."""

    def change(content: Any) -> None:
        places = [content]
        for key in keys[:-1]:
            places = [
                each
                for place in places
                for each in (place.values() if key == "*" else [place[key]])
            ]
        for place in places:
            place[keys[-1]] = value

    return change


def _sidecars() -> Iterator[Case]:
    def agrees(found: Any) -> bool:
        return found.cell.value == 0.7 and found.disagreement is None and len(found.runs) == 2

    yield Case("sidecar", traced, table(lambda content: None), "ok", right=agrees)
    cell = ("tables", "*", "rows", "unet", "dice_slice")
    for name, change, *says in (
        ("of a newer schema", put(2, "schema"), "schema 2"),
        ("of a schema that is a list", put([1], "schema")),
        ("that is a list", lambda content: [content]),
        ("without tables", lambda content: {"schema": 1}),
        ("with tables that are a list", put([], "tables")),
        ("with a table that is null", put({"x": None}, "tables")),
        ("with a title that is a list", put([1], "tables", "*", "title")),
        ("with columns that are text", put("x", "tables", "*", "columns")),
        ("with rows that are text", put("x", "tables", "*", "rows")),
        ("with a scale that is text", put("x", "tables", "*", "columns", "dice_slice", "scale")),
        ("with a cell that is a number", put(5, *cell)),
        ("with a cell without runs", put({"value": 1, "shown": "1", "how": "mean"}, *cell)),
        ("with runs that are text", put("abc", *cell, "runs")),
        ("with runs that climb", put(["../../../../etc/pas"], *cell, "runs"), "runs"),
        ("with runs that are patterns", put(["**a**b**c**d"], *cell, "runs"), "runs"),
        ("with another way", put("magic", *cell, "how"), "how"),
        ("with a store that is a number", put(5, "store")),
        ("with a file in another folder", put("0", "files", "../../etc/passwd")),
        ("with a file of a whole path", put("0", "files", "/dev/zero")),
        ("with a value that is a nest", put(json.loads(nested(500)), *cell, "value"), "nested"),
    ):
        make = table(change)
        yield Case(f"sidecar {name}", traced, make, says=tuple(says), named=SIDECAR)
    for name, change, *says in (
        ("without the cell", lambda content: content["tables"].popitem()[1]["rows"].clear()),
        ("of another value", put(0.9, *cell, "value"), "give 0.7"),
        ("of no runs that are there", put(["ab" * 32], *cell, "runs"), "is not below"),
        (
            "of a metric that nobody knows",
            put("x", "tables", "*", "columns", "dice_slice", "metric"),
        ),
        ("of a target that climbs", put("../../x", "tables", "*", "context", "target")),
        ("of a store that is not there", put("../no/such", "store"), "no folder"),
        ("of a store with a zero byte", put("a\0b", "store")),
    ):
        make = table(change)
        yield Case(f"sidecar {name}", _disagrees, make, says=tuple(says), named="")
    make = table(put("\x1b]0;x\x07", *cell, "shown"))
    right = lambda found: found.cell.shown.isprintable()  # noqa: E731
    yield Case("sidecar with a shown text of commands", traced, make, "ok", right=right)
    for name, content in (
        ("empty", b""),
        ("cut", b'{"schema": 1, "tab'),
        ("a nest", nested(100_000).encode()),
        ("no text", b"\xff\xfe\0\x01"),
        ("a list", b"[]"),
    ):
        yield Case(f"sidecar, {name}", sidecar, written(SIDECAR, content))
    yield Case("sidecar, a pipe", sidecar, special_file(SIDECAR, os.mkfifo))
    yield Case(
        "sidecar of 100 MB",
        sidecar,
        written(SIDECAR, lambda: b'{"schema": 1, "x": "' + b"y" * 10**8 + b'"}'),
        says=("manifest_bytes",),
    )
    for name, content in (
        ("a field of 1 MB", b"name,dice_slice\n" + b"y" * 2**20),
        ("no text", b"\xff\xfe\0"),
        ("a field that never ends", b'name,"' + b"y\n" * 2**17),
    ):
        make = table(lambda content: None, {"leaderboard.csv": content})
        yield Case(f"table of {name}", traced, make, named="leaderboard.csv")


def _disagrees(path: Path, out: Path) -> Any:
    """An answer that names what does not fit is an error, as `covbench trace` raises it."""
    found = traced(path, out)
    if found.disagreement is not None:
        raise found.disagreement
    return found


SEEDED = {"traced_of_bytes": traced}
CASES = tuple(_sidecars())
