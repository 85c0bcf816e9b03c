"""`covbench predict` with a run on several classes: labels, colours, and how much of each."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import prepare_dataset
from benchmark.labels import ALL
from reports.figures.drawing import GREEN, VERMILION
from reports.figures.overlay import rgb
from results.find import find_run
from results.predictions import read_predictions
from results.store import load_records
from runners.cli import run_cli
from tests.runners.drawn import KINDS, kinds_folder
from tests.trained import SIDE, trained

LUNG, TISSUE, GLASS, DENSE = -800, 0, 160, 240
"""Hounsfield units; in the lung window their grey is 76, 212, 240 and 253 of 255."""

TARGETS = (ALL, *KINDS.values())


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A store: lesions from 232 of 255, dense ones from 245; and a run on what is darker than
    148."""
    root = tmp_path / "runs"
    trained(root, 232 / 255, task="multiclass", kinds=KINDS)
    trained(root, 148 / 255, below=True, task="lung")
    return root


def predict(runs: Path, path: Path, *more: str) -> int:
    (run,) = (each for each in load_records(runs) if each.spec.task == "multiclass")
    words = ["predict", "--run", run.spec.id, "--from", str(runs), "--input", str(path)]
    return run_cli([*words, "--out", str(path.parent / "out"), *more])


def chest() -> np.ndarray:
    """32 x 32 x 4, stored R, A, S: two lungs; in the right one ground glass, in both something
    dense."""
    data = np.full((SIDE, SIDE, 4), TISSUE, np.int16)
    data[3:13, 8:24] = data[19:29, 8:24] = LUNG
    data[21:25, 10:14, 1:3] = GLASS
    data[5:7, 10:13, 2] = DENSE
    data[26:28, 18:20, 2] = DENSE
    return data


def test_a_volume_holds_labels_and_the_table_counts_each(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = tmp_path / "scan.nii.gz", chest()
    nib.save(nib.Nifti1Image(data, np.diag([1.0, 1, 2, 1])), path)
    (lung,) = (each for each in load_records(runs) if each.spec.task == "lung")
    assert predict(runs, path, "--lung-run", lung.spec.id, "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    labels = np.asarray(nib.load(tmp_path / "out" / "scan_mask.nii.gz").dataobj)
    np.testing.assert_array_equal(labels, (data == GLASS) + 2 * (data == DENSE))
    facts = json.loads((tmp_path / "out" / "scan_mask.json").read_text())
    assert facts["classes"] == {"1": "ground glass", "2": "consolidation"}

    with (tmp_path / "out" / "involvement.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["region"] for row in shown["involvement"]] == [row["region"] for row in rows]
    found = {(row["lesion"], row["region"]): row["infected_voxels"] for row in rows}
    assert {lesion for lesion, _ in found} == set(TARGETS)
    everywhere = [found[lesion, "everywhere"] for lesion in TARGETS]
    assert everywhere == ["42", "32", "10"], "4 x 4 in two slices; 2 x 3 and 2 x 2 in one"
    # This lung network leaves lesions out of the lungs.
    assert {found[lesion, "both"] for lesion in TARGETS} == {"0"}
    assert float(rows[3]["infected_ml"]) == pytest.approx(42 * 0.002, abs=1e-4)


def test_each_kind_is_said_and_drawn(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(chest(), np.diag([1.0, 1, 2, 1])), path)
    assert predict(runs, path) == 0
    shown = capsys.readouterr().out
    assert "infected 0.1 ml; ground glass 0.1 ml; consolidation 0.0 ml" in shown
    drawn = np.asarray(Image.open(tmp_path / "out" / "scan_overlays" / "slice0002.png"))
    colours = {tuple(pixel) for pixel in drawn.reshape(-1, 3)}
    assert {rgb(VERMILION), rgb(GREEN)} <= colours


def test_a_picture_holds_labels_as_they_are(runs: Path, tmp_path: Path) -> None:
    grey = np.full((SIDE, SIDE), 70, np.uint8)
    grey[4:9, 20:30], grey[15:20, 5:9] = 240, 253
    for name in ("=a.png", "b.tif"):
        Image.fromarray(grey).save(tmp_path / name)
        assert predict(runs, tmp_path / name) == 0
    for name in ("=a_mask.png", "b_mask.tif"):
        mask = np.asarray(Image.open(tmp_path / "out" / name))
        np.testing.assert_array_equal(mask, (grey == 240) + 2 * (grey == 253))


def test_a_name_that_a_spreadsheet_would_compute_begins_with_an_apostrophe(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((SIDE, SIDE), 70, np.uint8)).save("=1+1.png")
    assert predict(runs, Path("=1+1.png")) == 0
    assert "\n'=1+1.png," in (tmp_path / "out" / "involvement.csv").read_text()


def test_a_trained_run_gives_its_test_images_the_classes_that_were_scored(
    pair: Path, data_root: Path, tmp_path: Path
) -> None:
    dataset = prepare_dataset(
        "folder",
        kinds_folder(tmp_path / "source", "p", 20, 64),
        as_name="two-kinds",
        root=data_root,
        groups=r"^(p\d)_",
        label_map={0: 0, 1: 1, 2: 2},
        classes=KINDS,
    )
    out = tmp_path / "trained"
    asked = ["run", "--models", f"{pair},!*01", "--data", "two-kinds", "--task", "multiclass"]
    changes = ("max_steps=150", "epochs=200", "lr=0.05", "keep=both", "class_weights=miniseg")
    more = [word for each in changes for word in ("--set", each)]
    assert run_cli([*asked, "--protocol", "smoke", *more, "--out", str(out)]) == 0
    (record,) = load_records(out)
    images = tmp_path / "in"
    images.mkdir()
    stored = read_predictions(out, record)
    names = [case.id for case in dataset.cases]
    for name in stored:
        Image.fromarray(dataset.image(names.index(name)).copy()).save(images / f"{name}.png")
    words = ["--run", record.spec.id, "--from", str(out), "--plugin", str(pair)]
    assert run_cli(["predict", *words, "--input", str(images), "--out", str(tmp_path / "to")]) == 0
    counts = dict.fromkeys(TARGETS[1:], 0)
    for name in stored:
        mask = np.asarray(Image.open(tmp_path / "to" / f"{name}_mask.png"))
        truth = dataset.mask(names.index(name))
        for label, kind in enumerate(TARGETS[1:], start=1):
            counts[kind] += int(((mask == label) & (truth == label)).sum())
    for kind, hits in counts.items():
        assert hits == record.counts[kind].tp
    assert sum(counts.values()) > 0, "it learned something"
    assert find_run(out, record.spec.id).record.spec.task == "multiclass"
