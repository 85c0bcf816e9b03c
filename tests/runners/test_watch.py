"""`status --watch`, `logs` and `cancel`: a store made by hand, and what is said of it."""

from __future__ import annotations

import fcntl
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from results.store import Store
from runners.cancelling import is_cancelled
from runners.cli import run_cli
from runners.progress import Progress, ProgressWriter
from runners.survey import survey
from runners.watch import grid, seconds_left, total, watch
from tests.factory import make_failure, make_record, make_spec


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Of unet: seed 0 done, seed 1 half done, seed 2 failed; of enet seed 0 never begun."""
    store = Store(tmp_path)
    store.write(make_record("unet", 0.7))
    half = make_spec("unet", seed=1)
    folder = store.folder(half)
    folder.mkdir(parents=True)
    (folder / ".lock").touch()
    (folder / "log.txt").write_text("first\nlast\n")
    ProgressWriter(folder)(Progress("training", 8, 16, 0.25, 2, 4), now=True)
    store.write_failure(make_failure("unet", "diverged", seed=2))
    specs = [make_spec("unet"), half, make_spec("unet", seed=2), make_spec("enet")]
    (tmp_path / "plan.json").write_text(json.dumps({spec.folder: spec.title for spec in specs}))
    return store


def shown(root: Path) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(grid(survey(root)))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_grid(store: Store) -> None:
    with (store.folder(make_spec("unet", seed=1)) / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = shown(store.root)
        found = {line.split("│")[1].strip(): line for line in text.splitlines() if "│" in line}
        cells = [cell.strip() for cell in found["unet"].split("│")[2:-1]]
        assert cells == ["0.7000", "2/4 0.250", "diverged"]
        assert [cell.strip() for cell in found["enet"].split("│")[2:-1]] == ["missing", "", ""]
        assert "diverged: torch.OutOfMemoryError: no room" in text
        # One run took s seconds: half of one is left of unet, and a whole one of enet.
        entries = survey(store.root)
        (seconds,) = [entry.seconds for entry in entries if entry.seconds is not None]
        assert seconds_left(entries) == pytest.approx(1.5 * seconds)
        assert total(entries).endswith("1 at a time.")


def test_lines_where_there_is_no_terminal(store: Store) -> None:
    for seed in (0, 1):
        store.write(make_record("unet", 0.7, seed=seed))
    store.write(make_record("enet", None))
    console = Console(file=io.StringIO(), width=200)
    watch(store.root, console, every=0.01)  # nothing is left to do: it ends by itself
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 5
    assert sum(line.startswith("done  ") for line in lines) == 3
    assert lines[-1] == "3 done, 1 failed"


def test_logs_by_id_title_and_folder(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    spec = make_spec("unet", seed=1)
    out = ["--out", str(store.root)]
    for word in (spec.id[:6], spec.title, spec.folder, "seed 1"):
        assert run_cli(["logs", word, *out]) == 0
        assert capsys.readouterr().out == "first\nlast\n"
    assert run_cli(["logs", spec.title, "--follow", *out]) == 0  # no worker holds it: it is over


def test_a_terminal_gets_no_commands_of_a_log(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = store.folder(make_spec("unet", seed=1)) / "log.txt"
    log.write_bytes(b"a\x1b]0;owned\x07\tb\n\xe8\x82")
    words = ["logs", "seed 1", "--out", str(store.root)]
    assert run_cli(words) == 0
    assert capsys.readouterr().out == "a\x1b]0;owned\x07\tb\n\ufffd", "a file gets it as it is"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run_cli(words) == 0
    assert capsys.readouterr().out == "a ]0;owned \tb\n\ufffd"


@pytest.mark.parametrize(
    ("word", "first", "second"),
    [
        ("unett", "Unknown run", "status"),
        ("unet", "names 3 runs", "seed 1"),
        ("enet", "has not begun", "status"),
    ],
)
def test_a_log_that_is_not_there(
    word: str, first: str, second: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["logs", word, "--out", str(store.root)]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert first in lines[0] and second in lines[1]


def test_cancel(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    enet, half = store.folder(make_spec("enet")), store.folder(make_spec("unet", seed=1))
    assert run_cli(["cancel", "enet", "--out", str(store.root)]) == 0
    assert "1 run cancelled" in capsys.readouterr().out
    assert is_cancelled(enet) and not is_cancelled(half)
    assert {entry.title: entry.state for entry in survey(store.root)}[
        make_spec("enet").title
    ] == "cancelled"
    assert run_cli(["cancel", "--out", str(store.root)]) == 0
    assert "3 runs cancelled; 1 done already." in capsys.readouterr().out
    assert is_cancelled(half)
    assert not is_cancelled(store.folder(make_spec("unet")))
    assert run_cli(["cancel", "--out", "/nowhere"]) == 1
