"""`covbench predict`: what the networks of a run are shown, and what is counted of it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.datasets import open_dataset
from benchmark.datasets.inside import Cascade
from results.find import find_run
from results.predictions import read_predictions
from results.store import load_records
from runners.cli import run_cli
from runners.predicting.chain import Chain, build_chain
from runners.predicting.network import build_predictor
from tests.runners.predicting.scans import LUNG, RAS, Predict, chest, table
from tests.trained import SIDE, trained
from zoo.errors import CovbenchError


def test_a_test_image_gives_the_stored_probabilities(
    pair: Path, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "trained", tmp_path / "out"
    # Stretched on the way in and back on the way out: the phantom is larger.
    shared = ["--models", f"{pair},!*02", "--protocol", "smoke", "--set", "max_steps=3"]
    assert run_cli(["run", *shared, "--set", "keep=both", "--out", str(root)]) == 0
    (record,) = load_records(root)
    stored = read_predictions(root, record)
    dataset = open_dataset("phantom", data_root)
    images = {case.id: dataset.image(i) for i, case in enumerate(dataset.cases)}

    chain = build_chain(find_run(root, record.spec.id), torch.device("cpu"))
    names = list(stored)
    together = np.stack([images[name] for name in names])
    for name, said in zip(names, chain.slices(together), strict=True):
        np.testing.assert_array_equal(said.probability, stored[name], err_msg=name)

    (tmp_path / "in").mkdir()
    for name in names[:3]:
        Image.fromarray(images[name]).save(tmp_path / "in" / f"{name}.png")
    words = ["--run", record.spec.title, "--from", str(root), "--plugin", str(pair)]
    assert run_cli(["predict", *words, "--input", str(tmp_path / "in"), "--out", str(out)]) == 0
    for name in names[:3]:
        mask = np.asarray(Image.open(out / f"{name}_mask.png")) > 0
        sure = stored[name] != 128
        np.testing.assert_array_equal(mask[sure], stored[name][sure] > 128)


def test_involvement_with_a_lung_run(predict: Predict, runs: Path, tmp_path: Path) -> None:
    lung_run = trained(runs, 148 / 255, below=True, task="lung")
    data = chest()
    nib.save(nib.Nifti1Image(data, RAS), tmp_path / "scan.nii.gz")
    infection = next(r for r in load_records(runs) if r.spec.task == "infection")
    arguments = ("--input", tmp_path / "scan.nii.gz", "--lung-run", lung_run.spec.id[:8])
    assert predict(*arguments, run=infection.spec.id) == 0
    lines = {line["region"]: line for line in table(tmp_path)}
    # 10 x 16 voxels in five slices; the lesion of 4 x 3 voxels is no lung in two of them.
    assert lines["left"]["lung_voxels"] == "800"
    assert lines["right"]["lung_voxels"] == str(800 - 24)
    assert lines["right"]["infected_voxels"] == lines["left"]["infected_voxels"] == "0"
    assert lines["everywhere"]["infected_voxels"] == "24"
    ml = 0.7 * 0.9 * 3 / 1000
    assert float(lines["left"]["lung_ml"]) == pytest.approx(800 * ml, abs=1e-4)
    assert float(lines["everywhere"]["infected_ml"]) == pytest.approx(24 * ml, abs=1e-4)
    lungs = np.asarray(nib.load(tmp_path / "out" / "scan_lungs.nii.gz").dataobj)
    np.testing.assert_array_equal(lungs == 1, data == LUNG)


def test_a_network_that_sees_what_the_lungs_leave(runs: Path) -> None:
    lungs = find_run(runs, trained(runs, 148 / 255, below=True, task="lung").spec.id)
    bright = find_run(runs, trained(runs, 200 / 255, seed=6).spec.id)
    cpu = torch.device("cpu")
    target, outline = build_predictor(bright, cpu), build_predictor(lungs, cpu)
    grey = np.full((5, SIDE, SIDE), 60, np.uint8)  # more slices than a batch has
    grey[:, :, 16:] = 160  # no lung
    grey[:, 8, 20] = 250

    def inside(image: np.ndarray, lung: np.ndarray) -> np.ndarray:
        assert image.shape == lung.shape == (SIDE, SIDE)
        return np.where(lung > 127, 255, 0).astype(np.uint8)

    alone = list(Chain(target, outline).slices(grey))
    masked = list(Chain(target, outline, inside).slices(grey))
    assert len(alone) == len(masked) == 5
    for one, other in zip(alone, masked, strict=True):
        np.testing.assert_array_equal(one.mask, grey[0] > 200)
        np.testing.assert_array_equal(other.mask, grey[0] < 148)
        np.testing.assert_array_equal(one.lung, grey[0] < 148)
        np.testing.assert_array_equal(other.lung, grey[0] < 148)


def test_an_altered_cascade_whose_lungs_are_none_is_refused(runs: Path) -> None:
    other = trained(runs, 0.5, seed=11)
    inside = trained(
        runs, 0.5, seed=12, task="hierarchical", cascade=Cascade(), needs=(other.spec.id,)
    )
    with pytest.raises(CovbenchError, match="as its lung network, which outlines no lungs"):
        build_chain(find_run(runs, inside.spec.id), torch.device("cpu"))


def test_a_lung_run_alone_measures_the_lungs(predict: Predict, runs: Path, tmp_path: Path) -> None:
    lung_run = trained(runs, 148 / 255, below=True, task="lung")
    nib.save(nib.Nifti1Image(chest(), RAS), tmp_path / "scan.nii.gz")
    assert predict("--input", tmp_path / "scan.nii.gz", run=lung_run.spec.id) == 0
    lines = table(tmp_path)
    assert [line["region"] for line in lines] == ["right", "left", "both"]
    assert [line["lung_voxels"] for line in lines] == ["776", "800", "1576"]
    assert {line["infected_voxels"] for line in lines} == {""}
