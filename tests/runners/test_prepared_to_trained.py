"""Every dataset's recipe, from the form of its download to a trained run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmark.datasets import open_dataset
from benchmark.datasets.catalogue import RECIPES
from benchmark.protocols import load_protocol
from results.store import load_records
from runners.cli import run_cli
from runners.stages import fold_of
from tests.benchmark.volumes import body, save_coronacases20, save_medseg9, save_mosmed, zipped
from tests.dicoms import write_series


def coronacases20(source: Path) -> None:
    names = [f"coronacases_00{i}" for i in range(1, 4)] + ["radiopaedia_4_85506_1"]
    zipped(save_coronacases20(source, {name: body(i) for i, name in enumerate(names)}))


def medseg9(source: Path) -> None:
    zipped(save_medseg9(source, {str(i): body(i) for i in range(1, 4)}))


def mosmed(source: Path) -> None:
    save_mosmed(source, {f"000{i}": body(i) for i in range(1, 4)})


def fused(source: Path) -> None:
    save_medseg9(source / "nr2", {str(i): body(i) for i in range(1, 4)})
    coronacases20(source / "zenodo")


def ct100(source: Path) -> None:
    """MedSeg's stacks of 100 slices, whose areas are not those that the authors' folds need."""
    source.mkdir()
    bodies = [body(i, slices=10) for i in range(10)]
    stack = np.concatenate([made.hu for made in bodies])
    lesion = np.concatenate([made.infection for made in bodies])
    for name, values in (("tr_im", stack), ("tr_mask", lesion)):
        image = nib.Nifti1Image(values.transpose(2, 1, 0), np.diag([-1.0, -1, 1, 1]))
        nib.save(image, source / f"{name}.nii.gz")


def folder(source: Path) -> None:
    """One's own DICOM series, their masks as series of labels."""
    for i in range(1, 4):
        made = body(i)
        write_series(source / f"images/p{i}", (made.hu + 1024).astype(np.uint16))
        write_series(source / f"masks/p{i}", made.infection.astype(np.uint16), RescaleIntercept=0)


FORMS: dict[str, Callable[[Path], None]] = {
    "coronacases20": coronacases20,
    "medseg9": medseg9,
    "mosmed": mosmed,
    "fused": fused,
    "ct100": ct100,
    "folder": folder,
}


def test_every_recipe_is_here() -> None:
    assert set(FORMS) == set(RECIPES) - {"phantom"}


@pytest.mark.parametrize("name", FORMS)
def test_from_its_download_to_a_trained_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    FORMS[name](tmp_path / "source")
    prepare = ["data", "prepare", name, "source", *(["--as", "mine"] if name == "folder" else [])]
    assert run_cli(prepare) == 0
    data = "mine" if name == "folder" else name
    few = ["--set", "max_steps=2", "--set", "split.folds=2", "--jobs", "1", "--out", "runs"]
    assert run_cli(["run", "--models", "miniseg", "--data", data, "--protocol", "smoke", *few]) == 0
    (record,) = load_records(tmp_path / "runs")
    dataset = open_dataset(data)
    assert (record.spec.model, record.spec.dataset) == ("miniseg", data)
    assert record.spec.data_hash == dataset.manifest_hash
    assert record.training is not None and record.training.steps == 2
    # Scored at full size: what is infected in the test slices is found or missed.
    (counts,) = record.counts.values()
    protocol = load_protocol("smoke", ["split.folds=2"])
    test = fold_of(dataset, protocol, record.spec).test
    assert counts.tp + counts.fn == sum(int(dataset.mask(i).sum()) for i in test) > 0
