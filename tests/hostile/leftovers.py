"""What lies beside records, hostile: progress, logs, plans, sidecars of tables, pretrainings."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console

from benchmark.datasets.download import HASHES, download
from reports.boards.leaderboard import write_leaderboard
from reports.tracing.lookup import find_cell
from reports.tracing.retrace import retrace
from reports.tracing.trace import read_sidecar
from results.locks import HOLDER, is_held
from results.store import Store
from runners.cli.logs import logs
from runners.executors.slurm import runs_of_wave
from runners.plan import read_plan
from runners.pretraining.result import BEGUN, RESULT, read_begun, read_result
from runners.progress import LOG, PROGRESS, Progress, read_progress
from runners.survey import survey
from runners.watch import grid
from runners.worker import log_tail
from tests.factory import make_failure
from tests.hostile.case import Case, special_file, written
from tests.hostile.records import nested, signed
from tests.stores import write_run
from zoo.errors import CovbenchError

SIDECAR = "leaderboard.trace.json"


def progress(path: Path, out: Path) -> Any:
    return read_progress(path.parent)


def shown(path: Path, out: Path) -> str:
    """What `covbench status --watch` draws of a store."""
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(grid(survey(path.parent)))
    return console.export_text()


def planned(path: Path, out: Path) -> Any:
    """The folders that `covbench cancel` would write to."""
    return read_plan(path.parent)


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


def _progress() -> Iterator[Case]:
    good = {"phase": "training", "done": 3, "total": 9, "loss": 0.5, "epoch": 1, "epochs": 4}
    right = Progress("training", 3, 9, 0.5, 1, 4).__eq__
    yield Case("progress", progress, written(PROGRESS, json.dumps(good)), "ok", right=right)
    for name, text in (
        ("empty", ""),
        ("cut", json.dumps(good)[:20]),
        ("a list", "[1]"),
        ("a nest", nested(100_000)),
        ("no text", b"\xff\xfe\0\x01"),
        ("with an epoch that is a list", json.dumps({**good, "epoch": [1]})),
        ("with a loss that is text", json.dumps({**good, "loss": "low"})),
        ("with a phase that is a number", json.dumps({**good, "phase": 7})),
        ("with steps of 5,000 digits", '{"phase": "x", "done": ' + "9" * 5000 + "}"),
        ("without a phase", "{}"),
        ("of 100 MB", lambda: b'{"phase": "' + b"y" * 10**8 + b'"}'),
    ):
        make = written(PROGRESS, text)
        yield Case(f"progress, {name}", progress, make, "ok", right=lambda found: found is None)
    pipe = special_file(PROGRESS, os.mkfifo)
    yield Case("progress, a pipe", progress, pipe, "ok", right=lambda found: found is None)
    for name, phase in (
        ("a terminal's commands", "\x1b]0;owned\x07\x1b[2J"),
        ("lines", "a\nb\r\nc"),
        ("steps of 5,000 digits", f"step {'9' * 5000} of {'9' * 5000}"),
        ("steps of nothing", "step 0 of 0"),
    ):
        text = json.dumps({**good, "phase": phase, "total": 0})
        make = special_file("runs/plan.json", lambda path, text=text: _begun(path, "unet", text))
        yield Case(f"status with a phase of {name}", shown, make, "ok", right=_is_tame)


def _begun(plan: Path, title: str, progress: str = "{}") -> None:
    """A store that was asked for one run, which was begun."""
    plan.write_text(json.dumps({"unet/x": title}))
    folder = plan.parent / "unet/x"
    folder.mkdir(parents=True)
    (folder / ".lock").touch()
    (folder / PROGRESS).write_text(progress)


def _failed(exception: str) -> Callable[[Path], Path]:
    """A store with one failure."""

    def make(folder: Path) -> Path:
        root = folder / "runs"
        failure = make_failure("unet").model_copy(update={"exception": exception})
        Store(root).write_failure(failure)
        return root / "plan.json"

    return make


def _is_tame(text: str) -> bool:
    assert all(line.isprintable() for line in text.splitlines()), ascii(text[:500])
    return text == "No runs yet.\n" or "unet" in text or "title" in text


def _plans() -> Iterator[Case]:
    for name, title in (
        ("a terminal's commands", "title \x1b]0;owned\x07\x1b[2J"),
        ("markup", "title [bold red]x[/] [link=file:///etc]y[/link]"),
        ("a fold of 5,000 digits", f"title · phantom fold {'9' * 5000} seed 0"),
        ("a seed of 5,000 digits", f"title · phantom fold 1 seed {'9' * 5000}"),
        ("100,000 characters", "title " + "y" * 100_000),
        ("lines", "title\n\n\nx"),
    ):
        make = special_file("runs/plan.json", lambda path, title=title: _begun(path, title))
        yield Case(f"status with a title of {name}", shown, make, "ok", right=_is_tame)
    for name, exception in (("nothing", ""), ("commands", "\x1b[2J\n\x1b"), ("lines", "\n\na\n")):
        make = _failed(exception)
        yield Case(f"status with a failure of {name}", shown, make, "ok", right=_is_tame)
    for name, folder in (
        ("a path upwards", "../../../etc"),
        ("a whole path", "/etc"),
        ("nothing", ""),
        ("a zero byte", "a\0b"),
        ("255 levels", "a/" * 255),
        ("5,000 characters", "a" * 5000),
        ("a half of a pair", "\ud800"),
    ):
        text = json.dumps({folder: "title"})
        make = written("runs/plan.json", text)
        yield Case(f"status with a folder of {name}", shown, make, "ok", right=_is_tame)
        if name != "255 levels":
            yield Case(f"plan with a folder of {name}", planned, make, "ok", right={}.__eq__)


def _logs() -> Iterator[Case]:
    def tail(path: Path, out: Path) -> str:
        return log_tail(path.parent)

    def sparse(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(2**40)
            file.seek(2**40)
            file.write(b"the end")

    far = special_file(LOG, sparse)
    yield Case("end of a log of 1 TiB", tail, far, "ok", right=lambda text: text.endswith("end"))
    binary = written(LOG, bytes(range(256)) * 100)
    yield Case("end of a log of bytes", tail, binary, "ok", right=lambda text: len(text) == 4000)

    def printed(path: Path, out: Path) -> Any:
        with redirect_stdout(io.StringIO()) as said:
            assert logs(path.parent.name, out=path.parent.parent) == 0
        return said.getvalue()

    for name, content, right in (
        ("of bytes", bytes(range(128, 256)) * 9, lambda text: text.count("\ufffd") > 999),
        ("of one line", b"x" * 2**22, lambda text: len(text) == 2**22),
    ):
        make = special_file("store/run/log.txt", lambda path, content=content: _log(path, content))
        yield Case(f"log {name}", printed, make, "ok", right=right)


def _log(path: Path, content: bytes) -> None:
    (path.parent.parent / "plan.json").write_text(json.dumps({"run": "run"}))
    path.write_bytes(content)


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


def _others() -> Iterator[Case]:
    def result(path: Path, out: Path) -> Any:
        return read_result(path.parent)

    for name, content in (
        ("empty", ""),
        ("cut", '{"schema": 1, "pay'),
        ("a list", "[]"),
        ("a nest", nested(100_000)),
        ("no text", b"\xff\xfe\0\x01"),
        ("signed, with nothing in it", signed({})),
        ("signed, with other types", signed({"schema": 1, "spec": [], "files": 5})),
    ):
        yield Case(f"result of a pretraining, {name}", result, written(RESULT, content))
    large = written(RESULT, lambda: b'{"x": "' + b"y" * 10**8 + b'"}')
    yield Case("result of a pretraining, of 100 MB", result, large, says=("record_bytes",))
    pipe = special_file(RESULT, os.mkfifo)
    yield Case("result of a pretraining, a pipe", result, pipe)

    def begun(path: Path, out: Path) -> Any:
        return read_begun(path.parent)

    for name, make in (
        ("a nest", written(BEGUN, nested(100_000))),
        ("a pipe", special_file(BEGUN, os.mkfifo)),
        ("no text", written(BEGUN, b"\xff\xfe")),
    ):
        yield Case(f"begun pretraining, {name}", begun, make, "ok", right=lambda found: not found)

    def fetched(path: Path, out: Path) -> Any:
        return download({"a.zip": "https://127.0.0.1:1/a.zip"}, path.parent)

    for name, content in (
        ("a list of numbers", "[1, 2]"),
        ("a number", "5"),
        ("a nest", nested(100_000)),
        ("no text", b"\xff\xfe"),
        ("cut", '{"a.zip": "12'),
    ):
        yield Case(f"hashes of downloads, {name}", fetched, written(HASHES, content))

    def wave(path: Path, out: Path) -> Any:
        return runs_of_wave(path)

    for name, content in (
        ("a number", "5"),
        ("a nest", nested(100_000)),
        ("no text", b"\xff\xfe"),
        ("cut", '["12'),
        ("of 100 MB", lambda: b'["' + b"y" * 10**8 + b'"]'),
    ):
        yield Case(f"wave of Slurm, {name}", wave, written("wave.json", content), "ok", right=_none)
    good = written("wave.json", '["a", "b"]')
    yield Case("wave of Slurm", wave, good, "ok", right=["a", "b"].__eq__)

    def held(path: Path, out: Path) -> Any:
        """As where the file system has no locks."""
        with patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "no locks")):
            return is_held(path.parent)

    for name, content in (
        ("bytes", b"\xff\xfe\0"),
        ("5,000 digits", f"{socket.gethostname()} {'9' * 5000} x".encode()),
    ):
        make = special_file(f"run/{HOLDER}", lambda path, content=content: _held(path, content))
        yield Case(f"holder of {name}", held, make, "ok")


def _none(answer: Any) -> bool:
    return not answer


def _held(path: Path, content: bytes) -> None:
    (path.parent / ".lock").touch()
    path.write_bytes(content)


SEEDED = {"traced_of_bytes": traced}
CASES = (*_progress(), *_plans(), *_logs(), *_sidecars(), *_others())
