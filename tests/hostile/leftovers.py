"""What lies beside records, hostile: progress, logs, plans, pretrainings, notes of engines."""

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


CASES = (*_progress(), *_plans(), *_logs(), *_others())
