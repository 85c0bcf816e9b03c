"""A user's own folder with DICOM series, stacks of pages, lungs and named classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.dicoms import write_series

GREY = np.tile(np.arange(16, dtype=np.uint8) * 10, (12, 1))  # what `folder.pair` puts there
MASK = (GREY > 100).astype(np.uint8)
STORED = np.full((3, 6, 5), 24, np.uint16)  # 24 - 1024 = -1000 HU
STORED[1, 2, 3] = 1064  # 40 HU
PLACED = np.diag([-0.5, -0.8, 2.0, 1.0])
PLACED[:3, 3] = 10, 20, 100  # where `write_series` places its slices


def scan(folder: Any, stem: str, where: np.ndarray = PLACED) -> None:
    write_series(folder.path / "images" / stem, STORED)
    folder.put(f"masks/{stem}.nii.gz", (STORED > 24).astype(np.uint8).transpose(2, 1, 0), where)


def test_a_series_is_paired_with_a_nifti_mask(folder: Any):
    scan(folder, "p1")
    scan(folder, "p2")
    (folder.path / "images" / "thumbs").mkdir()
    made = folder.prepare()
    assert [case.id for case in made.cases][:4] == ["p1-0000", "p1-0001", "p1-0002", "p2-0000"]
    assert {case.group for case in made.cases} == {"p1", "p2"}
    assert (made.manifest.values, made.manifest.groups_known) == ("hu", "all")
    assert made.stored(1)[2].tolist() == [-1000, -1000, -1000, 40, -1000]
    assert np.argwhere(made.mask(1)).tolist() == [[2, 3]]
    assert made.cases[0].spacing_mm == (0.8, 0.5)
    assert "images/p1/001.dcm" in made.manifest.sources


def test_masks_may_be_a_series_of_stored_labels(folder: Any):
    scan(folder, "p1")
    (folder.path / "masks" / "p1.nii.gz").unlink()
    write_series(folder.path / "masks" / "p1", (STORED > 24).astype(np.uint16))
    assert np.argwhere(folder.prepare().mask(1)).tolist() == [[2, 3]]


def test_one_of_several_series_is_chosen(folder: Any):
    scan(folder, "p1")
    write_series(
        folder.path / "images" / "p1" / "scout", STORED[:1], SeriesInstanceUID="9", SeriesNumber=5
    )
    folder.refused("2 series", "5 Thorax")
    assert len(folder.prepare(series="1")) == 3


def test_a_mask_elsewhere_in_space_is_refused(folder: Any):
    scan(folder, "p1", np.diag([-0.5, -0.8, 2.0, 1.0]))
    folder.refused("p1", "place their voxels differently")


def test_a_series_that_is_not_in_hounsfield_units_needs_a_window(folder: Any):
    write_series(folder.path / "images" / "p1", STORED, RescaleIntercept=0)
    folder.put("masks/p1.nii.gz", (STORED > 24).astype(np.uint8).transpose(2, 1, 0), PLACED)
    folder.refused("p1", "not in Hounsfield units", "window=")
    assert folder.prepare(window="0,1064").image(1)[2, 3] == 255


# ---- pages


def pages(folder: Any, name: str, *arrays: np.ndarray) -> None:
    path = folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (Image.fromarray(array) for array in arrays)
    first.save(path, save_all=True, append_images=rest)


def test_a_stack_of_pages_gives_slices_of_one_group(folder: Any):
    pages(folder, "images/a.tif", GREY, GREY // 2, GREY // 3)
    pages(folder, "masks/a.tif", MASK, MASK * 0, MASK[:, ::-1])
    made = folder.prepare()
    assert [case.id for case in made.cases] == ["a-0000", "a-0001", "a-0002"]
    assert {case.group for case in made.cases} == {"a"}
    assert made.manifest.groups_known == "all"
    np.testing.assert_array_equal(made.image(1), GREY // 2)
    np.testing.assert_array_equal(made.mask(2), MASK[:, ::-1])


def test_a_stack_whose_mask_has_other_pages_is_refused(folder: Any):
    pages(folder, "images/a.tif", GREY, GREY)
    pages(folder, "masks/a.tif", MASK)
    folder.refused("images/a.tif", "masks/a.tif", "2 x 12 x 16", "12 x 16")


# ---- lungs


def lung(folder: Any, name: str, left: int = 1, right: int = 2) -> np.ndarray:
    array = np.zeros(GREY.shape, np.uint8)
    array[3:9, 2:6], array[3:9, 9:14] = left, right
    folder.put(f"lungs/{name}", array)
    return array


def test_lungs_are_whatever_is_not_zero(folder: Any):
    folder.pair("a")
    folder.pair("b", ".jpg")
    outlined = lung(folder, "a.png")
    lung(folder, "b_lung.png", 255, 255)
    made = folder.prepare()
    for k in range(2):
        np.testing.assert_array_equal(made.lung(k), outlined > 0)
    assert made.manifest.tasks == ("infection", "lung", "hierarchical")
    assert "lungs/a.png" in made.manifest.sources


def test_a_lung_map_says_which_values_are_lung(folder: Any):
    folder.pair("a")
    outlined = lung(folder, "a.png", 10, 51)
    for wrong in ("10:2", "10:0", "ten:1"):
        folder.refused("lung_map", lung_map=wrong)
    made = folder.prepare(lung_map="10:1")
    np.testing.assert_array_equal(made.lung(0), outlined == 10)


def test_lungs_of_a_scan_lie_where_it_does(folder: Any):
    scan(folder, "p1")
    outlined = (STORED.transpose(2, 1, 0) > 0).astype(np.uint8)
    folder.put("lungs/p1.nii.gz", outlined, np.eye(4))
    folder.refused("p1", "place their voxels differently")
    folder.put("lungs/p1.nii.gz", outlined, PLACED)
    assert folder.prepare().lung(2).all()


def test_lungs_for_some_images_alone_are_refused(folder: Any):
    folder.pair("a")
    folder.pair("b")
    lung(folder, "a.png")
    folder.refused("No lung for the image", "images/b.png", "lungs/")
    lung(folder, "b.png")
    extra = lung(folder, "c.png")
    assert extra.any()
    folder.refused("No image for the lung", "lungs/c.png")


def test_lungs_of_another_size_are_refused(folder: Any):
    folder.pair("a")
    folder.put("lungs/a.png", MASK[:-1])
    folder.refused("images/a.png", "lungs/a.png", "12 x 16", "11 x 16")


# ---- names of classes


def kinds(folder: Any) -> None:
    folder.put("images/a.png", GREY)
    folder.put("masks/a.png", np.minimum(GREY // 50, 2).astype(np.uint8))


def test_names_of_classes_are_kept_and_alone_are_the_label_map(folder: Any):
    kinds(folder)
    made = folder.prepare(classes="1:ground glass,2:consolidation")
    assert made.manifest.classes == {0: "background", 1: "ground glass", 2: "consolidation"}
    assert made.manifest.tasks == ("multiclass",)
    assert set(np.unique(made.mask(0))) == {0, 1, 2}


def test_names_go_with_a_label_map(folder: Any):
    kinds(folder)
    made = folder.prepare(label_map="1:2,2:1", classes="1:dense,2:glass")
    assert made.manifest.classes == {0: "background", 1: "dense", 2: "glass"}
    np.testing.assert_array_equal(made.mask(0) == 1, GREY // 50 >= 2)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("1:glass", ("name two or more",)),
        ("1:glass,2:glass", ("one name of its own",)),
        ("1:glass,2:background", ("one name of its own",)),
        ("1:all lesions,2:glass", ("all classes together",)),
        ("1:Ground glass,2:ground-glass", ("one name of its own",)),  # one name of a file
        ("1:glass,2:", ("letters, digits",)),
        ("1:glass,2:glass-", ("ends with a letter",)),
        (f"1:{'x' * 61},2:glass", ("up to 60 letters",)),
        ("1:All-Lesions,2:glass", ("all classes together",)),
        ("glass,dense", ("classes",)),
    ],
)
def test_unfit_names_are_refused(folder: Any, classes: str, words: tuple[str, ...]):
    kinds(folder)
    folder.refused(*words, classes=classes)
    folder.refused("one name of its own", label_map="1:1,2:2", classes="1:glass,3:dense")
