"""A sidecar beside a table, a cell looked up in it, and its value made once more."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from reports.boards.leaderboard import write_leaderboard
from reports.report import Wish, write_report
from reports.tables.table import Cell, Column, Row, Table
from reports.tracing.lookup import Traced, find_cell
from reports.tracing.retrace import Evidence, retrace
from reports.tracing.trace import write_sidecar
from results.cases import CASES
from results.predictions import PREDICTIONS
from results.record import RunRecord
from results.spec import sha256
from results.store import RECORD, Store
from tests.factory import make_record
from tests.predicted import Dataset, Pixels, write_predicted
from zoo.errors import CovbenchError

FORMATS = ("md", "tex", "csv")
TRUTH = {"p-1": [0, 1, 2, 3], "q-1": [0, 1, 2, 3], "q-2": []}


def sure(*places: int) -> dict[int, float]:
    return dict.fromkeys(places, 1.0)


HALF: dict[str, Pixels] = {"p-1": sure(0, 1), "q-1": sure(0, 1, 2, 3), "q-2": {}}
"""Dice of 4/6 and 1, and an image that has none."""
POOR: dict[str, Pixels] = {"p-1": sure(0, 1), "q-1": {}, "q-2": sure(9)}
"""Dice of 4/6, 0 and 0."""


def elsewhere(name: str, **_: object) -> None:
    raise CovbenchError("no data here.", "get them")


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    made = Dataset(TRUTH)
    made.put(monkeypatch)
    return made


@pytest.fixture
def store(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Store:
    """unet with two seeds, and enet with one, on data without trivial predictors."""
    monkeypatch.setattr("reports.trivial.open_dataset", elsewhere)
    made = Store(tmp_path / "runs")
    write_predicted(made, dataset, HALF, model="unet", seed=0)
    write_predicted(made, dataset, POOR, model="unet", seed=1)
    write_predicted(made, dataset, HALF, model="enet", seed=0)
    return made


@pytest.fixture
def report(store: Store, tmp_path: Path) -> Path:
    out = tmp_path / "report"
    write_report(store.root, out, Wish(formats=FORMATS))
    return out


DICE = (5 / 6 + 2 / 9) / 2


def found(report: Path, row: str = "unet", column: str = "Dice", **which: Any) -> Traced:
    return find_cell(str(report / "leaderboard.md"), row, column, **which)


def refused(act: Any, *words: str) -> None:
    with pytest.raises(CovbenchError) as error:
        act()
    assert len(str(error.value).splitlines()) == 2
    for word in words:
        assert word in str(error.value)


def disagreement(evidence: Evidence) -> str:
    assert evidence.disagreement is not None
    assert len(str(evidence.disagreement).splitlines()) == 2
    return str(evidence.disagreement)


def test_a_sidecar_names_runs_and_the_way_to_them(report: Path, store: Store) -> None:
    content = json.loads((report / "leaderboard.trace.json").read_text(encoding="utf-8"))
    assert (content["schema"], content["store"]) == (1, "../runs")
    assert set(content["files"]) == {f"leaderboard.{each}" for each in ("md", "tex", "csv")}
    (table,) = content["tables"].values()
    assert table["columns"]["dice_slice"] == {"title": "Dice", "unit": "%", "scale": 100.0}
    cell = table["rows"]["unet"]["dice_slice"]
    ids = [each.spec.id for each in store.records() if isinstance(each, RunRecord)]
    assert cell["value"] == pytest.approx(DICE)
    assert cell["how"] == "mean"
    assert len(cell["runs"]) == 2
    assert set(cell["runs"]) < set(ids)
    for run in cell["runs"]:
        assert (store.root / content["runs"][run]["folder"] / RECORD).is_file()
    assert table["rows"]["unet"]["params"]["how"] == "cost"
    assert table["rows"]["unet"]["runs"]["how"] == "not traced"


def test_reports_and_stores_have_it_and_list_it(store: Store, tmp_path: Path) -> None:
    written = write_report(store.root, tmp_path / "out", Wish(formats=("csv",)))
    sidecar = tmp_path / "out" / "leaderboard.trace.json"
    assert sidecar in written.paths
    assert {path.name for path in written.paths} == {path.name for path in sidecar.parent.iterdir()}
    before = sidecar.read_bytes()
    boards = [table for table in written.tables if table.name.startswith("leaderboard")]
    # Records that aren't given are read from the store.
    assert write_sidecar(boards, sidecar.parent, "leaderboard", store.root) == (sidecar,)
    assert sidecar.read_bytes() == before
    assert write_sidecar(boards, tmp_path / "elsewhere", "leaderboard", store.root) == ()
    assert write_leaderboard(store.root).paths[-1] == store.root / "leaderboard.trace.json"


def test_a_mean_with_an_interval_is_the_mean_over_runs(store: Store, tmp_path: Path) -> None:
    write_report(store.root, tmp_path / "out", Wish(formats=("csv",), spread="interval"))
    for column in ("dice_slice", "dice_patient", "miou_pooled"):
        cell = find_cell(str(tmp_path / "out" / "leaderboard.csv"), "enet", column)
        evidence = retrace(cell)
        assert [check.agrees for check in evidence.checks] == [True, True, True]
        assert evidence.disagreement is None


def test_a_trivial_predictor_has_no_runs(tmp_path: Path) -> None:
    cells = (Cell(0.5, n=2, runs=("", "")),)
    table = Table("one", "one", (Column("dice_slice", "Dice"),), (Row("nothing", cells),))
    (tmp_path / "some.md").touch()
    write_sidecar([table], tmp_path, "some", tmp_path, [])
    cell = find_cell(str(tmp_path / "some.md"), "nothing", "Dice")
    refused(lambda: retrace(cell), "no run is named for it")


def test_undefined_runs_are_not_behind_a_value(store: Store, dataset: Dataset) -> None:
    nothing: dict[str, Pixels] = {"q-2": {}}
    write_predicted(store, dataset, nothing, model="unet", seed=2)
    table = write_leaderboard(store.root).tables[0]
    row = next(each for each in table.rows if each.label == "unet")
    cells = dict(zip((column.key for column in table.columns), row.cells, strict=True))
    assert (cells["dice_slice"].n, len(cells["dice_slice"].runs)) == (2, 2)
    assert len(cells["specificity_slice"].runs) == 3
    assert len(cells["params"].runs) == 3


def test_a_mean_is_made_again_on_three_levels(report: Path) -> None:
    evidence = retrace(found(report))
    assert [run.record.spec.seed for run in evidence.runs] == [0, 1]
    assert [run.values["records"] for run in evidence.runs] == pytest.approx([5 / 6, 2 / 9])
    assert [check.level for check in evidence.checks] == [
        "records",
        "per-image scores",
        "predictions",
    ]
    assert all(check.agrees and check.value == evidence.cell.value for check in evidence.checks)
    assert evidence.disagreement is None
    images = {
        (image, run.record.spec.seed): s for run in evidence.runs for image, _, s in run.images
    }
    assert images["p-1", 0] == pytest.approx(4 / 6)
    assert images["q-2", 1] == 0
    assert images["q-2", 0] != images["q-2", 0]  # undefined


@pytest.mark.parametrize("column", ["miou_pooled", "dice_patient", "hd95_slice_px", "Spec."])
def test_other_metrics_are_made_again_too(report: Path, column: str) -> None:
    evidence = retrace(found(report, column=column))
    assert [check.agrees for check in evidence.checks] == [True, True, True]


def test_a_cost_is_the_same_in_every_record(report: Path, store: Store) -> None:
    evidence = retrace(found(report, column="Params"))
    assert [check.agrees for check in evidence.checks] == [True]
    assert evidence.cell.value == 1000
    (store.folder(evidence.runs[1].record.spec) / RECORD).unlink()
    other = evidence.runs[1].record
    store.write(other.model_copy(update={"cost": other.cost.model_copy(update={"params": 999})}))
    assert other.spec.id[:12] in disagreement(retrace(found(report, column="Params")))


def test_what_no_run_stands_behind_is_said_so(report: Path) -> None:
    refused(lambda: retrace(found(report, column="runs")), "no run is named for it", "params")


def test_altered_images_are_found(report: Path, store: Store) -> None:
    record = retrace(found(report)).runs[1].record
    path = store.folder(record.spec) / CASES
    path.write_text(path.read_text(encoding="utf-8").replace("0.666", "0.999"), encoding="utf-8")
    evidence = retrace(found(report))
    text = disagreement(evidence)
    assert record.spec.id[:12] in text
    assert "SHA-256" in text
    assert [check.agrees for check in evidence.checks] == [True, None, None]


def test_a_run_that_was_done_again_is_named(report: Path, store: Store, dataset: Dataset) -> None:
    record = retrace(found(report)).runs[1].record
    store.set_aside(record.spec)
    write_predicted(store, dataset, HALF, model="unet", seed=1)
    evidence = retrace(found(report))
    assert [bool(run.differs) for run in evidence.runs] == [False, True]
    assert record.spec.id[:12] in disagreement(evidence)
    assert [check.agrees for check in evidence.checks] == [False, False, False]


def test_scores_that_are_not_those_of_the_images_are_found(
    tmp_path: Path, store: Store, report: Path
) -> None:
    first = retrace(found(report)).runs[0].record
    scores = dict(first.scores["infection"])
    scores["dice_slice"] = scores["dice_slice"].model_copy(update={"value": 0.9})
    (store.folder(first.spec) / RECORD).unlink()
    store.write(first.model_copy(update={"scores": {"infection": scores}}))
    out = tmp_path / "again"
    write_report(store.root, out, Wish(formats=("csv",)))
    evidence = retrace(find_cell(str(out / "leaderboard.csv"), "unet", "Dice"))
    text = disagreement(evidence)
    assert f"run {first.spec.id[:12]}" in text
    assert "its record has 0.9" in text
    assert [check.agrees for check in evidence.checks] == [True, False, False]


def test_predictions_of_something_else_are_found(report: Path, store: Store) -> None:
    first, second = (run.record for run in retrace(found(report)).runs)
    other = (store.folder(second.spec) / PREDICTIONS).read_bytes()
    (store.folder(first.spec) / PREDICTIONS).write_bytes(other)
    evidence = retrace(found(report))
    assert [check.agrees for check in evidence.checks] == [True, True, None]
    assert "SHA-256" in evidence.checks[2].told
    # With a record that names them, it is their counts that don't fit.
    (store.folder(first.spec) / RECORD).unlink()
    store.write(first.model_copy(update={"files": {**first.files, PREDICTIONS: sha256(other)}}))
    out = report.parent / "again"
    write_report(store.root, out, Wish(formats=("csv",)))
    evidence = retrace(find_cell(str(out / "leaderboard.csv"), "unet", "Dice"))
    assert "predictions do not give the counts of q-1, q-2" in disagreement(evidence)


def test_rounding_is_no_disagreement(tmp_path: Path, dataset: Dataset, store: Store) -> None:
    tie: dict[str, Pixels] = {**HALF, "p-1": {0: 1.0, 1: 1.0, 2: 0.5}}
    write_predicted(store, dataset, tie, decided=HALF, model="cgnet")
    write_report(store.root, tmp_path / "out", Wish(formats=("md",)))
    evidence = retrace(find_cell(str(tmp_path / "out/leaderboard.md"), "cgnet", "Dice"))
    assert evidence.disagreement is None
    assert [check.agrees for check in evidence.checks] == [True, True, None]
    assert evidence.checks[2].value == pytest.approx((6 / 7 + 1) / 2)
    assert "turns 1 pixel at 0.5" in evidence.checks[2].told


def test_without_predictions_or_data_two_levels_are_left(
    report: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.datasets.open_dataset", elsewhere)
    evidence = retrace(found(report))
    assert [check.agrees for check in evidence.checks] == [True, True, None]
    assert evidence.checks[2].told == "not checked: no data here."
    assert evidence.disagreement is None
    (store.folder(evidence.runs[0].record.spec) / PREDICTIONS).unlink()
    assert "There are no predictions" in retrace(found(report)).checks[2].told


def test_a_changed_csv_is_found(report: Path) -> None:
    path = report / "leaderboard.csv"
    lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    old = next(line["dice_slice"] for line in lines if line["name"] == "unet")
    path.write_text(path.read_text(encoding="utf-8").replace(old, "0.99"), encoding="utf-8")
    cell = found(report)
    assert cell.csv_value == "0.99"
    assert any("leaderboard.csv was changed" in each for each in cell.edited)
    assert "the CSV has 0.99" in disagreement(retrace(cell))
    assert found(report, "enet").csv_value is None


def test_a_row_of_a_name_that_no_terminal_shows(dataset: Dataset, tmp_path: Path) -> None:
    name = "my\u00a0net\x07"
    store = Store(tmp_path / "named")
    write_predicted(store, dataset, HALF, model=name)
    out = tmp_path / "out"
    write_report(store.root, out, Wish(formats=FORMATS))
    path = out / "leaderboard.csv"
    label = next(csv.DictReader(path.open(encoding="utf-8")))["name"]
    assert label == "my\u00a0net ", "a space for the control character, and no more"
    cell = found(out, label)
    assert str(cell) == "Dice of my\u00a0net " and cell.csv_value is None
    path.write_text(path.read_text("utf-8").replace(str(cell.value), "0.99"), "utf-8")
    assert found(out, label).csv_value == "0.99"


def test_a_store_that_moved(report: Path, store: Store, tmp_path: Path) -> None:
    store.root.rename(tmp_path / "moved")
    refused(lambda: retrace(found(report)), "no folder", "--from")
    evidence = retrace(found(report, store=tmp_path / "moved"))
    assert evidence.disagreement is None
    folder = evidence.runs[0].folder
    (folder / RECORD).write_text("{}")
    refused(lambda: retrace(found(report, store=tmp_path / "moved")), "is damaged")
    (folder / RECORD).unlink()
    refused(lambda: retrace(found(report, store=tmp_path / "moved")), "is not below")


def test_unknown_names_are_refused(report: Path, tmp_path: Path) -> None:
    refused(lambda: found(report, "unett"), "Unknown row", "Did you mean unet")
    refused(lambda: found(report, column="dice_slise"), "Unknown column", "Did you mean dice_slice")
    refused(lambda: find_cell("nowhere.md", "unet", "Dice"), "no file nowhere.md")
    name = str(report / "leaderboard.md")
    refused(lambda: find_cell(f"{name}#leaderbord", "unet", "Dice"), "Unknown table")
    refused(
        lambda: find_cell("leaderboard-phantom", "unet", "Dice", folders=[report]),
        "Did you mean leaderboard-phantom-smoke-infection",
    )
    (tmp_path / "alone.md").touch()
    refused(lambda: find_cell(str(tmp_path / "alone.md"), "a", "b"), "no alone.trace.json")
    sidecar = report / "leaderboard.trace.json"
    sidecar.write_text(sidecar.read_text(encoding="utf-8").replace('"schema": 1', '"schema": 2'))
    refused(lambda: found(report), "schema 2")
    sidecar.write_text("{")
    refused(lambda: found(report), "can't be read", "covbench report")


def test_tables_of_one_file_are_told_apart(tmp_path: Path) -> None:
    run = make_record().spec.id
    columns = (Column("dice_slice", "Dice"), Column("low", "to"), Column("high", "to"))

    def table(name: str, label: str, value: float) -> Table:
        cells = (Cell(value, runs=(run,)), Cell(0.1), Cell(0.2))
        return Table(name, name, columns, (Row(label, cells),))

    both = [table("one", "unet", 0.5), table("two", "unet", 0.6), table("two", "enet", 0.7)]
    path = tmp_path / "some.md"
    path.touch()
    write_sidecar(both, tmp_path, "some", tmp_path / "runs", [])
    refused(lambda: find_cell(str(path), "unet", "Dice"), "2 tables", "one, two", "some.md#one")
    assert find_cell(f"{path}#two", "unet", "Dice").value == 0.6
    assert find_cell("two", "unet", "dice_slice", folders=[tmp_path]).value == 0.6
    assert find_cell(str(path), "enet", "Dice").table == "two (2)"
    refused(lambda: find_cell(f"{path}#one", "unet", "to"), "2 columns", "low, high")
    assert find_cell(str(tmp_path / "some.trace.json"), "enet", "Dice").value == 0.7
