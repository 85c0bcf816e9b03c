"""An opened dataset: damage is noticed, views are right, the contact sheet shows outlines."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmark.datasets import (
    PreparedDataset,
    contact_sheet,
    open_dataset,
    prepare_dataset,
    verify_dataset,
)
from benchmark.datasets.cases import Case, read_cases, write_cases
from benchmark.datasets.manifest import CASES, IMAGES, MANIFEST, MASKS
from zoo.errors import CovbenchError

TINY = {"size": 32, "patients": 3, "slices": 2}


@pytest.mark.parametrize("name", [IMAGES, MASKS])
def test_verify_names_the_damaged_file(root: Path, name: str):
    made = prepare_dataset("phantom", root=root, **TINY)
    verify_dataset("phantom", root)
    data = bytearray((made.path / name).read_bytes())
    data[100] ^= 1
    (made.path / name).write_bytes(bytes(data))
    with pytest.raises(CovbenchError, match=f"{name} is not what was prepared"):
        verify_dataset("phantom", root)
    mended = prepare_dataset("phantom", root=root, **TINY)
    assert mended.fresh and mended.manifest_hash == made.manifest_hash
    verify_dataset("phantom", root)


def test_verify_names_a_damaged_table(root: Path):
    made = prepare_dataset("phantom", root=root, **TINY)
    table = made.path / CASES
    table.write_text(table.read_text().replace("patient-01,", "patient-02,"))
    with pytest.raises(CovbenchError, match=r"cases\.csv is not what was prepared"):
        verify_dataset("phantom", root)


@pytest.mark.parametrize("name", [IMAGES, MASKS, CASES, MANIFEST])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_dataset_that_is_not_whole_is_not_opened(root: Path, name: str, how: str):
    path = prepare_dataset("phantom", root=root, **TINY).path / name
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CovbenchError, match="damaged") as error:
        PreparedDataset(root / "phantom")
    assert str(root / "phantom") in error.value.remedy


def test_a_manifest_that_was_edited_is_noticed(root: Path):
    made = prepare_dataset("phantom", root=root, **TINY)
    manifest = json.loads((made.path / MANIFEST).read_text())
    manifest["parameters"]["seed"] = 1
    (made.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CovbenchError, match="does not match its own hash"):
        open_dataset("phantom", root)


def test_at_size_stretches_images_smoothly_and_masks_by_label(pictures: Path, root: Path):
    made = prepare_dataset("folder", pictures, as_name="mine", root=root)
    assert made.uniform_size() is None
    images, masks = made.at_size(40)
    assert images.shape == masks.shape == (3, 40, 40)
    assert set(np.unique(masks)) == {0, 1}
    # Slice 0: columns 5..15 of 30 and rows 5..10 of 20.
    rows, columns = np.flatnonzero(masks[0].any(1)), np.flatnonzero(masks[0].any(0))
    assert (rows[0], rows[-1]) == (10, 19)
    assert (columns[0], columns[-1]) in [(7, 19), (6, 19), (7, 20)]
    halved = made.at_size(10)[0][0]
    whole = made.image(0).astype(float)
    blocks = whole.reshape(10, 2, 10, 3).mean(axis=(1, 3))
    assert np.abs(halved - blocks).max() <= 1


def test_at_its_own_size_nothing_is_copied(root: Path):
    made = prepare_dataset("phantom", root=root, **TINY)
    assert made.uniform_size() == (32, 32)
    images, masks = made.at_size(32)
    assert np.shares_memory(images, made.image(0)) and np.shares_memory(masks, made.mask(0))
    np.testing.assert_array_equal(images[3], made.image(3))


def test_a_contact_sheet_shows_outlines(root: Path, tmp_path: Path):
    made = prepare_dataset("phantom", root=root, **TINY)
    path = contact_sheet(made, tmp_path / "sheet.png", n=4, tile=64)
    sheet = cv2.imread(str(path)).astype(int)
    assert sheet.shape == (128, 128, 3)
    red = (sheet[..., 2] - sheet[..., 0] > 100).sum()
    assert red > 20
    with pytest.raises(CovbenchError, match="can't be written"):
        contact_sheet(made, tmp_path / "none" / "sheet.png")


def test_a_contact_sheet_of_one_oblong_slice(pictures: Path, root: Path, tmp_path: Path):
    made = prepare_dataset("folder", pictures, as_name="mine", root=root)
    sheet = cv2.imread(str(contact_sheet(made, tmp_path / "sheet.png", n=1, tile=60)))
    assert sheet.shape == (60, 60, 3)


def test_the_table_of_cases_keeps_everything():
    cases = (Case("a,b", 'q"x', 3, 4, (0.1, 2 / 3)), Case("ü", "g", 1, 1, None))
    assert read_cases(write_cases(cases, (5, 0))) == (cases, (5, 0))
    with pytest.raises(ValueError, match="first line"):
        read_cases(b"id,group\n")
