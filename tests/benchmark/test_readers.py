"""Readers of pictures and masks: what is right is read exactly, the rest refused by name."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets.readers import read_image, read_mask, to_grey, to_labels
from zoo.errors import CovbenchError

Refused = Callable[..., AbstractContextManager[None]]

BINARY = {0: 0, 1: 1, 255: 1}
RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


# ---- pictures


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_an_8_bit_picture_is_read_as_it_is(tmp_path: Path, name: str):
    np.testing.assert_array_equal(read_image(save(tmp_path / name, RAMP)), RAMP)


def test_a_jpeg_is_read_within_its_loss(tmp_path: Path):
    read = read_image(save(tmp_path / "a.jpg", RAMP, quality=95)).astype(int)
    assert np.abs(read - RAMP).max() < 12


def test_colour_palette_alpha_and_one_bit_become_grey(tmp_path: Path):
    colour = np.repeat(RAMP[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_image(save(tmp_path / "rgb.png", colour)), RAMP)
    opaque = np.dstack([colour, np.full_like(RAMP, 9)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "rgba.png", opaque)), RAMP)
    palette = Image.fromarray((RAMP > 100).astype(np.uint8), mode="P")
    palette.putpalette([10, 10, 10, 200, 200, 200])
    palette.save(tmp_path / "p.png")
    expected = np.where(RAMP > 100, 200, 10)
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), expected)
    bits = save(tmp_path / "b.png", RAMP > 100)
    np.testing.assert_array_equal(read_image(bits), np.where(RAMP > 100, 255, 0))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_needs_a_window(tmp_path: Path, name: str, refused: Refused):
    deep = save(tmp_path / name, RAMP.astype(np.uint16) * 100)
    with refused(deep, "--option window="):
        read_image(deep)
    expected = np.rint(np.clip((RAMP * 100.0 - 1000) / 4000, 0, 1) * 255)
    np.testing.assert_array_equal(read_image(deep, (1000, 5000)), expected)


def test_a_window_clips_and_keeps_its_ends():
    values = np.array([[-2000, -1250, -500, 250, 3000]], dtype=np.int16)
    assert to_grey(values, (-1250, 250), Path("x")).tolist() == [[0, 0, 128, 255, 255]]


def test_float_pictures_with_nan_are_refused(tmp_path: Path, refused: Refused):
    values = RAMP.astype(np.float32)
    values[2, 3] = np.nan
    path = save(tmp_path / "f.tif", values)
    with refused(path, "1 values that are NaN"):
        read_image(path, (0, 255))


# ---- masks


def test_a_palette_mask_counts_by_index(tmp_path: Path):
    labels = (RAMP > 100).astype(np.uint8)
    palette = Image.fromarray(labels, mode="P")
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", BINARY), labels)


@pytest.mark.parametrize("high", [1, 255])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_masks_of_0_1_and_0_255(tmp_path: Path, high: int, channels: int):
    labels = (RAMP > 100).astype(np.uint8)
    stored = labels * high
    if channels == 3:
        stored = np.repeat(stored[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", stored), BINARY), labels)


def test_labels_outside_the_map_are_listed(tmp_path: Path, refused: Refused):
    path = save(tmp_path / "m.png", (RAMP // 60).astype(np.uint8))
    with refused(path, ": 2, 3 (mapped: 0, 1, 255)", "label_map"):
        read_mask(path, BINARY)
    assert set(np.unique(read_mask(path, {0: 0, 1: 0, 2: 1, 3: 255}))) == {0, 1, 255}


def test_many_stray_labels_are_cut_short(tmp_path: Path, refused: Refused):
    path = save(tmp_path / "m.png", RAMP)
    with refused(path, "and 37 more"):
        read_mask(path, BINARY)


def test_fractions_are_no_labels():
    with pytest.raises(CovbenchError, match=r"0\.5"):
        to_labels(np.array([[0, 0.5, 1]]), BINARY, Path("m.nii"))
    with pytest.raises(CovbenchError, match="NaN"):
        to_labels(np.array([[0, np.nan, 1]]), BINARY, Path("m.nii"))


def test_jpeg_and_coloured_masks_are_refused(tmp_path: Path, refused: Refused):
    path = save(tmp_path / "m.jpg", RAMP)
    with refused(path, "JPEG"):
        read_mask(path, BINARY)
    coloured = np.zeros((4, 4, 3), np.uint8)
    coloured[0, 0] = (255, 0, 0)
    path = save(tmp_path / "m.png", coloured)
    with refused(path, "coloured"):
        read_mask(path, BINARY)


# ---- damaged and hostile pictures


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [8200, 12_000, 60_000])
def test_a_picture_bomb_is_not_decoded(tmp_path: Path, side: int, refused: Refused):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_claiming(side, side))
    with refused(path, "claims more than"):
        read_image(path)


def test_a_picture_without_pixels_is_refused(tmp_path: Path, refused: Refused):
    path = tmp_path / "flat.png"
    path.write_bytes(png_claiming(0, 5))
    with refused(path):
        read_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.6])
def test_a_truncated_picture_is_refused(tmp_path: Path, name: str, part: float, refused: Refused):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    path = save(tmp_path / name, noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with refused(path, "damaged"):
        read_image(path)


def test_other_formats_and_missing_files_are_refused(tmp_path: Path, refused: Refused):
    gif = tmp_path / "a.png"
    Image.fromarray(RAMP).save(gif, format="GIF")
    with refused(gif, "no PNG, JPEG or TIFF"):
        read_image(gif)
    with refused(tmp_path / "none.png", "does not exist"):
        read_image(tmp_path / "none.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(tmp_path: Path, refused: Refused):
    path = save(tmp_path / "a.png", RAMP)
    path.chmod(0)
    with refused(path, "may not be read"):
        read_image(path)


def test_several_pages_are_refused(tmp_path: Path, refused: Refused):
    path = tmp_path / "a.tif"
    page = Image.fromarray(RAMP)
    page.save(path, save_all=True, append_images=[page, page])
    with refused(path, "3 pages"):
        read_image(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.bool_])
def test_labels_are_mapped_alike_from_every_kind_of_number(tmp_path: Path, dtype: type):
    stored = np.array([[[0, 1, 1], [0, 0, 1]]]).astype(dtype)
    expected = [[[0, 2, 2], [0, 0, 2]]]
    assert to_labels(stored, {0: 0, 1: 2}, tmp_path).tolist() == expected
    with pytest.raises(CovbenchError, match="to a class: 1 "):
        to_labels(stored, {0: 0}, tmp_path)


def test_labels_far_apart_and_below_zero_are_mapped(tmp_path: Path):
    stored = np.array([[[-5, 3], [1_000_000, -5]], [[3, 3], [-5, 3]]], np.int32)
    labels = to_labels(stored, {-5: 0, 3: 1, 1_000_000: 255}, tmp_path)
    assert labels.tolist() == [[[0, 1], [255, 0]], [[1, 1], [0, 1]]]
    with pytest.raises(CovbenchError, match="to a class: -5, 1e"):
        to_labels(stored, {3: 1}, tmp_path)
