"""Data in Hounsfield units: kept as they are, windowed by the protocol where they are read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pytest

from benchmark.bank import ImageBank
from benchmark.datasets import PreparedDataset, contact_sheet, open_dataset, prepare_dataset
from benchmark.datasets.leakage import find_leaks
from benchmark.datasets.manifest import IMAGES, MANIFEST
from benchmark.datasets.recipes import Options
from benchmark.protocols import load_protocol
from benchmark.protocols.sections import SplitRule
from benchmark.window import LUNG_WINDOW, windowed
from zoo.errors import CovbenchError

UNITS = np.array([-32768, -1250, -1001, -500, 10, 41, 250, 1500], np.int16)
SCAN = np.broadcast_to(UNITS, (2, 6, 8)).copy()  # slices, rows, columns: as they display
SCAN[1] += 1


def put(folder: Any, stem: str, units: np.ndarray = SCAN) -> None:
    mask = np.zeros(units.shape, np.uint8)
    mask[:, 2:4, 2:4] = 1
    folder.put(f"images/{stem}.nii", units.transpose(2, 1, 0))
    folder.put(f"masks/{stem}.nii", mask.transpose(2, 1, 0))


def by_hand(values: Any, low: float, high: float) -> np.ndarray:
    share = (np.asarray(values, float) - low) * (255 / (high - low))
    return np.rint(np.clip(share, 0, 255)).astype(np.uint8)


def test_the_table_windows_every_16_bit_value():
    every = np.arange(-32768, 32768).astype(np.int16)
    for window in (LUNG_WINDOW, (-160.0, 240.0), (-32768.0, 32767.0), (0.5, 0.75)):
        np.testing.assert_array_equal(windowed(every, window), by_hand(every, *window))
    flipped = every.reshape(256, 256)[::-1, ::-2]
    np.testing.assert_array_equal(windowed(flipped, LUNG_WINDOW), by_hand(flipped, -1250, 250))


def test_hounsfield_units_are_kept_and_windowed_as_they_are_read(folder: Any):
    put(folder, "a")
    made = folder.prepare()
    assert made.manifest.values == "hu"
    assert (made.path / IMAGES).stat().st_size == 2 * SCAN.size
    for k in range(2):
        np.testing.assert_array_equal(made.stored(k), SCAN[k])
        np.testing.assert_array_equal(made.image(k), by_hand(SCAN[k], -1250, 250))
    assert made.image(0).dtype == np.uint8
    # -1250 is black, 250 white: 0.17 grey a unit, such as 249 * 0.17 = 42.33 for -1001.
    assert made.image(0)[0].tolist() == [0, 0, 42, 128, 214, 219, 255, 255]
    tissue = open_dataset("mine", made.path.parent, window=(-160.0, 240.0))
    assert tissue.image(0)[0].tolist() == [0, 0, 0, 0, 108, 128, 255, 255]
    assert tissue.window == tissue.of_task("infection").window == (-160.0, 240.0)
    assert tissue.manifest_hash == made.manifest_hash, "the window is the protocol's"


def test_the_kind_of_values_is_part_of_the_identity(folder: Any):
    put(folder, "a")
    manifest = folder.prepare().manifest
    assert manifest.model_copy(update={"values": "grey"}).identity() != manifest.manifest_hash


def test_an_8_bit_manifest_from_before_there_was_a_kind_keeps_its_identity(folder: Any):
    folder.pair("a")
    made = folder.prepare()
    text = json.loads((made.path / MANIFEST).read_text())
    assert text.pop("values") == "grey"
    assert set(text["parameters"]) == {"label_map", "window", "groups"}, "later options are out"
    (made.path / MANIFEST).write_text(json.dumps(text))
    assert PreparedDataset(made.path).manifest_hash == made.manifest_hash


def test_an_option_that_came_later_is_left_out_at_its_default():
    class Some(Options):
        later = frozenset({"new"})
        old: int = 1
        new: int = 2

    assert Some().parameters() == Some(new=2).parameters() == {"old": 1}
    assert Some(new=3).parameters() == {"old": 1, "new": 3}


def test_a_window_given_for_preparing_makes_8_bit_grey(folder: Any):
    put(folder, "a")
    made = folder.prepare(window="-160,240")
    assert made.manifest.values == "grey"
    np.testing.assert_array_equal(made.image(0), by_hand(SCAN[0], -160, 240))
    assert any("-160 to 240" in note for note in made.manifest.notes)


def test_8_bit_grey_takes_no_other_window(folder: Any):
    folder.pair("a")
    made = folder.prepare()
    with pytest.raises(CovbenchError, match=r"input\.window = \[-160\.0, 240\.0\]") as caught:
        open_dataset("mine", made.path.parent, window=(-160.0, 240.0))
    assert "8-bit" in caught.value.problem and "default" in caught.value.remedy
    assert open_dataset("mine", made.path.parent, window=LUNG_WINDOW).window == LUNG_WINDOW


def test_float_units_are_rounded_and_clipped_to_16_bits(folder: Any):
    units = np.full((2, 6, 8), -900.0, np.float32)
    units[0, 0, :4] = -1e6, -999.6, 0.4, 1e6
    put(folder, "a", units)
    assert folder.prepare().stored(0)[0, :4].tolist() == [-32768, -1000, 0, 32767]


def test_units_stored_the_other_way_round_are_read_alike(folder: Any):
    image = nib.Nifti1Image(SCAN.transpose(2, 1, 0), np.diag([-1.0, -1, 2, 1]))
    put(folder, "a")
    nib.Nifti1Image(image.dataobj, image.affine, nib.Nifti1Header(endianness=">")).to_filename(
        folder.path / "images" / "a.nii"
    )
    np.testing.assert_array_equal(folder.prepare().stored(1), SCAN[1])


def test_a_mixture_of_units_and_grey_is_refused(folder: Any):
    put(folder, "a")
    put(folder, "b", np.full((2, 6, 8), 90, np.uint8))
    folder.refused("Some images are in Hounsfield units", "b-0000", "window=")
    assert folder.prepare(window="-1250,250").manifest.values == "grey"


def test_at_another_size_windowed_grey_is_averaged(folder: Any):
    units = np.full((1, 8, 8), -3000, np.int16)
    units[:, :, ::2] = 250
    put(folder, "a", units)
    made = folder.prepare()
    images, masks = made.at_size(4)
    # Half black (however far below the window), half white: 127.5.
    assert set(np.unique(images[0])) <= {127, 128}
    assert images.dtype == masks.dtype == np.uint8


def test_a_bank_reads_windowed_images_held_or_not(folder: Any):
    put(folder, "a", np.resize(SCAN, (5, 8, 8)))
    made = folder.prepare()
    expected = np.stack([made.image(k) for k in (3, 1)])
    for fraction in (0.0, 0.25):
        bank = ImageBank.of(made, 8, [0, 1, 3], fraction=fraction)
        assert bank.held == (fraction > 0)
        np.testing.assert_array_equal(bank.batch([2, 1])[0].numpy(), expected)
        grey = np.stack([made.image(k) for k in (0, 1, 3)]) / 255
        assert bank.statistics() == pytest.approx((grey.mean(), grey.std()))


def test_a_contact_sheet_shows_units_and_lungs(folder: Any, tmp_path: Path):
    units = np.full((1, 64, 64), -900, np.int16)
    put(folder, "a", units)
    lungs = np.zeros((64, 64, 1), np.uint8)
    lungs[20:50, 20:50] = 1
    folder.put("lungs/a.nii", lungs)
    sheet = cv2.imread(str(contact_sheet(folder.prepare(), tmp_path / "s.png", n=1, tile=64)))
    blue, green, red = (sheet[..., k].astype(int) for k in range(3))
    yellow = (green - blue > 100) & (red - blue > 100)
    assert yellow.sum() == 4 * 29, "the rim of a square of 30"
    assert yellow[20, 20:50].all() and not yellow[25, 25:45].any()
    assert ((red - green > 100) & (red - blue > 100)).any(), "the lesion"


def test_leaks_name_the_slices_of_both_sides(folder: Any):
    for stem in ("a", "b", "c"):
        folder.pair(stem)
    folder.groups("id,group\na,anna\nb,anna\nc,bert\n")
    made = folder.prepare()
    assert find_leaks(made, SplitRule(folds=2)) == ()
    # Two of three slices train: whichever draw splits anna's shows her on both sides.
    leaks = find_leaks(made, SplitRule(kind="random", train_fraction=0.67, draws=8))
    assert leaks and {leak.group for leak in leaks} == {"anna"}
    assert {leak.train + leak.test for leak in leaks} <= {("a", "b"), ("b", "a")}


# ---- the protocol's field


def test_a_protocol_at_the_default_window_has_the_canonical_form_of_before():
    assert "window" not in load_protocol("identical").canonical()["input"]
    same = load_protocol("identical", ["window=-1250,250"])
    assert same.canonical() == load_protocol("identical").canonical()
    assert same.changes == []


def test_another_window_changes_the_canonical_form():
    other = load_protocol("identical", ["window=-1000,400"])
    assert other.canonical()["input"]["window"] == [-1000, 400]
    assert other.changes == ["input.window=[-1000.0, 400.0]"]
    assert load_protocol("identical", other.changes) == other


@pytest.mark.parametrize("value", ["250,-1250", "1,1", "5", "-1e6,0", "low,high"])
def test_an_unfit_window_is_refused(value: str):
    with pytest.raises(CovbenchError, match=r"input\.window"):
        load_protocol("identical", [f"window={value}"])


@pytest.mark.skipif("COVBENCH_SHARED" not in os.environ, reason="real scans not present")
def test_a_real_scan_and_its_lungs_from_an_organ_map(tmp_path: Path):
    scans = Path(os.environ["COVBENCH_SHARED"]) / "data/HU_samples/TotalSegmentator"
    for kind, name in (("images", "example_ct_sm"), ("masks", "example_seg"), ("lungs",) * 2):
        (tmp_path / kind).mkdir()
        file = scans / f"{'example_seg' if kind == 'lungs' else name}.nii.gz"
        (tmp_path / kind / "a.nii.gz").symlink_to(file)
    labels = np.unique(np.asarray(nib.load(scans / "example_seg.nii.gz").dataobj)).tolist()
    first = next(int(label) for label in labels if label)
    made = prepare_dataset(
        "folder",
        tmp_path,
        as_name="real",
        root=tmp_path / "data",
        label_map={int(label): int(label == first) for label in labels},
        lung_map=f"{first}:1",
    )
    assert (made.manifest.values, len(made)) == ("hu", 30)
    assert made.stored(0).min() < -900 and made.cases[0].spacing_mm is not None
    for k in range(len(made)):
        np.testing.assert_array_equal(made.lung(k), made.mask(k))
