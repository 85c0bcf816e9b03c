from __future__ import annotations

from pathlib import Path

import pytest

from results.record import RunRecord
from results.store import RECORD, Damaged, Store, load_records
from tests.factory import make_failure, make_record, make_spec
from zoo.errors import CovbenchError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_an_empty_store(store: Store) -> None:
    assert store.read(make_spec()) is None
    assert list(store.records()) == []
    assert store.all_failures() == []
    assert not store.root.exists()


def test_what_is_written_is_read(store: Store) -> None:
    record = make_record()
    assert store.write(record)
    assert store.read(record.spec) == record
    assert list(store.records()) == [record]


def test_the_first_writer_wins(store: Store) -> None:
    first, second = make_record(dice=0.7), make_record(dice=0.9)
    assert store.write(first)
    assert not store.write(second)
    assert store.read(first.spec) == first


def test_a_damaged_record_is_missing_and_gives_way(store: Store) -> None:
    record = make_record()
    store.write(record)
    path = store.folder(record.spec) / RECORD
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    assert store.read(record.spec) is None
    (found,) = store.records()
    assert isinstance(found, Damaged)
    assert found.path == path
    assert found.reason
    assert store.write(record)
    assert store.read(record.spec) == record
    assert list(store.records()) == [record]
    (aside,) = path.parent.glob("record.json.damaged-*")
    assert aside.read_text() == text[: len(text) // 2]


@pytest.mark.parametrize("contents", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b"{}"])
def test_whatever_lies_there_is_damaged(store: Store, contents: bytes) -> None:
    path = store.folder(make_spec()) / RECORD
    path.parent.mkdir(parents=True)
    path.write_bytes(contents)
    (found,) = store.records()
    assert isinstance(found, Damaged)
    assert store.read(make_spec()) is None


def test_the_record_of_another_run_is_not_read(store: Store) -> None:
    store.write(make_record(seed=1))
    other = store.folder(make_spec(seed=1))
    mine = store.folder(make_spec(seed=0))
    mine.mkdir(parents=True)
    (mine / RECORD).write_bytes((other / RECORD).read_bytes())
    assert store.read(make_spec(seed=0)) is None


def test_set_aside_keeps_the_old_record_under_its_time(store: Store) -> None:
    record = make_record(dice=0.7)
    store.write(record)
    store.write_failure(make_failure())
    store.set_aside(record.spec)
    assert store.read(record.spec) is None
    assert store.failures(record.spec) == []
    assert list(store.records()) == []
    (old,) = store.folder(record.spec).glob("record.json.old-*")
    assert RunRecord.from_text(old.read_text()) == record
    assert store.write(make_record(dice=0.9))


def test_set_aside_of_a_run_that_never_was(store: Store) -> None:
    store.set_aside(make_spec())
    assert not store.root.exists()


def test_failures_come_oldest_first(store: Store) -> None:
    for attempt in (10, 2, 1):
        store.write_failure(make_failure(attempt=attempt))
    assert [failure.attempt for failure in store.failures(make_spec())] == [1, 2, 10]
    assert [failure.attempt for failure in store.all_failures()] == [10]


def test_a_recorded_run_has_not_failed(store: Store) -> None:
    store.write_failure(make_failure("unet"))
    store.write_failure(make_failure("enet"))
    store.write(make_record("unet"))
    assert [failure.spec.model for failure in store.all_failures()] == ["enet"]


def test_a_damaged_record_does_not_hide_a_failure(store: Store) -> None:
    store.write_failure(make_failure())
    (store.folder(make_spec()) / RECORD).write_text("{")
    assert len(store.all_failures()) == 1


def test_unreadable_failures_are_passed_over(store: Store) -> None:
    store.write_failure(make_failure(attempt=1))
    (store.folder(make_spec()) / "failed-2.json").write_text("{")
    assert [failure.attempt for failure in store.failures(make_spec())] == [1]


def test_leftovers_of_a_crash_are_no_records(store: Store) -> None:
    folder = store.folder(make_spec())
    folder.mkdir(parents=True)
    (folder / ".record.json.host.1.abcd.tmp").write_text("{")
    assert list(store.records()) == []


def test_load_records_gives_the_valid_ones(store: Store) -> None:
    good, bad = make_record("unet"), make_record("enet")
    store.write(good)
    store.write(bad)
    (store.folder(bad.spec) / RECORD).write_text("{}")
    assert load_records(store.root) == [good]
    assert load_records(str(store.root)) == [good]


def test_load_records_wants_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match="no folder"):
        load_records(tmp_path / "none")
