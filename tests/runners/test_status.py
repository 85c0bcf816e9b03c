"""`covbench status`: the state of every run, from the files of its folder alone."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from results.store import RECORD, Store
from runners.cancelling import cancel_run
from runners.cli import run_cli
from runners.progress import PROGRESS, Progress, ProgressWriter
from runners.survey import Entry, survey
from tests.factory import make_failure, make_record, make_spec


@pytest.fixture
def store(tmp_path: Path) -> Store:
    root = tmp_path / "runs"
    root.mkdir()
    return Store(root)


def begun(store: Store, model: str, step: int = 0) -> Path:
    """A run as its worker leaves it when it is killed: a lock and its last progress."""
    folder = store.folder(make_spec(model))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".lock").touch()
    (folder / "checkpoint-000000003-ab.pt").touch()
    if step:
        ProgressWriter(folder)(Progress("training", step, 16, 0.7))
    return folder


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The run in the hands of a living process."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def only(store: Store) -> Entry:
    (entry,) = survey(store.root)
    return entry


def test_a_store_whose_path_no_terminal_shows(tmp_path: Path) -> None:
    store = Store(tmp_path / "医療\u3000data" / "runs")
    folder = begun(store, "unet")
    save_titles(store.root, {make_spec("unet").folder: make_spec("unet").title})
    cancel_run(folder)
    entry = only(store)
    assert (entry.state, Path(entry.path)) == ("cancelled", folder)


def save_titles(root: Path, titles: dict[str, str]) -> None:
    """What a plan leaves."""
    (root / "plan.json").write_text(json.dumps(titles))


def test_done(store: Store) -> None:
    record = make_record("unet", 0.71234)
    store.write(record)
    (store.folder(record.spec) / ".lock").touch()  # every worker leaves it
    entry = only(store)
    assert (entry.title, entry.state, entry.detail) == (record.spec.title, "done", "Dice 0.7123")
    assert Path(entry.path, RECORD).is_file()
    with held(store.folder(record.spec)):
        assert only(store).state == "done"


def test_done_without_a_defined_dice(store: Store) -> None:
    store.write(make_record("unet", None))
    assert (only(store).state, only(store).detail) == ("done", "Dice undefined")


def test_failed(store: Store) -> None:
    folder = begun(store, "unet")
    store.write_failure(make_failure("unet"))
    store.write_failure(make_failure("unet", "diverged", attempt=2))
    entry = only(store)
    assert entry.title == make_spec("unet").title
    assert entry.state == "failed"
    assert entry.detail.startswith("diverged: torch.OutOfMemoryError: no room")
    assert str(folder / "log.txt") in entry.detail
    with held(folder):  # it is tried again at this moment
        assert only(store).state == "running"
    assert only(store).state == "failed"


def test_a_failure_before_a_success_is_forgotten(store: Store) -> None:
    store.write_failure(make_failure("unet"))
    store.write(make_record("unet"))
    assert only(store).state == "done"


def test_interrupted_and_running(store: Store) -> None:
    folder = begun(store, "unet", step=5)
    entry = only(store)
    assert (entry.state, entry.detail) == ("interrupted", "training step 5 of 16")
    assert entry.path == str(folder)
    assert entry.title == str(folder.relative_to(store.root))
    with held(folder):
        assert only(store).state == "running"
        assert only(store).detail == "training step 5 of 16"
    assert only(store).state == "interrupted"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"phase": "training", "more": 1}', "\x00"])
def test_progress_that_cannot_be_read_is_left_out(text: str, store: Store) -> None:
    (begun(store, "unet") / PROGRESS).write_text(text)
    assert (only(store).state, only(store).detail) == ("interrupted", "")


@pytest.mark.parametrize("text", ["", "{", "null", '{"schema": 99}'])
def test_damaged(text: str, store: Store) -> None:
    folder = begun(store, "unet", step=5)
    (folder / RECORD).write_text(text)
    entry = only(store)
    assert entry.state == "damaged"
    assert entry.detail
    assert entry.path == str(folder / RECORD)


def test_a_damaged_record_that_is_run_again_is_running(store: Store) -> None:
    folder = begun(store, "unet", step=5)
    (folder / RECORD).write_text("{")
    with held(folder):
        assert only(store).state == "running"


def test_a_damaged_record_beside_a_failure_is_one_failed_run(store: Store) -> None:
    # As the plan sees it: it is not tried again until that is asked for.
    folder = begun(store, "unet")
    store.write_failure(make_failure("unet"))
    (folder / RECORD).write_text("{")
    assert only(store).state == "failed"
    with held(folder):
        assert only(store).state == "running"


def test_an_edited_record_is_damaged(store: Store) -> None:
    record = make_record("unet", 0.7)
    store.write(record)
    path = store.folder(record.spec) / RECORD
    path.write_text(path.read_text().replace('"value": 0.7', '"value": 0.9', 1))
    assert only(store).state == "damaged"
    assert "SHA-256" in only(store).detail


@pytest.fixture
def mixed(store: Store) -> Iterator[Store]:
    """One run of each state."""
    store.write(make_record("unet"))
    begun(store, "enet")
    store.write_failure(make_failure("enet"))
    begun(store, "cgnet", step=5)
    begun(store, "espnetv2")
    (begun(store, "miniseg") / RECORD).write_text("{")
    with held(store.folder(make_spec("espnetv2"))):
        yield store


def test_json_is_one_valid_list(mixed: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["status", "--out", str(mixed.root), "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert shown.err == ""
    assert [set(entry) for entry in found] == [{"title", "state", "detail", "path", "seconds"}] * 5
    assert {Path(entry["path"]).relative_to(mixed.root).parts[0]: entry["state"]
            for entry in found} == {
        "unet": "done", "enet": "failed", "cgnet": "interrupted", "espnetv2": "running",
        "miniseg": "damaged",
    }  # fmt: skip


def test_a_line_for_each_run_and_the_sum(mixed: Store, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in mixed.root.rglob("*")}
    assert run_cli(["status", "--out", str(mixed.root)]) == 0
    *lines, total, left = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 5
    assert "time left" in left
    assert total == "1 damaged, 1 done, 1 failed, 1 interrupted, 1 running"
    assert {path: path.stat().st_mtime_ns for path in mixed.root.rglob("*")} == before


def test_an_empty_store(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["status", "--out", str(store.root)]) == 0
    assert capsys.readouterr().out == "No runs yet.\n"
    assert run_cli(["status", "--out", str(store.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_was_asked_for_and_never_begun_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.write(make_record("unet"))
    unet, enet = make_record("unet").spec, make_spec("enet")
    wanted = {spec.folder: spec.title for spec in (unet, enet)}
    (tmp_path / "plan.json").write_text(json.dumps(wanted))
    assert {entry.title: entry.state for entry in survey(tmp_path)} == {
        unet.title: "done",
        enet.title: "missing",
    }
    assert run_cli(["status", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "1 done, 1 missing" in shown
    assert "time left" in shown
