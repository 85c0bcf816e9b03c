"""The index of a store: it says what the records say, and never more."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from results import index
from results.index import INDEX, Known, known_records
from results.store import Damaged, Store
from tests.factory import make_record


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(index, "_WORTH_KEEPING", 2)
    store = Store(tmp_path)
    for seed in range(3):
        store.write(make_record("unet", 0.5 + seed / 10, seed=seed))
    return store


def dices(store: Store) -> list[float | None]:
    return [found.dice for found in known_records(store.root).values() if isinstance(found, Known)]


def test_it_says_what_the_records_say(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = known_records(store.root)
    assert dices(store) == [0.5, 0.6, 0.7]
    assert [known.id for known in first.values() if isinstance(known, Known)] == [
        record.spec.id
        for record in (make_record("unet", 0.5 + seed / 10, seed=seed) for seed in range(3))
    ]
    monkeypatch.setattr(index, "read_record", None)  # nothing is read a second time
    assert known_records(store.root) == first


def test_a_changed_record_is_read_again(store: Store) -> None:
    known_records(store.root)
    path = store.folder(make_record("unet", seed=1).spec) / "record.json"
    path.write_text(path.read_text().replace('"value": 0.6', '"value": 0.9', 1))
    os.utime(path, ns=(1, 1))
    assert isinstance(known_records(store.root)[path.parent], Damaged)
    path.unlink()
    assert dices(store) == [0.5, 0.7]


@pytest.mark.parametrize("text", ["", "[]", '{"records": {}}', '{"records": [], "sha256": 3}'])
def test_a_damaged_index_is_made_anew(text: str, store: Store) -> None:
    known_records(store.root)
    (store.root / INDEX).write_text(text)
    assert dices(store) == [0.5, 0.6, 0.7]
    assert json.loads((store.root / INDEX).read_text())["records"]


def test_an_edited_index_is_not_believed(store: Store) -> None:
    known_records(store.root)
    path = store.root / INDEX
    path.write_text(path.read_text().replace("0.6", "0.9"))
    assert dices(store) == [0.5, 0.6, 0.7]


def test_few_records_need_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(make_record("unet"))
    assert len(known_records(tmp_path)) == 1
    assert not (tmp_path / INDEX).exists()
