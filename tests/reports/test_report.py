from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from reports.report import Wish, write_report
from reports.subject import read_holdings
from results.store import RECORD, Store
from tests.factory import make_failure
from tests.reports.test_analysis import fill
from zoo.errors import CovbenchError

TABLES = ("md", "tex", "csv", "html", "json")
PLAIN = Wish(figures=())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Four networks on two folds, one more that failed, on data that aren't here."""
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    made = Store(tmp_path / "runs")
    fill(made, {"unet": 0.7, "miniseg": 0.8, "enet": 0.6, "x_%$y": 0.9})
    made.write_failure(make_failure("broken"))
    return made


def files(names: set[str], *stems: str) -> set[str]:
    return {name for name in names if name.partition(".")[0] in stems}


def test_every_table_in_every_format(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "report"
    layouts = ("miniseg-table3", "miniseg-table1")
    wish = Wish(against=("miniseg-table3",), layouts=layouts, figures=())
    written = write_report(store.root, out, wish)
    names = {path.name for path in written.paths if path.parent == out}
    stems = ("leaderboard", "statistics", "miniseg-table3", "miniseg-table1")
    for stem in (*stems, "against-miniseg-table3"):
        assert {f"{stem}.{each}" for each in TABLES} <= names
    assert all(path.stat().st_size for path in written.paths)
    with (out / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == ["x_%$y", "miniseg", "unet", "enet", "broken"]
    assert float(lines[0]["dice_slice_low"]) < float(lines[0]["dice_slice"])
    items = json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in items] == [line["name"] for line in lines]
    page = (out / "leaderboard.html").read_text(encoding="utf-8")
    assert written.tables[0].to_html() in page
    text = (out / "methods.md").read_text(encoding="utf-8")
    assert text.startswith("## phantom, smoke\n\n4 networks were trained and tested on phantom")


def test_the_same_records_give_the_same_files(store: Store, tmp_path: Path) -> None:
    wish = Wish(figures=("ranks",), page=True)
    first = write_report(store.root, tmp_path / "a", wish)
    second = write_report(store.root, tmp_path / "b", wish)
    assert len(first.paths) == len(second.paths) > 10
    for one, other in zip(first.paths, second.paths, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_chosen_formats(store: Store, tmp_path: Path) -> None:
    written = write_report(store.root, tmp_path / "out", Wish(formats=("csv",), figures=()))
    endings = {path.name.partition(".")[2] for path in written.paths}
    assert endings == {"csv", "trace.json"}
    with pytest.raises(CovbenchError, match="Did you mean"):
        Wish(formats=("cvs",))


def test_damaged_records_are_named(store: Store, tmp_path: Path) -> None:
    path = store.folder(read_holdings(store.root).records[0].spec) / RECORD
    path.write_text("{}")
    tables = write_report(store.root, tmp_path / "out", Wish(formats=("csv",), figures=())).tables
    assert any(str(path) in note and "damaged" in note for note in tables[0].notes)


def test_a_store_of_damaged_records_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "x" / RECORD
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(CovbenchError, match="All 1 records"):
        write_report(tmp_path / "runs", tmp_path / "out")


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match="no runs"):
        write_report(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(baseline="unte"), "unet"),
        (Wish(layouts=("miniseg-tabel3",)), "miniseg-table3"),
        (Wish(against=("miniseg-tabel3",)), "miniseg-table3"),
        (Wish(layouts=("chsnet-table4",)), "chsnet-table4"),
    ],
)
def test_unknown_names_write_nothing(store: Store, tmp_path: Path, wish: Wish, words: str) -> None:
    with pytest.raises(CovbenchError, match=words):
        write_report(store.root, tmp_path / "out", wish)
    assert not (tmp_path / "out").exists()


def test_failures_alone_make_a_leaderboard(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.write_failure(make_failure("unet", dataset="ct100"))
    written = write_report(store.root, tmp_path / "out")
    assert [path.name for path in written.paths] == [
        f"leaderboard.{each}" for each in (*TABLES, "trace.json")
    ]


def test_the_baseline_is_what_others_are_tested_against(store: Store, tmp_path: Path) -> None:
    tables = write_report(store.root, tmp_path / "out", Wish(baseline="unet", figures=())).tables
    table = next(each for each in tables if each.name.startswith("statistics"))
    assert "Minus unet" in [column.title for column in table.columns]
    assert "against unet" in table.caption
    assert "was chosen as the best" not in table.caption
    p = {row.label: row.cells[6].number for row in table.rows}
    assert p.pop("unet") is None
    assert all(value is not None and value < 0.05 for value in p.values())
