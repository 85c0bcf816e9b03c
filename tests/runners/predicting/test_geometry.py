"""`covbench predict`: masks lie where the lesions lie, in every geometry."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.runners.predicting.scans import LESION, LUNG, RAS, Predict, chest, series, table, turned
from tests.trained import SIDE, trained


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "SRP", "PIL", "ASR"])
def test_a_lesion_is_found_where_it_lies_in_every_stored_order(
    axes: str, predict: Predict, tmp_path: Path
) -> None:
    image = turned(axes)
    assert "".join(nib.aff2axcodes(image.affine)) == axes
    path = tmp_path / "scan.nii.gz"
    nib.save(image, path)
    assert predict("--input", path, "--overlays", "none") == 0
    mask = nib.load(tmp_path / "out" / "scan_mask.nii.gz")
    assert mask.shape == image.shape
    np.testing.assert_array_equal(mask.affine, nib.load(path).affine)
    assert mask.get_data_dtype() == np.uint8
    stored = np.asarray(image.dataobj)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), stored == LESION)
    assert (stored == LESION).sum() == 4 * 3 * 2


@pytest.mark.parametrize("degrees", [0.0, 4.0])
def test_nibabel_and_simpleitk_agree_on_image_and_mask(
    degrees: float, predict: Predict, tmp_path: Path
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    angle = np.deg2rad(degrees)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    image = nib.Nifti1Image(chest(), tilt @ RAS)
    image.header.set_xyzt_units("mm")
    image.set_qform(tilt @ RAS, 1)
    image.set_sform(tilt @ RAS, 2)
    path = tmp_path / "scan.nii"
    nib.save(image, path)
    assert predict("--input", path) == 0
    there, mask = tmp_path / "out" / "scan_mask.nii", nib.load(tmp_path / "out" / "scan_mask.nii")
    header, own = nib.load(path).header, mask.header
    for key in ("qform_code", "sform_code", "xyzt_units", "srow_x", "srow_y", "srow_z", "pixdim"):
        np.testing.assert_array_equal(own[key], header[key], err_msg=key)
    np.testing.assert_array_equal(mask.get_qform(), nib.load(path).get_qform())

    one, other = sitk.ReadImage(str(path)), sitk.ReadImage(str(there))
    assert one.GetSize() == other.GetSize()
    for what in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(one, what)() == getattr(other, what)()
    values, labels = sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other)
    np.testing.assert_array_equal(labels == 1, values == LESION)
    # The same voxel in space, by nibabel's coordinates (right, front) and ITK's (left, back).
    at = nib.affines.apply_affine(mask.affine, (21, 10, 1)) * (-1, -1, 1)
    index = other.TransformPhysicalPointToIndex([float(each) for each in at])
    assert index == (21, 10, 1) and other[index] == 1


@pytest.mark.parametrize(("shape", "name"), [((32, 32), "a.nii"), ((32, 32, 5, 1), "b.nii.gz")])
def test_a_slice_and_a_volume_of_four_dimensions_keep_their_shape(
    shape: tuple[int, ...], name: str, predict: Predict, tmp_path: Path
) -> None:
    data = chest()[:, :, 1] if len(shape) == 2 else chest()[..., None]
    nib.save(nib.Nifti1Image(data, np.diag([-1.0, -1, 2, 1])), tmp_path / name)
    assert predict("--input", tmp_path / name) == 0
    mask = nib.load(tmp_path / "out" / name.replace(".nii", "_mask.nii", 1))
    assert mask.shape == shape
    np.testing.assert_array_equal(np.asarray(mask.dataobj), data == LESION)


def test_slices_of_another_size_are_stretched_and_come_back(
    predict: Predict, runs: Path, tmp_path: Path
) -> None:
    lesion = chest() == LESION
    large = np.kron(lesion, np.ones((3, 2, 1), np.int16))  # 96 x 64: nothing is lost in 32 x 32
    image = nib.Nifti1Image(np.where(large, LESION, LUNG).astype(np.int16), RAS)
    nib.save(image, tmp_path / "large.nii.gz")
    halfway = trained(runs, (76 + 246) / 2 / 255, seed=4)
    assert predict("--input", tmp_path / "large.nii.gz", run=halfway.spec.id) == 0
    found = np.asarray(nib.load(tmp_path / "out" / "large_mask.nii.gz").dataobj)
    assert found.shape == (96, 64, 5)
    # Interpolation takes the corners off: at most 6 x 2 pixels of 12 x 6 in each of two slices.
    assert set(np.unique(found - large.astype(int))) <= {-1, 0}
    assert large.sum() - found.sum(dtype=int) <= 2 * 4 * 3


def test_pictures_keep_their_format(predict: Predict, tmp_path: Path) -> None:
    grey = np.full((SIDE, SIDE), 70, np.uint8)
    grey[4:9, 20:30] = 250
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "b.tif", "deep/a.png", "c.png", "c.tiff"):
        Image.fromarray(grey).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    assert predict("--input", folder) == 0
    out = tmp_path / "out"
    for name in ("a_mask.png", "b_mask.tif", "deep/a_mask.png", "c.png_mask.png"):
        mask = np.asarray(Image.open(out / name))
        np.testing.assert_array_equal(mask, np.where(grey > 232, 255, 0))
    assert (out / "c.tiff_mask.tif").is_file()
    overlay = np.asarray(Image.open(out / "a_overlay.png"))
    assert overlay.shape == (SIDE, SIDE, 3)
    coloured = (overlay != overlay[..., :1]).any(-1)
    assert coloured[4, 20] and not coloured[6, 25] and not coloured[0, 0], "an outline"
    lines = list(csv.DictReader((out / "involvement.csv").open()))
    names = [Path(line["input"]).name for line in lines]
    assert names == ["a.png", "b.tif", "c.png", "c.tiff", "a.png"]
    assert {line["infected_voxels"] for line in lines} == {"50"}
    assert {line["infected_ml"] for line in lines} == {""}, "a picture has no lengths"


def test_a_series_gives_a_volume_in_patient_coordinates(predict: Predict, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    folder = tmp_path / "series"
    series(folder, chest())
    (folder / "read me.txt").write_text("exported")
    assert predict("--input", folder) == 0
    mask = nib.load(tmp_path / "out" / "series_mask.nii.gz")
    # Right to left, front to back, feet to head, as the slices are displayed.
    assert "".join(nib.aff2axcodes(mask.affine)) == "LPS"
    expected = chest()[::-1, ::-1] == LESION
    np.testing.assert_array_equal(np.asarray(mask.dataobj), expected)
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    there = sitk.ReadImage(str(tmp_path / "out" / "series_mask.nii.gz"))
    assert image.GetSize() == there.GetSize()
    for what in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(there, what)() == pytest.approx(getattr(image, what)(), abs=1e-5)
    found = sitk.GetArrayFromImage(there) == 1
    np.testing.assert_array_equal(found, sitk.GetArrayFromImage(image) == LESION)
    assert float(table(tmp_path)[0]["infected_ml"]) == pytest.approx(24 * 1.89e-3, abs=1e-4)


def test_a_deep_picture_needs_a_window(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = np.full((SIDE, SIDE), 1000, np.uint16)
    deep[5:9, 3:20] = 3900
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert predict("--input", tmp_path / "deep.png") == 2
    assert "--window -1250,250" in capsys.readouterr().err
    assert predict("--input", tmp_path / "deep.png", "--window=0,4095") == 0
    mask = np.asarray(Image.open(tmp_path / "out" / "deep_mask.png"))
    np.testing.assert_array_equal(mask > 0, deep == 3900)
    assert "[window 0..4095]" in capsys.readouterr().out


SAMPLES = Path(os.environ.get("COVBENCH_SHARED", "")) / "data" / "HU_samples" / "TotalSegmentator"


@pytest.mark.skipif(
    "COVBENCH_SHARED" not in os.environ or not SAMPLES.is_dir(), reason="needs the real CT samples"
)
@pytest.mark.parametrize("name", ["example_ct_sm", "pulmonary_ct_cropped"])
def test_a_real_ct_and_its_mask_lie_on_one_another(
    name: str, predict: Predict, runs: Path, tmp_path: Path
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    path, there = SAMPLES / f"{name}.nii.gz", tmp_path / "out" / f"{name}_mask.nii.gz"
    run = trained(runs, 0.5, "size=128", seed=2)
    assert predict("--input", path, "--overlays", "none", run=run.spec.id) == 0
    image, mask = nib.load(path), nib.load(there)
    assert mask.shape == image.shape
    np.testing.assert_array_equal(mask.affine, image.affine)
    one, other = sitk.ReadImage(str(path)), sitk.ReadImage(str(there))
    assert one.GetSize() == other.GetSize()
    for what in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(one, what)() == getattr(other, what)()
    # Grey 127.5 in the lung window is -500 HU; stretching moves edges by a pixel or so.
    found, dense = np.asarray(mask.dataobj) > 0, np.asarray(image.dataobj) > -500
    assert (found == dense).mean() > 0.97
    np.testing.assert_array_equal(sitk.GetArrayFromImage(other).T, np.asarray(mask.dataobj))
