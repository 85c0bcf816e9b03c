"""Several kinds of lesion: trained together, scored each by itself and all as one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import open_dataset
from results.predictions import read_predictions
from results.store import Store, load_records
from runners.cli import run_cli

NAMES = ["all lesions", "ground glass", "consolidation"]


@pytest.fixture
def kinds(tmp_path: Path, data_root: Path) -> str:
    """Twelve slices of six patients with two kinds of lesion; one slice has none."""
    rng = np.random.default_rng(5)
    for kind in ("images", "masks"):
        (tmp_path / "source" / kind).mkdir(parents=True)
    for i in range(12):
        mask = np.zeros((48, 48), np.uint8)
        if i:
            mask[5 : 12 + i, 6:20], mask[30:40, 10 : 20 + i] = 1, 2
        image = rng.integers(0, 60, mask.shape, np.uint8) + mask * np.uint8(80)
        for kind, array in (("images", image), ("masks", mask)):
            Image.fromarray(array).save(tmp_path / "source" / kind / f"p{i // 2}_{i}.png")
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


def test_stored_predictions_are_the_scored_masks_and_every_table_is_traced(
    kinds: str, pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    asked = ["run", "--models", str(pair), "--data", kinds, "--task", "multiclass"]
    changes = ("max_steps=30", "lr=0.02", "epochs=50")
    smoke = [word for each in changes for word in ("--set", each)]
    assert run_cli([*asked, "--protocol", "smoke", *smoke, "--out", str(out)]) == 0
    close = 0
    for record in load_records(out):
        folder = Store(out).folder(record.spec)
        rows = {row["id"]: row for row in csv.DictReader((folder / "cases.csv").open())}
        for name, probability in read_predictions(out, record).items():
            at_half = int((probability == 128).sum())  # which may be either
            scored = int(rows[name]["tp"]) + int(rows[name]["fp"])
            assert 0 <= int((probability >= 128).sum()) - scored <= at_half
            close += int(((probability > 100) & (probability < 156)).sum())
    assert close, "some pixels were hard to tell"

    to = tmp_path / "report"
    assert run_cli(["report", "--from", str(out), "--to", str(to)]) == 0
    capsys.readouterr()
    (row, *_) = {record.spec.row for record in load_records(out)}
    agree = {}
    tables = json.loads((to / "leaderboard.trace.json").read_text())["tables"]
    assert len(tables) == len(NAMES)
    for table in tables:
        for column in ("dice_slice", "miou_pooled"):
            words = ["trace", f"{to / 'leaderboard.md'}#{table}", row, column, "--json"]
            assert run_cli(words) == 0
            (cell,) = json.loads(capsys.readouterr().out)
            for check in cell["checks"]:
                agree[table, column, check["from"]] = check["agrees"]
    assert not any(each is False for each in agree.values()), agree
    levels = {level for (_, _, level), same in agree.items() if same}
    assert levels == {"records", "per-image scores", "predictions"}


def test_a_direct_run_on_several_classes_is_refused(
    kinds: str, pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", "--models", f"{pair},!*01", "--data", kinds, "--protocol", "smoke"]
    assert run_cli([*asked, "--out", str(tmp_path / "runs")]) == 1
    first, second = capsys.readouterr().err.strip().splitlines()
    assert first == "kinds can serve multiclass, not infection."
    assert "--task" in second
