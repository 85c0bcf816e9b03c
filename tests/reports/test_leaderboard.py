from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from reports.leaderboard import write_leaderboard, write_report
from results.store import RECORD, Store
from tests.factory import make_failure, make_record
from zoo.errors import CovbenchError


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


def test_a_report_has_tables_figures_and_the_published_table(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "report"
    written = write_report(store.root, out, against="miniseg-table3")
    names = {path.name for path in written.paths}
    assert names == {path.name for path in out.iterdir()}
    assert names == {
        *(f"leaderboard.{each}" for each in ("md", "tex", "csv", "html", "json", "png", "pdf")),
        *(f"against-miniseg-table3.{each}" for each in ("md", "tex", "csv", "html", "json")),
    }
    assert len(written.tables) == 4
    assert (out / "leaderboard.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "leaderboard.pdf").read_bytes().startswith(b"%PDF")
    with (out / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == ["enet", "x_%$y", "unet"]
    assert float(lines[0]["dice_slice"]) == pytest.approx((0.7 + 0.72 + 0.75) / 3, abs=1e-12)
    items = json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in items] == ["enet", "x_%$y", "unet"]
    assert {item["table"] for item in items} == {written.tables[0].title}
    page = (out / "leaderboard.html").read_text(encoding="utf-8")
    assert "<h1>covbench: leaderboard</h1>" in page
    assert written.tables[0].to_html() in page


def test_the_same_records_give_the_same_files(store: Store, tmp_path: Path) -> None:
    first = write_report(store.root, tmp_path / "a", against="miniseg-table3")
    second = write_report(store.root, tmp_path / "b", against="miniseg-table3")
    for one, other in zip(first.paths, second.paths, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_chosen_formats(store: Store, tmp_path: Path) -> None:
    written = write_report(store.root, tmp_path / "out", formats=("csv",))
    assert [path.name for path in written.paths] == ["leaderboard.csv"]


def test_damaged_records_are_named(store: Store) -> None:
    path = store.folder(make_record("enet", fold=1, dataset="ct100").spec) / RECORD
    path.write_text("{}")
    (table,) = write_leaderboard(store.root).tables
    assert any(str(path) in note and "damaged" in note for note in table.notes)
    assert next(row for row in table.rows if row.label == "enet").status == "incomplete"


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match="no runs"):
        write_report(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_format(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match="Did you mean"):
        write_report(store.root, tmp_path / "out", formats=("cvs",))


def test_failures_alone_make_tables_without_a_figure(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.write_failure(make_failure("unet", dataset="ct100"))
    written = write_report(store.root, tmp_path / "out")
    assert [path.suffix for path in written.paths] == [".md", ".tex", ".csv", ".html", ".json"]
