"""Tests on other data: out of the ordinary tables, and in a matrix of their own."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.datasets.inside import Cascade
from reports.boards.leaderboard import write_leaderboard
from reports.boards.transfer_tables import transfer_tables
from reports.comparison import compare
from reports.lint import ReportRefused, lint
from reports.report import Wish, write_report
from reports.subject import read_holdings
from reports.tracing.lookup import find_cell
from reports.tracing.retrace import retrace
from reports.transfer import transfers
from results.cases import CASES
from results.files import write_atomically
from results.record import RunRecord
from results.spec import Trained, sha256
from results.store import Store
from results.untrusted import WEIGHTS
from tests.factory import make_failure, make_record, make_score
from zoo.errors import CovbenchError

HASHES = {"here": "a" * 64, "there": "b" * 64, "third": "c" * 64}
LINES = "id,group,tp,fp,fn,tn,status,dice"
TABLES = Wish(formats=("md", "tex", "csv", "html", "json"), figures=())


def cases(record: RunRecord, dice: Mapping[str, tuple[int, int, int]]) -> str:
    """A cases.csv from each image's pixels: true positives, false ones, and missed ones."""
    lines = [LINES]
    for image, (tp, fp, fn) in dice.items():
        value = 2 * tp / (2 * tp + fp + fn)
        lines.append(f"{image},{image.partition('-')[0]},{tp},{fp},{fn},90,ok,{value!r}")
    return "\n".join(lines) + "\n"


def write(store: Store, record: RunRecord, dice: Mapping[str, tuple[int, int, int]]) -> RunRecord:
    """A record with its per-image scores, from which its Dice follows."""
    text = cases(record, dice)
    pixels = [sum(each[place] for each in dice.values()) for place in range(3)]
    mean = sum(2 * tp / (2 * tp + fp + fn) for tp, fp, fn in dice.values()) / len(dice)
    n = len(dice)
    record = record.model_copy(
        update={
            "files": {**record.files, CASES: sha256(text)},
            "scores": {"infection": {"dice_slice": make_score("dice_slice", mean, n=n)}},
            "counts": {
                "infection": record.counts["infection"].model_copy(
                    update={"tp": pixels[0], "fp": pixels[1], "fn": pixels[2], "tn": 90 * n}
                )
            },
            "data": record.data.model_copy(update={"n_test": n}),
        }
    )
    write_atomically(store.folder(record.spec) / CASES, text)
    store.write(record)
    return record


def own(store: Store, data: str, fold: int, dice: Mapping[str, tuple[int, int, int]]) -> RunRecord:
    record = make_record(dataset=data, data_hash=HASHES[data], fold=fold)
    return write(store, record.model_copy(update={"files": {WEIGHTS: f"{fold}" * 64}}), dice)


def on_other(
    store: Store,
    source: RunRecord,
    data: str,
    dice: Mapping[str, tuple[int, int, int]],
    *,
    shared: tuple[str, ...] = (),
    known: bool = True,
    weights: str = "",
) -> RunRecord:
    spec = source.spec
    made = make_record(
        dataset=data,
        data_hash=HASHES[data],
        fold=0,
        fold_hash="0" * 64,
        weights=weights or source.files[WEIGHTS],
        trained=Trained(
            run=spec.id,
            dataset=spec.dataset,
            data_hash=spec.data_hash,
            fold=spec.fold,
            fold_hash=spec.fold_hash,
        ),
        data={"groups_disjoint": known and not shared, "shared_groups": shared},
    )
    return write(store, made.model_copy(update={"training": None}), dice)


