"""DICOM series: in order, in Hounsfield units, where they lie; what is no stack is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from benchmark.datasets import dicom, dicom_files, nifti
from benchmark.datasets.dicom import read_series
from benchmark.datasets.volume import AIR_HU, check_same_grid
from tests.dicoms import STUDY, write_series, write_slice
from zoo.errors import CovbenchError

Refused = Callable[..., AbstractContextManager[None]]

RAMP = np.arange(4 * 6 * 5, dtype=np.uint16).reshape(4, 6, 5) * 10


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return tmp_path / "scan"


def test_slices_are_ordered_by_place_and_rescaled(scan: Path):
    write_series(scan, RAMP)
    read = read_series(scan)
    np.testing.assert_array_equal(read.values, RAMP.astype(int) - 1024)
    assert read.values.dtype == np.int16
    assert [path.name for path in read.files] == ["004.dcm", "003.dcm", "002.dcm", "001.dcm"]
    assert (read.spacing_mm, read.axes) == ((0.8, 0.5), "LPS")
    assert (read.uid, read.frame) == (f"{STUDY}.1", f"{STUDY}.9")


def test_the_affine_leads_to_right_front_up(scan: Path):
    write_series(scan, RAMP)
    # Column 1, row 2, slice 3 lies at left -10 + 0.5, back -20 + 1.6, up 106.
    at = read_series(scan).affine @ [1, 2, 3, 1]
    np.testing.assert_allclose(at, [9.5, 18.4, 106, 1])


@pytest.mark.parametrize("cosines", [[-1, 0, 0, 0, 1, 0], [1, 0, 0, 0, -1, 0], [0, 1, 0, 1, 0, 0]])
def test_other_directions_are_turned_for_display(tmp_path: Path, cosines: list[int]):
    write_series(tmp_path / "usual", RAMP)
    usual = read_series(tmp_path / "usual")
    along_row, along_column = np.array(cosines[:3]), np.array(cosines[3:])
    for k, pixels in enumerate(RAMP):
        if cosines[0] == -1:
            stored, at = pixels[:, ::-1], (-10 + 4 * 0.5, -20.0)
        elif cosines[4] == -1:
            stored, at = pixels[::-1], (-10.0, -20 + 5 * 0.8)
        else:
            stored, at = pixels.T, (-10.0, -20.0)
        spacing = [0.5, 0.8] if cosines[1] else [0.8, 0.5]
        write_slice(
            tmp_path / "turned" / f"{k}",
            np.ascontiguousarray(stored),
            (*at, 100.0 + 2 * k),
            ImageOrientationPatient=[*along_row.tolist(), *along_column.tolist()],
            PixelSpacing=spacing,
        )
    turned = read_series(tmp_path / "turned")
    np.testing.assert_array_equal(turned.values, usual.values)
    assert turned.spacing_mm == usual.spacing_mm
    check_same_grid(turned, usual)


def test_a_series_and_its_nifti_form_are_the_same_volume(scan: Path, tmp_path: Path):
    write_series(scan, RAMP)
    series = read_series(scan)
    affine = np.diag([-0.5, -0.8, 2.0, 1.0])
    affine[:3, 3] = 10, 20, 100
    units = (RAMP.astype(np.int16) - 1024).transpose(2, 1, 0)
    nib.save(nib.Nifti1Image(units, affine), tmp_path / "scan.nii.gz")
    volume = nifti.read_volume(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(series.values, volume.values)
    check_same_grid(series, volume)


def test_slope_and_intercept_are_each_slices_own(scan: Path):
    write_slice(scan / "a", RAMP[0], (0, 0, 0), RescaleSlope=0.5, RescaleIntercept=-1000)
    write_slice(scan / "b", RAMP[1], (0, 0, 1), RescaleSlope=2, RescaleIntercept=-1)
    values = read_series(scan).values
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values[0], RAMP[0] * 0.5 - 1000)
    np.testing.assert_array_equal(values[1], RAMP[1] * 2.0 - 1)


def test_signed_pixels_and_padding(scan: Path):
    stored = RAMP.astype(np.int16) - 500
    stored[:, 0, 0] = -2000
    write_series(scan, stored, RescaleIntercept=0, PixelPaddingValue=-2000)
    values = read_series(scan).values
    assert (values[:, 0, 0] == AIR_HU).all()
    np.testing.assert_array_equal(values[:, 1:], stored[:, 1:])
    assert (read_series(scan, stored=True).values[:, 0, 0] == -2000).all()


def test_run_length_compression_is_decoded(scan: Path):
    write_series(scan, RAMP, rle=True)
    np.testing.assert_array_equal(read_series(scan).values, RAMP.astype(int) - 1024)


def test_other_files_and_names_without_an_ending_are_fine(scan: Path):
    for k, pixels in enumerate(RAMP):
        write_slice(scan / "deeper" / f"IM{k}", pixels, (0, 0, float(k)))
    write_slice(scan / ".hidden", RAMP[0], (0, 0, 9))
    (scan / "DICOMDIR").write_bytes(b"an index")
    (scan / "notes.txt").write_text("passed over")
    assert read_series(scan).values.shape == (4, 6, 5)
    assert dicom_files.holds_series(scan)


def test_one_slice_has_its_thickness(scan: Path):
    write_slice(scan / "a.dcm", RAMP[0], (0, 0, 5))
    read = read_series(scan)
    assert read.values.shape == (1, 6, 5)
    assert read.affine[2, 2] == 2


def test_several_series_are_listed_and_one_is_chosen(scan: Path, refused: Refused):
    write_series(scan / "1", RAMP)
    write_series(
        scan / "2", RAMP[:2], SeriesInstanceUID="9.9", SeriesNumber=7, SeriesDescription="Lung"
    )
    with refused(scan, "2 series", "1 Thorax (4 slices", "7 Lung (2 slices, 9.9)", "series=NUMBER"):
        read_series(scan)
    assert len(read_series(scan, "7").values) == len(read_series(scan, "9.9").values) == 2
    with refused(scan, "no single series '8'"):
        read_series(scan, "8")


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([(0, 0, 0), (0, 0, 2), (0, 0, 4), (0, 0, 8)], ("lacks slices", "4.00 mm", "2.00 mm")),
        ([(0, 0, 0), (0, 0, 2), (0, 0, 2), (0, 0, 4)], ("1 slices lie at a place",)),
        ([(0, 0, 0), (0, 0, 0), (0, 0, 2), (0, 0, 2)], ("2 slices lie at a place",)),
        ([(0, 0, 0), (0, 1, 2), (0, 2, 4), (0, 3, 6)], ("tilted gantry", "1.00 mm beside")),
    ],
)
def test_what_is_no_even_upright_stack_is_refused(
    scan: Path, refused: Refused, places: list[Any], words: tuple[str, ...]
):
    for k, place in enumerate(places):
        write_slice(scan / f"{k}.dcm", RAMP[k], place)
    with refused(scan, *words):
        read_series(scan)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, ("sagittal or coronal",)),
        ({"ImageOrientationPatient": None}, ("no usable ImageOrientationPatient",)),
        ({"ImagePositionPatient": None}, ("no usable ImagePositionPatient",)),
        ({"PixelSpacing": None}, ("no usable PixelSpacing",)),
        ({"PixelSpacing": [0, 1]}, ("pixel spacing that no slice can have",)),
        ({"PhotometricInterpretation": "MONOCHROME1"}, ("MONOCHROME1", "MONOCHROME2")),
        ({"NumberOfFrames": 3}, ("multi-frame", "dcm2niix")),
        ({"SamplesPerPixel": 3}, ("in colour",)),
        ({"PixelData": None}, ("has no pixels",)),
        ({"PixelData": b"12"}, ("damaged",)),
    ],
)
def test_slices_that_cannot_be_used_say_why(
    scan: Path, other: dict[str, Any], words: tuple[str, ...]
):
    write_series(scan, RAMP, **other)
    with pytest.raises(CovbenchError) as caught:
        read_series(scan)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "scan" in caught.value.problem


def test_slices_of_two_sizes_are_refused(scan: Path):
    write_series(scan, RAMP)
    write_slice(scan / "scout.dcm", RAMP[0][:3], (0, 0, 500))
    with pytest.raises(CovbenchError, match=r"scout\.dcm differ in size"):
        read_series(scan)


def test_a_missing_decoder_is_named(scan: Path, monkeypatch: pytest.MonkeyPatch):
    write_series(scan, RAMP[:1])
    path = next(scan.iterdir())
    data = pydicom.dcmread(path)
    data.PixelData = encapsulate([b"\0" * 8])
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = JPEGLSLossless
    data.save_as(path)
    monkeypatch.setattr(dicom, "_can_decode", lambda syntax: False)
    with pytest.raises(CovbenchError, match="JPEG-LS") as caught:
        read_series(scan)
    assert "pip install pyjpegls" in caught.value.remedy


def test_folders_without_a_series(tmp_path: Path, refused: Refused, monkeypatch: Any):
    with refused(tmp_path / "none", "is no folder"):
        read_series(tmp_path / "none")
    (tmp_path / "a.txt").write_text("nothing")
    with refused(tmp_path, "no DICOM images"):
        read_series(tmp_path)
    assert not dicom_files.holds_series(tmp_path)
    (tmp_path / "b.dcm").write_bytes(b"short")
    with refused(tmp_path / "b.dcm", "damaged"):
        read_series(tmp_path)
    monkeypatch.setenv("COVBENCH_LIMITS", "dataset_files=1")
    with refused(tmp_path, "more than 1 files"):
        read_series(tmp_path)


def test_a_claim_of_too_many_voxels_is_refused(
    scan: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
):
    write_series(scan, RAMP)
    monkeypatch.setenv("COVBENCH_LIMITS", "volume_voxels=100")
    with refused(scan, "claims 120 voxels"):
        read_series(scan)


def test_any_damage_is_read_or_refused_but_never_a_traceback(scan: Path):
    write_series(scan, RAMP[:2])
    path = sorted(scan.iterdir())[0]
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(80):
        data = bytearray(whole)
        for at in rng.integers(128, len(whole), rng.integers(1, 6)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data[: rng.integers(0, len(whole))] if rng.random() < 0.3 else data)
        try:
            read_series(scan)
            outcomes.add("read")
        except CovbenchError as error:
            assert "\n" not in error.problem
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.skipif("COVBENCH_SHARED" not in os.environ, reason="real scans not present")
def test_a_real_series_is_read():
    read = read_series(Path(os.environ["COVBENCH_SHARED"]) / "data/HU_samples/lungmask_dicom")
    assert (read.values.shape, read.values.dtype) == ((2, 512, 512), np.int16)
    assert (read.axes, read.spacing_mm) == ("LPS", (0.625, 0.625))
    assert [path.name for path in read.files] == ["0.dcm", "1.dcm"]
    # Table and spine lie at the back: bone in the lower half.
    bone = read.values > 300
    assert bone[:, 256:].sum() > bone[:, :256].sum()
