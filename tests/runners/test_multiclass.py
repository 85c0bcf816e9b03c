"""Several kinds of lesion: trained together, scored each by itself and all as one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmark.datasets import open_dataset
from reports.boards.standings import leaderboard_tables
from reports.lint import lint
from reports.page.data import page_data
from reports.subject import read_holdings
from results.predictions import read_predictions
from results.store import Store, load_records
from runners.cli import run_cli
from tests.runners.drawn import kinds_folder
from zoo.errors import CovbenchError

NAMES = ["all lesions", "ground glass", "consolidation"]


@pytest.fixture
def kinds(tmp_path: Path, data_root: Path) -> str:
    """Twelve slices of six patients with two kinds of lesion; one slice has none."""
    kinds_folder(tmp_path / "source", "p", 12)
    words = ["--option", "label_map=1:1,2:2", "--option", "classes=1:ground glass,2:consolidation"]
    groups = ["--option", r"groups=^(p\d)_", "--as", "kinds"]
    arguments = ["data", "prepare", "folder", str(tmp_path / "source"), *words, *groups]
    assert run_cli(arguments) == 0
    return "kinds"


def test_each_class_has_its_scores_and_its_table(
    kinds: str, pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    asked = ["run", "--models", f"{pair},!*01", "--data", kinds, "--task", "multiclass"]
    smoke = ["--protocol", "smoke", "--set", "max_steps=4", "--jobs", "1", "--out", str(out)]
    assert run_cli([*asked, *smoke]) == 0
    shown = capsys.readouterr().out
    (record,) = load_records(out)
    assert list(record.scores) == list(record.counts) == NAMES
    dataset = open_dataset(kinds)
    tested = {case.id: dataset.mask(i) for i, case in enumerate(dataset.cases)}
    folder = next(out.rglob("record.json")).parent
    tables = {"all lesions": "cases.csv"}
    tables |= {name: f"cases-{name.replace(' ', '-')}.csv" for name in NAMES[1:]}
    for label, name in enumerate(NAMES):
        assert tables[name] in record.files
        rows = list(csv.DictReader((folder / tables[name]).open()))
        truth = sum(
            int((tested[row["id"]] == label).sum() if label else (tested[row["id"]] > 0).sum())
            for row in rows
        )
        counts = record.counts[name]
        assert counts.tp + counts.fn == truth == sum(int(r["tp"]) + int(r["fn"]) for r in rows)
        heading = f"## kinds, protocol smoke with optim.max_steps=4, multiclass: {name}"
        assert heading in shown

    report = ["report", "--from", str(out), "--to", str(tmp_path / "report"), "--html"]
    assert run_cli([*report, "--strict"]) in (0, 3)  # 3: uncommitted code is no fault of a class
    assert run_cli(report) == 0
    written = (tmp_path / "report" / "leaderboard.md").read_text()
    assert all(name in written for name in NAMES)


@pytest.fixture
def two(kinds: str, pair: Path, tmp_path: Path) -> Path:
    """A store with two networks that were trained on several kinds of lesion."""
    out = tmp_path / "runs"
    asked = ["run", "--models", str(pair), "--data", kinds, "--task", "multiclass"]
    changes = ("max_steps=30", "lr=0.02", "epochs=50", "split.folds=2")
    smoke = [word for each in changes for word in ("--set", each)]
    assert run_cli([*asked, "--protocol", "smoke", *smoke, "--out", str(out)]) == 0
    return out


def test_stored_predictions_are_the_masks_that_were_scored(two: Path) -> None:
    close = 0
    for record in load_records(two):
        folder = Store(two).folder(record.spec)
        rows = {row["id"]: row for row in csv.DictReader((folder / "cases.csv").open())}
        for name, probability in read_predictions(two, record).items():
            at_half = int((probability == 128).sum())  # which may be either
            scored = int(rows[name]["tp"]) + int(rows[name]["fp"])
            assert 0 <= int((probability >= 128).sum()) - scored <= at_half
            close += int(((probability > 100) & (probability < 156)).sum())
    assert close, "some pixels were hard to tell"


def test_predictions_of_records_that_name_no_classes_are_not_believed(two: Path) -> None:
    record = load_records(two)[0]
    data = record.data.model_copy(update={"classes": {}})
    with pytest.raises(CovbenchError, match="of an earlier covbench"):
        read_predictions(two, record.model_copy(update={"data": data}))


@pytest.mark.filterwarnings("error:constrained_layout")  # a long title leaves room for the axes
@pytest.mark.parametrize("spread", ["runs", "interval"])
def test_every_number_of_every_table_is_made_again(
    two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spread: str
) -> None:
    to = tmp_path / "report"
    asked = ["report", "--from", str(two), "--to", str(to), "--spread", spread, "--html"]
    assert run_cli(asked) == 0
    tables = json.loads((to / "leaderboard.trace.json").read_text())["tables"]
    assert len(tables) == len(NAMES)
    agree: dict[tuple[str, str, str, str], bool | None] = {}
    values = {}
    for name, table in tables.items():
        for row in sorted({record.spec.row for record in load_records(two)}):
            for column in ("dice_slice", "miou_pooled", "hausdorff_slice_px"):
                words = ["trace", f"{to / 'leaderboard.md'}#{name}", row, column, "--json"]
                capsys.readouterr()
                assert run_cli(words) == 0
                (cell,) = json.loads(capsys.readouterr().out)
                values[table["context"]["target"], row, column] = cell["value"]
                for check in cell["checks"]:
                    agree[name, row, column, check["from"]] = check["agrees"]
    assert not any(each is False for each in agree.values()), agree
    assert {level for (*_, level), same in agree.items() if same} == {
        "records",
        "per-image scores",
        "predictions",
    }
    assert len({round(value, 9) for value in values.values()}) > len(values) // 2
    # A figure is of all lesions, and drawn once.
    text = (to / "figures" / "captions.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert len(headings) == len(set(headings))
    assert "multiclass: all lesions" in text


def test_the_page_offers_the_command_where_it_gives_the_numbers_shown(two: Path) -> None:
    holdings = read_holdings(two)
    tables = leaderboard_tables(holdings.records)
    sections = page_data(holdings, tables, images=False)["sections"]
    assert [section["pairs"]["command"] for section in sections] == [True, False, False]
    # Scores of a patient are those of the class of the table.
    shown = [section["pairs"]["metrics"][0]["values"] for section in sections]
    assert shown[0] != shown[1] != shown[2]


def test_a_changed_score_of_a_class_is_found(two: Path, tmp_path: Path) -> None:
    record = load_records(two)[0]
    own = record.scores["ground glass"]
    key = "assd_slice_px"
    value = own[key].value
    assert value is not None
    forged = {**own, key: own[key].model_copy(update={"value": value * 0.999})}
    scores = {**record.scores, "ground glass": forged}
    path = Store(two).folder(record.spec) / "record.json"
    path.write_text(record.model_copy(update={"scores": scores}).to_text())
    found = [each for each in lint(read_holdings(two)) if each.rule == "impossible"]
    assert len(found) == 1 and "cases-ground-glass.csv gives" in found[0].text


def test_a_direct_run_on_several_classes_is_refused(
    kinds: str, pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", "--models", f"{pair},!*01", "--data", kinds, "--protocol", "smoke"]
    assert run_cli([*asked, "--out", str(tmp_path / "runs")]) == 1
    first, second = capsys.readouterr().err.strip().splitlines()
    assert first == "kinds can serve multiclass, not infection."
    assert "--task" in second
