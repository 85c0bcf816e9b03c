from __future__ import annotations

from pathlib import Path

import pytest

from reports.boards.leaderboard import write_leaderboard
from results.store import RECORD, Store
from tests.factory import make_failure, make_record


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two networks on three folds, one more that failed, on data that aren't here."""
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    made = Store(tmp_path / "runs")
    for fold, dice in enumerate((0.7, 0.72, 0.75), 1):
        made.write(make_record("enet", dice, fold=fold, params=363_197, dataset="ct100"))
        made.write(make_record("x_%$y", dice - 0.1, fold=fold, params=9_000_000, dataset="ct100"))
    made.write_failure(make_failure("unet", dataset="ct100"))
    return made


def test_a_run_leaves_its_leaderboard_in_the_store(store: Store) -> None:
    written = write_leaderboard(store.root)
    assert [path.name for path in written.paths] == [
        "leaderboard.md",
        "leaderboard.tex",
        "leaderboard.csv",
        "leaderboard.trace.json",
    ]
    (table,) = written.tables
    text = (store.root / "leaderboard.md").read_text(encoding="utf-8")
    assert text == table.to_markdown()
    assert "failed (out of memory)" in text
    assert any("Trivial predictors are left out" in note for note in table.notes)


def test_an_empty_store_has_no_leaderboard(tmp_path: Path) -> None:
    written = write_leaderboard(tmp_path)
    assert (written.tables, written.paths) == ((), ())
    assert list(tmp_path.iterdir()) == []


def test_damaged_records_are_named(store: Store) -> None:
    path = store.folder(make_record("enet", fold=1, dataset="ct100").spec) / RECORD
    path.write_text("{}")
    (table,) = write_leaderboard(store.root).tables
    assert any(str(path) in note and "damaged" in note for note in table.notes)
    assert next(row for row in table.rows if row.label == "enet").status == "incomplete"
