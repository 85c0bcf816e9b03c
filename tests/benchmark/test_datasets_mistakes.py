"""Mistakes in a user's own folder: each is named, and nothing is left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.datasets import prepare_dataset
from zoo.errors import CovbenchError

GREY = np.tile(np.arange(16, dtype=np.uint8) * 10, (12, 1))  # what `folder.pair` puts there
MASK = (GREY > 100).astype(np.uint8)


def test_a_missing_mask_and_a_missing_image_are_named(folder: Any):
    folder.pair("a")
    extra = folder.put("images/b.png", GREY)
    folder.refused("No mask for the image", "images/b.png", "masks/")
    extra.unlink()
    folder.put("masks/c.png", MASK)
    folder.refused("No image for the mask", "masks/c.png", "images/")


def test_many_missing_masks_are_cut_short(folder: Any):
    for k in range(9):
        folder.put(f"images/{k}.png", GREY)
    (folder.path / "masks").mkdir()
    folder.refused("and 4 more")


def test_two_masks_or_two_images_of_one_name_are_refused(folder: Any):
    folder.pair("a")
    again = folder.put("masks/a_mask.png", MASK)
    folder.refused("a_mask.png", "masks of one image")
    again.unlink()
    folder.put("images/a.tif", GREY)
    folder.refused("a.png", "a.tif", "share a name")


def test_a_mask_of_another_size_names_both(folder: Any):
    folder.put("images/a.png", GREY)
    folder.put("masks/a.png", MASK[:-1])
    folder.refused("images/a.png", "masks/a.png", "12 x 16", "11 x 16")
    volume = np.zeros((4, 4, 3), np.int16)
    folder.put("images/a.nii", volume)
    folder.put("masks/a.nii", volume[..., :2])
    for kind in ("images", "masks"):
        (folder.path / kind / "a.png").unlink()
    folder.refused("a.nii", "3 x 4 x 4", "2 x 4 x 4")


def test_headers_that_disagree_are_refused(folder: Any):
    volume = np.zeros((4, 4, 3), np.int16) - 500
    folder.put("images/a.nii", volume)
    folder.put("masks/a.nii", volume * 0, affine=np.diag([1.0, -1, 2, 1]))
    folder.refused("a.nii", "place their voxels differently")


def test_an_image_and_a_mask_of_different_kinds_are_refused(folder: Any):
    folder.put("images/a.nii", GREY[..., None])
    folder.put("masks/a.png", MASK)
    folder.refused("a.nii", "a.png", "same kind")


def test_a_damaged_file_is_named_and_nothing_is_left(folder: Any):
    folder.pair("a")
    folder.pair("b")
    path = folder.path / "images" / "b.png"
    path.write_bytes(path.read_bytes()[:50])
    folder.refused("images/b.png", "damaged")


def test_slices_that_would_share_an_id_are_refused(folder: Any):
    volume = np.zeros((16, 12, 2), np.int16)
    folder.put("images/a.nii", volume)
    folder.put("masks/a.nii", volume)
    folder.pair("a-0001")
    folder.refused("'a-0001'")


def test_a_folder_of_another_shape_is_explained(folder: Any):
    folder.path.mkdir()
    folder.refused("images is missing", "masks/")
    for kind in ("images", "masks"):
        (folder.path / kind).mkdir()
    folder.refused("holds no PNG")


def test_too_many_files_are_refused(folder: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COVBENCH_LIMITS", "dataset_files=1")
    folder.pair("a")
    folder.pair("b")
    folder.refused("2 files; the limit is 1")


def test_it_needs_a_name_of_its_own(folder: Any):
    folder.pair("a")
    with pytest.raises(CovbenchError, match="need a name") as error:
        prepare_dataset("folder", folder.path, root=folder.path.parent / "data")
    assert "--as NAME" in error.value.remedy
