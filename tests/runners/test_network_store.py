"""A store on a network file system, and clocks that jump: nothing recorded is lost or hidden."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from reports.report import Wish, write_report
from reports.subject import read_holdings
from results import files, store
from results.files import found_below, lasting, read_text
from results.store import RECORD, Store
from runners.checkpoint import load_checkpoint, save_checkpoint
from runners.leftovers import sweep_run
from runners.survey import survey
from tests.factory import make_record


def stale(times: int, then: Callable[[], Any]) -> Callable[[], Any]:
    """A function that finds a stale handle so many times."""
    left = iter(range(times))

    def act() -> Any:
        if next(left, None) is not None:
            raise OSError(errno.ESTALE, "Stale file handle")
        return then()

    return act


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_STALE_PAUSE", 0.0)


def test_a_stale_handle_is_tried_again_a_few_times() -> None:
    assert lasting(stale(3, lambda: "found")) == "found"
    with pytest.raises(OSError, match="Stale"):
        lasting(stale(4, lambda: "found"))


def test_other_problems_are_not_tried_again() -> None:
    tries = []

    def act() -> None:
        tries.append(1)
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input"):
        lasting(act)
    assert len(tries) == 1


def test_a_record_that_another_machine_has_just_replaced_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Store(tmp_path)
    record = make_record("unet")
    made.write(record)
    plain = Path.read_text
    stumble = stale(2, lambda: None)

    def reading(self: Path, *arguments: Any, **named: Any) -> str:
        if self.name == RECORD:
            stumble()
        return plain(self, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", reading)
    assert made.read(record.spec) == record


def test_a_folder_is_looked_at_again_where_a_record_seems_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An NFS client may remember that a file is not there; opening the folder makes it ask.
    made = Store(tmp_path)
    record = make_record("unet")
    made.write(record)
    hidden = made.folder(record.spec) / RECORD
    elsewhere = tmp_path / "elsewhere"
    hidden.rename(elsewhere)

    def look(folder: Path) -> None:
        assert folder == hidden.parent
        elsewhere.rename(hidden)

    monkeypatch.setattr(store, "look_again", look)
    assert made.read(record.spec) == record


def test_deleted_files_that_are_still_open_are_no_files_of_ours(tmp_path: Path) -> None:
    made = Store(tmp_path)
    record = make_record("unet")
    made.write(record)
    folder = made.folder(record.spec)
    for place in (tmp_path, folder.parent, folder):
        (place / ".nfs000000000123abcd00000001").write_text("{}")
    save_checkpoint(folder, 1, {"step": 1})
    assert load_checkpoint(folder) == ({"step": 1}, [])
    assert list(made.records()) == [record]
    assert made.all_failures() == []
    assert [entry.state for entry in survey(tmp_path)] == ["done"]
    assert read_holdings(tmp_path).records == (record,)
    assert found_below(tmp_path, "*0001") == []
    sweep_run(folder)  # leaves them: they go by themselves when they are closed
    assert (folder / ".nfs000000000123abcd00000001").exists()


def test_a_checkpoint_that_can_not_be_read_gives_way_to_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, 1, {"step": 1})
    newest = save_checkpoint(tmp_path, 2, {"step": 2})
    plain = Path.open

    def opening(self: Path, *options: Any, **more: Any) -> Any:
        if self == newest:
            raise OSError(errno.EIO, "Input/output error")
        return plain(self, *options, **more)

    monkeypatch.setattr(Path, "open", opening)
    state, refused = load_checkpoint(tmp_path)
    assert state == {"step": 1}
    assert refused == [f"{newest.name} can't be read: Input/output error"]


def test_folders_that_vanish_while_they_are_listed_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / RECORD).touch()
    plain = Path.rglob
    vanish = iter([FileNotFoundError(errno.ENOENT, "gone"), OSError(errno.ESTALE, "Stale")])

    def looking(self: Path, pattern: str) -> Any:
        error = next(vanish, None)
        if error is not None:
            raise error
        return plain(self, pattern)

    monkeypatch.setattr(Path, "rglob", looking)
    assert found_below(tmp_path, RECORD) == [tmp_path / RECORD]


def test_a_clock_that_was_set_back_breaks_no_report_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Store(tmp_path)
    early, late = "1970-01-01T00:00:00+00:00", "2026-05-02T10:00:00+00:00"
    record = make_record("unet").model_copy(update={"started": late, "finished": early})
    made.write(record)
    assert write_report(tmp_path, tmp_path / "report", Wish(page=True)).paths
    assert [entry.state for entry in survey(tmp_path)] == ["done"]

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 5, 2, tzinfo=tz)

    monkeypatch.setattr(store, "datetime", Stopped)
    for _ in range(3):
        made.set_aside(record.spec)
        made.write(record)
    kept = [name for name in os.listdir(made.folder(record.spec)) if name.startswith(RECORD)]
    assert len(kept) == 4
    assert read_text(made.folder(record.spec) / RECORD) == record.to_text()