def own_runs(store: Store, data: str) -> list[RunRecord]:
    records = read_holdings(store.root).records
    return [each for each in records if each.spec.dataset == data and not each.spec.trained]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two folds of `here`, both tested on `there`, whose own run is tested on `here`.

    Dice on own data: here 0.8 and 0.6 (a mean of 0.7); there 0.5. Of here on there: 0.5 and 0.4
    (0.45); of there on here: 0.25.
    """
    made = Store(tmp_path / "runs")
    one = own(made, "here", 1, {"p1-1": (8, 2, 2)})
    two = own(made, "here", 2, {"p2-1": (6, 4, 4)})
    three = own(made, "there", 1, {"q1-1": (5, 5, 5)})
    on_other(made, one, "there", {"q1-1": (5, 5, 5), "q2-1": (5, 4, 6)})
    on_other(made, two, "there", {"q1-1": (5, 5, 5), "q2-1": (3, 7, 7)})
    on_other(made, three, "here", {"p1-1": (5, 15, 15), "p2-1": (5, 14, 16)})
    return made


def test_the_matrix_by_hand(store: Store) -> None:
    (table,) = transfer_tables(transfers(read_holdings(store.root).records))
    assert [column.key for column in table.columns] == [
        "dice_slice_on_here",
        "dice_slice_on_there",
        "drop_on_here",
        "drop_on_there",
    ]
    here, there = table.rows
    assert (here.label, there.label) == ("here", "there")
    values = [[cell.value for cell in row.cells] for row in table.rows]
    # here on there: folds 0.5 and 0.4; what is lost: 0.3 and 0.2.
    assert values[0] == [pytest.approx(0.7), pytest.approx(0.45), None, pytest.approx(0.25)]
    assert values[1] == [pytest.approx(0.25), pytest.approx(0.5), pytest.approx(0.25), None]
    spread = [cell.spread for cell in here.cells]
    assert spread[0] == pytest.approx(math.sqrt(0.02))
    assert spread[1] == pytest.approx(math.sqrt(0.005))
    assert spread[3] == pytest.approx(math.sqrt(0.005))
    assert [cell.n for cell in here.cells] == [2, 2, None, 2]
    assert [cell.n for cell in there.cells] == [1, 1, 1, None]
    text = table.to_markdown()
    assert r"70.00 ± 14.14 \*" in text
    assert "45.00 ± 7.07" in text
    assert r"50.00 \*" in text
    assert "folds 1, 2, seed 0" in text
    assert "there: 2" in text and "here: 2" in text
    assert "cross-validated" in text
    assert here.notes == there.notes == ()


def test_parts_that_served_a_cascade_are_no_own_scores(store: Store) -> None:
    before = [
        table.to_csv() for table in transfer_tables(transfers(read_holdings(store.root).records))
    ]
    part = make_record(dataset="here", data_hash=HASHES["here"], fold=1, inner=(1, 2))
    write(store, part, {"p9-1": (1, 9, 9)})
    records = read_holdings(store.root).records
    assert part.spec.id in {each.spec.id for each in records}
    assert [table.to_csv() for table in transfer_tables(transfers(records))] == before


def test_the_ordinary_tables_do_not_hold_them(store: Store) -> None:
    holdings = read_holdings(store.root)
    assert len(holdings.records) == 6
    found = compare(holdings.records)
    assert [(each.spec.dataset, len(each.records)) for each in found] == [("here", 2), ("there", 1)]
    boards = write_leaderboard(store.root).tables
    assert len(boards) == 2
    assert [row.cells[0].value for board in boards for row in board.rows if row.rank] == [1000] * 2
    # What the lint says of a store with them is what it says of the store without them.
    said = lint(holdings)
    for record in holdings.records:
        if record.spec.trained is not None:
            (store.folder(record.spec) / "record.json").unlink()
            (store.folder(record.spec) / CASES).unlink()
    assert said == lint(read_holdings(store.root))


def test_a_report_writes_it_in_every_format(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "report"
    written = write_report(store.root, out, replace(TABLES, page=True))
    assert "across datasets" in (out / "report.html").read_text()
    assert {f"transfer.{each}" for each in TABLES.formats} <= {path.name for path in written.paths}
    items = json.loads((out / "transfer.json").read_text())
    assert [item["name"] for item in items] == ["here", "there"]
    assert items[0]["network"] == "unet"
    assert items[0]["scores"]["dice_slice_on_there"] == {
        "value": pytest.approx(0.45),
        "sd": pytest.approx(math.sqrt(0.005)),
        "runs": 2,
    }
    assert items[0]["scores"]["drop_on_there"]["value"] == pytest.approx(0.25)
    lines = list(csv.DictReader(io.StringIO((out / "transfer.csv").read_text())))
    assert float(lines[1]["dice_slice_on_here"]) == pytest.approx(0.25)
    for name in ("transfer.tex", "transfer.html"):
        assert "45.00 ± 7.07" in (out / name).read_text().replace(r"$\pm$", "±")


def test_a_cell_is_traced_to_its_tests(store: Store, tmp_path: Path) -> None:
    write_report(store.root, tmp_path / "report", TABLES)
    file = str(tmp_path / "report" / "transfer.md")
    for row, column, folds in (
        ("here", "dice_slice_on_there", [0, 0]),
        ("here", "On here", [1, 2]),
        ("there", "dice_slice_on_here", [0]),
    ):
        evidence = retrace(find_cell(file, row, column))
        assert evidence.disagreement is None
        assert [run.record.spec.fold for run in evidence.runs] == folds
        assert [check.agrees for check in evidence.checks[:2]] == [True, True]
    with pytest.raises(CovbenchError, match="no run is named"):
        retrace(find_cell(file, "here", "drop_on_there"))


def test_patients_of_both_are_a_fault_of_their_row(store: Store, tmp_path: Path) -> None:
    (three,) = own_runs(store, "there")
    on_other(store, three, "third", {"q1-9": (5, 5, 5)}, shared=("q1",))
    table = next(
        each
        for each in write_report(store.root, tmp_path, TABLES).tables
        if each.name.startswith("transfer")
    )
    here, there = table.rows
    assert here.notes == ()
    (note,) = there.notes
    assert "1 group has a name in third that was trained on here (q1)" in note
    assert table.columns[2].key == "dice_slice_on_third"
    assert [cell.value for cell in here.cells][2] is None
    findings = [each for each in lint(read_holdings(store.root)) if each.rule == "leak"]
    assert [(each.severity, each.rows) for each in findings] == [("fault", ("there",))]
    with pytest.raises(ReportRefused, match="q1"):
        write_report(store.root, tmp_path, Wish(strict=True))


def test_patients_who_are_not_known_are_said(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    on_other(
        store, own(store, "here", 1, {"a-1": (1, 1, 1)}), "there", {"b": (1, 1, 1)}, known=False
    )
    (finding,) = [each for each in lint(read_holdings(store.root)) if each.rule == "leak"]
    assert finding.severity == "note" and "is not known" in finding.text


def test_numbers_that_cannot_be_are_a_fault(store: Store) -> None:
    record = next(r for r in read_holdings(store.root).records if r.spec.trained)
    assert not [each for each in lint(read_holdings(store.root)) if each.rule == "impossible"]
    score = record.scores["infection"]["dice_slice"].model_copy(update={"value": 0.9})
    path = store.folder(record.spec) / "record.json"
    path.unlink()
    store.write(record.model_copy(update={"scores": {"infection": {"dice_slice": score}}}))
    (finding,) = [each for each in lint(read_holdings(store.root)) if each.rule == "impossible"]
    assert finding.severity == "fault" and finding.subject.startswith("transfer-unet")
    assert "0.9" in finding.text


def test_a_drop_is_over_runs_that_have_both_scores(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    one = own(store, "here", 1, {"p1-1": (8, 2, 2)})
    own(store, "here", 2, {"p2-1": (6, 4, 4)})
    on_other(store, one, "there", {"q1-1": (5, 5, 5)})
    (table,) = transfer_tables(transfers(read_holdings(store.root).records))
    (row,) = table.rows
    assert [cell.value for cell in row.cells] == [
        pytest.approx(0.7),
        pytest.approx(0.5),
        pytest.approx(0.3),  # 0.8 - 0.5, and not 0.7 - 0.5
    ]
    (note,) = row.notes
    assert note == "On there: 1 of 2 runs have both scores; the drop is over these alone."


def test_tests_alone_make_a_report_without_own_scores(store: Store, tmp_path: Path) -> None:
    for record in read_holdings(store.root).records:
        if record.spec.trained is None:
            (store.folder(record.spec) / "record.json").unlink()
    (table,) = write_report(store.root, tmp_path / "report", TABLES).tables
    assert [cell.value for cell in table.rows[0].cells][:2] == [None, pytest.approx(0.45)]
    assert all(cell.value is None for row in table.rows for cell in row.cells[2:])
    assert all("not in this store" in note for row in table.rows for note in row.notes)


def test_tests_with_an_earlier_lung_network_are_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    lung = make_record(task="lung", data_hash=HASHES["here"])
    store.write(lung.model_copy(update={"files": {WEIGHTS: "7" * 64}}))
    cascade = {"task": "hierarchical", "cascade": Cascade()}
    trained = make_record(data_hash=HASHES["here"], needs=(lung.spec.id,), **cascade)
    store.write(trained.model_copy(update={"files": {WEIGHTS: "1" * 64}}))
    for data, lungs in (("there", "7" * 64), ("third", "8" * 64)):
        origin = Trained(
            run=trained.spec.id,
            dataset="here",
            data_hash=HASHES["here"],
            fold=1,
            fold_hash="1" * 64,
            lungs=lungs,
        )
        place = {"dataset": data, "data_hash": HASHES[data], "fold": 0, "fold_hash": "0" * 64}
        made = make_record(weights="1" * 64, trained=origin, **place, **cascade)
        store.write(made.model_copy(update={"training": None}))
    (found,) = transfers(read_holdings(store.root).records)
    assert found.stale == 1
    assert [tested for _, tested in found.tests] == [HASHES["there"]]


def test_tests_of_earlier_weights_are_left_out(store: Store) -> None:
    one, _ = own_runs(store, "here")
    on_other(store, one, "there", {"q1-1": (1, 50, 50)}, weights="9" * 64)
    (found,) = transfers(read_holdings(store.root).records)
    assert found.stale == 1
    (table,) = transfer_tables([found])
    assert table.rows[0].cells[1].value == pytest.approx(0.45)
    assert "1 test of earlier weights is left out" in table.notes[0]


def test_failed_tests_are_told(store: Store) -> None:
    record = next(r for r in read_holdings(store.root).records if r.spec.trained)
    failure = make_failure().model_copy(update={"spec": record.spec.model_copy(update={"seed": 3})})
    store.write_failure(failure)
    holdings = read_holdings(store.root)
    assert [len(each.comparison.entries) for each in holdings.subjects] == [1, 1]
    (table,) = transfer_tables(transfers(holdings.records), holdings.failures)
    assert "failed (out of memory)" in table.notes[0]
