"""CT100 in both forms: made-up slices with the real masks' areas, and the real files if there."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import PreparedDataset, prepare_dataset
from benchmark.datasets.lists import fold_list
from zoo.errors import CovbenchError

AREAS = fold_list("ct100").areas
SIDE = 264  # just holds the largest area
real = pytest.mark.skipif("COVBENCH_SHARED" not in os.environ, reason="real slices not present")


@dataclass(frozen=True)
class Split:
    kind: str = "folds"
    folds: int = 5
    train_fraction: float = 0.6
    draws: int = 5
    seed: int = 0
    test_by: str = "all"
    balance: str = "none"


def masks_with(areas: tuple[int, ...]) -> np.ndarray:
    """(100, SIDE, SIDE) masks whose first pixels are lesion, labels 1 and 2 in turn."""
    masks = np.zeros((100, SIDE * SIDE), np.uint8)
    for mask, area in zip(masks, areas, strict=True):
        mask[:area] = 1 + np.arange(area) % 2
    return masks.reshape(100, SIDE, SIDE)


def save_stacks(
    folder: Path, masks: np.ndarray, low: int = -1000, affine: np.ndarray | None = None
) -> Path:
    """MedSeg's form: slices along the third stored axis, columns along the first."""
    folder.mkdir()
    images = (np.arange(len(masks))[:, None, None] * 2 + low + np.zeros_like(masks)).astype(
        np.int16
    )
    for name, stack in (("tr_im", images), ("tr_mask", masks)):
        where = np.diag([-1.0, -1, 1, 1]) if affine is None or name == "tr_im" else affine
        nib.save(nib.Nifti1Image(stack.transpose(2, 1, 0), where), folder / f"{name}.nii")
    return folder


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stacks(tmp_path_factory.mktemp("ct100") / "stacks", masks_with(AREAS))


@pytest.fixture(scope="module")
def from_stacks(stacks: Path) -> PreparedDataset:
    return prepare_dataset("ct100", stacks, root=stacks.parent / "data")


def check_authors_folds(dataset: PreparedDataset) -> None:
    assert dataset.manifest.groups_known == "some"
    folds = dataset.folds(Split())
    assert [(len(fold.train), len(fold.test)) for fold in folds] == [(79, 20)] * 4 + [(80, 19)]
    assert not any(fold.groups_disjoint for fold in folds)
    assert [fold.shared_groups for fold in folds] == [
        ("study-06",),
        ("study-41",),
        ("study-01", "study-06", "study-77"),
        ("study-01", "study-41", "study-77"),
        (),
    ]
    assert sum(dataset.foreground[i] for i in folds[0].test) == 295_654
    used = {i for fold in folds for i in (*fold.train, *fold.test)}
    assert set(range(100)) - used == {48}


def test_stacks_with_the_right_areas_get_the_authors_folds(from_stacks: PreparedDataset):
    assert len(from_stacks) == 100
    assert from_stacks.foreground == AREAS
    check_authors_folds(from_stacks)
    assert from_stacks.cases[15].group == from_stacks.cases[1].group == "study-01"
    assert from_stacks.cases[2].group == "slice-0002"
    assert from_stacks.cases[0].spacing_mm is None


def test_stacks_keep_their_order_and_direction(from_stacks: PreparedDataset):
    grey = [int(from_stacks.image(i)[0, 0]) for i in (0, 50, 99)]
    assert grey == [round((-1000 + 2 * i + 1250) / 1500 * 255) for i in (0, 50, 99)]
    # The lesions fill the slice from its first row on.
    assert from_stacks.mask(7)[0].all() and not from_stacks.mask(7)[-1].all()


def test_every_class_can_be_kept(stacks: Path):
    made = prepare_dataset(
        "ct100", stacks, as_name="ct100-classes", root=stacks.parent / "data", label_map="1:1,2:2"
    )
    assert made.manifest.tasks == ("multiclass",)
    assert made.manifest.fold_list == "ct100"
    assert set(np.unique(made.mask(0))) == {0, 1, 2}
    assert made.classes == {0: "background", 1: "ground-glass", 2: "consolidation"}
    both = prepare_dataset(
        "ct100", stacks, as_name="two", root=stacks.parent / "data", label_map="1:1,2:1,3:2"
    )
    assert both.classes[1] == "ground-glass and consolidation"


def test_lungs_are_read_and_unlabelled_slices_are_not(stacks: Path, tmp_path: Path):
    source = shutil.copytree(stacks, tmp_path / "stacks")
    bare = prepare_dataset("ct100", source, root=tmp_path / "data")
    lungs = np.zeros((100, SIDE, SIDE), np.uint8)
    lungs[:, :, :9], lungs[:, :, 9:20] = 1, 2
    place = np.diag([-1.0, -1, 1, 1])
    nib.save(
        nib.Nifti1Image(lungs.transpose(2, 1, 0), place), source / "tr_lungmasks_updated.nii.gz"
    )
    nib.save(nib.Nifti1Image(lungs[:10].transpose(2, 1, 0), place), source / "val_im.nii.gz")
    made = prepare_dataset("ct100", source, root=tmp_path / "data")
    assert made.fresh and not bare.has_lungs and made.has_lungs and len(made) == 100
    assert made.manifest.tasks == ("infection", "lung", "hierarchical")
    np.testing.assert_array_equal(made.lung(7), lungs[7] > 0)
    assert made.manifest_hash == bare.manifest_hash
    assert made.manifest.notes[-1] == "val_im has no masks and is not used."
    check_authors_folds(made)
    nib.save(nib.Nifti1Image(lungs[:50].transpose(2, 1, 0), place), source / "val_im.nii.gz")
    (source / "val_im.nii.gz").rename(source / "tr_lungmasks_updated.nii.gz")
    with pytest.raises(CovbenchError, match=r"tr_lungmasks_updated.* CT100 is 100 slices"):
        prepare_dataset("ct100", source, root=tmp_path / "data")


