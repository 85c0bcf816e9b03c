"""A folder of images by class: its shape, its identity, and images that can't be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.pretraining.images import check_images, open_folder
from tests.runners.photos import photo_folder
from zoo.errors import CovbenchError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return photo_folder(tmp_path / "photos", 2, 1)


def refused(root: Path) -> str:
    with pytest.raises(CovbenchError) as caught:
        open_folder(root)
    assert len(str(caught.value).splitlines()) == 2
    return str(caught.value)


def test_what_a_folder_holds(photos: Path) -> None:
    (photos / "train" / ".DS_Store").touch()
    found = open_folder(photos)
    assert found.classes == ("blue", "green", "red")
    assert found.train.files[:3] == (
        "train/blue/blue_0.JPEG",
        "train/blue/blue_1.JPEG",
        "train/green/green_0.JPEG",
    )
    assert found.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.val.labels.tolist() == [0, 1, 2]


def test_folders_of_another_shape(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no folder" in refused(photos / "none")
    assert "has no folder train" in refused(photos / "train")
    (photos / "val" / "loose.JPEG").touch()
    assert "loose.JPEG beside its folders" in refused(photos)
    (photos / "val" / "loose.JPEG").unlink()
    (photos / "train" / "yellow").mkdir()
    assert "yellow holds no image" in refused(photos)
    (photos / "train" / "red" / "red_0.JPEG").rename(photos / "train" / "yellow" / "a.JPEG")
    assert "'yellow', which train has and val has not" in refused(photos)
    (photos / "train" / "yellow" / "a.JPEG").rename(photos / "train" / "yellow" / "a.webp")
    assert "a.webp is no PNG, JPEG or TIFF" in refused(photos)
    (photos / "train" / "yellow" / "a.webp").unlink()
    (photos / "train" / "yellow").rmdir()
    monkeypatch.setenv("COVBENCH_LIMITS", "classified_files=4")
    assert "more than 4 images" in refused(photos)


def test_one_class_is_nothing_to_learn(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split / "only").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / split / "only" / "a.png")
    assert "one class (only)" in refused(tmp_path)


def test_the_check_is_of_contents_and_is_made_once(photos: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    counts: list[tuple[int, int]] = []
    before = check_images(open_folder(photos), notes, 2, lambda *two: counts.append(two))
    assert counts[-1] == (9, 9)
    path = photos / "train" / "red" / "red_0.JPEG"

    def again() -> str:
        return check_images(open_folder(photos), notes, 1, lambda *two: counts.append(two))

    counts.clear()
    assert again() == before and counts == []  # the note says so
    os.utime(path, (0, 0))
    assert again() == before and len(counts) == 9  # read again, and the same
    path.write_bytes((photos / "train" / "red" / "red_1.JPEG").read_bytes())
    assert again() != before


def test_a_damaged_note_is_not_believed(photos: Path, tmp_path: Path) -> None:
    right = check_images(open_folder(photos), tmp_path, 1)
    note = next(tmp_path.glob("images-*.json"))
    for text in ("{", "[]", json.dumps({"listing": "other", "manifest_hash": "no"})):
        note.write_text(text)
        assert check_images(open_folder(photos), tmp_path, 1) == right


def test_all_images_that_can_not_be_read_are_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (photos / "train" / "blue" / "blue_0.JPEG").read_bytes()
    (photos / "train" / "blue" / "blue_0.JPEG").write_bytes(whole[:400])
    (photos / "val" / "red" / "red_0.JPEG").write_text("no picture")
    with pytest.raises(CovbenchError) as caught:
        check_images(open_folder(photos), tmp_path, 2)
    assert len(str(caught.value).splitlines()) == 2
    assert "2 images of 9 can't be read; the first: " in caught.value.problem
    assert "blue_0.JPEG is damaged" in caught.value.problem
    listed = (tmp_path / "unreadable.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in listed] == [
        "train/blue/blue_0.JPEG",
        "val/red/red_0.JPEG",
    ]
    assert not list(tmp_path.glob("images-*.json"))
    monkeypatch.setenv("COVBENCH_LIMITS", "image_pixels=1000")  # 40x40 and more are too large
    with pytest.raises(CovbenchError, match="9 images of 9 can't be read"):
        check_images(open_folder(photos), tmp_path, 1)


def test_the_oddities_of_imagenet_are_read(photos: Path, tmp_path: Path) -> None:
    folder = photos / "train" / "red"
    grey = Image.fromarray(np.full((9, 9), 7, dtype=np.uint8))
    with (folder / "a_png.JPEG").open("wb") as file:
        grey.save(file, "PNG")
    grey.convert("CMYK").save(folder / "cmyk.JPEG")
    grey.convert("RGBA").save(folder / "alpha.png")
    check_images(open_folder(photos), tmp_path, 1)
    Image.fromarray(np.full((9, 9), 700, dtype=np.uint16)).save(folder / "deep.png")
    with pytest.raises(CovbenchError, match="not 8-bit colour"):
        check_images(open_folder(photos), tmp_path, 1)