def test_effusion_beyond_the_authors_areas_is_told(tmp_path: Path):
    masks = masks_with(AREAS)
    masks[5, -1, :] = 3
    source = save_stacks(tmp_path / "stacks", masks)
    made = prepare_dataset("ct100", source, root=tmp_path / "data")
    assert made.manifest.fold_list == "ct100"
    assert "label_map=1:1,2:1,3:0" in made.manifest.notes[-1]
    assert made.foreground[5] == AREAS[5] + SIDE
    theirs = prepare_dataset("ct100", source, root=tmp_path / "data", label_map="1:1,2:1,3:0")
    assert theirs.foreground == AREAS and len(theirs.manifest.notes) == 1


def test_stacks_in_another_order_get_no_shipped_folds(tmp_path: Path):
    source = save_stacks(tmp_path / "stacks", masks_with(AREAS)[::-1], low=0)
    made = prepare_dataset("ct100", source, root=tmp_path / "data")
    assert (made.manifest.fold_list, made.manifest.groups_known) == (None, "none")
    assert "98 of 100" in made.manifest.notes[0] or "100 of 100" in made.manifest.notes[0]
    assert "their folds and the known studies are not used" in made.manifest.notes[0]
    folds = made.folds(Split())
    assert sorted(i for fold in folds for i in fold.test) == list(range(100))
    assert not any(fold.groups_disjoint for fold in folds)
    assert {case.group for case in made.cases} == {f"slice-{i:04d}" for i in range(100)}
    assert int(made.image(99)[0, 0]) == 198, "windowed greys are kept"


def test_stacks_that_are_not_the_set_are_refused(tmp_path: Path):
    masks = masks_with(AREAS)
    source = save_stacks(tmp_path / "few", masks[:50])
    with pytest.raises(CovbenchError, match="100 slices of one size"):
        prepare_dataset("ct100", source, root=tmp_path / "data")
    source = save_stacks(tmp_path / "turned", masks, affine=np.diag([1.0, -1, 1, 1]))
    with pytest.raises(CovbenchError, match=r"different directions \(LPS and RPS\)"):
        prepare_dataset("ct100", source, root=tmp_path / "data")


def test_a_folder_without_it_is_explained(tmp_path: Path):
    with pytest.raises(CovbenchError, match="neither form of CT100"):
        prepare_dataset("ct100", tmp_path, root=tmp_path / "data")
    (tmp_path / "tr_im").mkdir()
    with pytest.raises(CovbenchError, match=r"tr_im_0000\.png.* and 197 more"):
        prepare_dataset("ct100", tmp_path, root=tmp_path / "data")


@pytest.mark.parametrize("high", [1, 255])
def test_pictures_store_0_and_1_or_255(tmp_path: Path, high: int):
    source = tmp_path / "source"
    for name in ("tr_im", "tr_mask_new"):
        (source / name).mkdir(parents=True)
    for i, mask in enumerate((masks_with(AREAS) > 0).astype(np.uint8)):
        Image.fromarray(mask * high).save(source / f"tr_mask_new/tr_mask_{i:04d}.png")
        Image.fromarray(np.full_like(mask, i)).save(source / f"tr_im/tr_im_{i:04d}.png")
    made = prepare_dataset("ct100", source, root=tmp_path / "data")
    check_authors_folds(made)
    assert int(made.image(42)[3, 3]) == 42
    if high == 1:
        Image.fromarray(mask[:-1]).save(source / "tr_mask_new/tr_mask_0007.png")
        with pytest.raises(CovbenchError, match="0007 of CT100 differ in size"):
            prepare_dataset("ct100", source, root=tmp_path / "data")


@pytest.fixture(scope="module")
def ct100(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    source = Path(os.environ["COVBENCH_SHARED"]) / "data"
    return prepare_dataset("ct100", source, root=tmp_path_factory.mktemp("data"))


@real
def test_the_real_masks(ct100: PreparedDataset):
    _, masks = ct100.at_size(512)
    assert masks.mean() == pytest.approx(0.06943, abs=5e-6)
    assert (ct100.foreground[22], ct100.foreground[48]) == (203, 0)
    assert max(ct100.foreground) / 512**2 == pytest.approx(0.259, abs=5e-4)
    assert set(np.unique(masks)) == {0, 1}
    check_authors_folds(ct100)


@real
def test_the_real_training_fold_1(ct100: PreparedDataset):
    images = [ct100.image(i) / 255 for i in ct100.folds(Split())[0].train]
    assert np.mean([image.mean() for image in images]) == pytest.approx(0.602034, abs=1e-6)
    assert np.mean([image.std() for image in images]) == pytest.approx(0.296299, abs=1e-6)


@real
def test_the_real_folds_are_the_authors_lists(ct100: PreparedDataset):
    lists = Path(os.environ["COVBENCH_SHARED"]) / "data/COVID-19-CT100/dataList"
    for fold in ct100.folds(Split()):
        for side, kind in ((fold.train, "train"), (fold.test, "val")):
            lines = (lists / f"{kind}{fold.number - 1}.txt").read_text().split("\n")
            numbers = sorted(int(line.split()[0][-8:-4]) for line in lines if line)
            assert list(side) == numbers
