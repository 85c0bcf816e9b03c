"""`covbench predict --seg`: a DICOM segmentation beside the NIfTI mask of a series."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from benchmark.datasets.dicom_seg import Made, read_source, seg_bytes
from benchmark.datasets.inputs import read_scan
from runners.cli import run_cli
from tests.runners.predicting.scans import LESION, Predict, chest, series
from tests.trained import trained
from zoo.errors import CovbenchError

hd = pytest.importorskip("highdicom")

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def lie_alike(seg: Path, mask: Path, segment: int = 1) -> None:
    """Every voxel of the NIfTI mask and of a segment is marked in both, at one place in space."""
    volume = hd.seg.segread(seg).get_volume(combine_segments=False)
    marked = np.argwhere(volume.array[..., segment - 1])
    image = nib.load(mask)
    places = nib.affines.apply_affine(TO_RAS @ volume.affine, marked)
    there = nib.affines.apply_affine(np.linalg.inv(image.affine), places)
    np.testing.assert_allclose(there, there.round(), atol=1e-3)
    expected = np.argwhere(np.asarray(image.dataobj))
    assert sorted(map(tuple, there.round().astype(int))) == sorted(map(tuple, expected))


def rewrite(folder: Path, **changes: object) -> None:
    """Change attributes of every slice; None takes one away."""
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        for key, value in changes.items():
            if value is None:
                del data[key]
            else:
                setattr(data, key, value)
        data.save_as(path)


def test_it_marks_the_pixels_of_the_slices_that_it_names(predict: Predict, tmp_path: Path) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    series(folder, chest())
    rewrite(folder, PatientName="Doe^Jane", PatientID="7", StudyDate="20260101")
    assert predict("--input", folder, "--seg") == 0
    data = pydicom.dcmread(out / "series_mask.dcm")
    assert (data.Modality, data.SegmentationType) == ("SEG", "BINARY")
    assert (data.PatientName, data.PatientID, data.StudyDate) == ("Doe^Jane", "7", "20260101")
    slices = {each.SOPInstanceUID: each for each in map(pydicom.dcmread, folder.iterdir())}
    one = next(iter(slices.values()))
    assert data.FrameOfReferenceUID == one.FrameOfReferenceUID
    assert data.StudyInstanceUID == one.StudyInstanceUID
    assert data.SeriesInstanceUID != one.SeriesInstanceUID
    named = set()
    for frame, pixels in zip(data.PerFrameFunctionalGroupsSequence, data.pixel_array, strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        uid = source.ReferencedSOPInstanceUID
        named.add(uid)
        there = slices[uid].pixel_array == LESION + 1024
        np.testing.assert_array_equal(pixels == 1, there)
    lesions = {uid for uid, each in slices.items() if (each.pixel_array == LESION + 1024).any()}
    assert named == lesions and len(named) == 2
    (segment,) = data.SegmentSequence
    assert segment.SegmentLabel == "infection"
    lie_alike(out / "series_mask.dcm", out / "series_mask.nii.gz")


@pytest.mark.parametrize(
    "cosines",
    [
        ["1", "0", "0", "0", "1", "0"],
        ["-1", "0", "0", "0", "1", "0"],
        ["0", "1", "0", "1", "0", "0"],
        ["0", "-1", "0", "1", "0", "0"],
        ["0.99", "0.1410674", "0", "-0.1410674", "0.99", "0"],
    ],
    ids=["usual", "mirrored", "transposed", "turned", "tilted"],
)
def test_it_lies_where_the_nifti_mask_lies(
    cosines: list[str], predict: Predict, tmp_path: Path
) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    series(folder, chest())
    rewrite(folder, ImageOrientationPatient=cosines)
    assert predict("--input", folder, "--seg") == 0
    assert hd.seg.segread(out / "series_mask.dcm").pixel_array.any()
    lie_alike(out / "series_mask.dcm", out / "series_mask.nii.gz")


def test_lungs_are_a_segment_of_their_own(predict: Predict, runs: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    series(folder, chest())
    lung = trained(runs, 0.5, task="lung", seed=3)
    assert predict("--input", folder, "--seg", "--lung-run", lung.spec.id) == 0
    data = pydicom.dcmread(out / "series_mask.dcm")
    labels = [each.SegmentLabel for each in data.SegmentSequence]
    assert labels == ["infection", "lung"]
    lie_alike(out / "series_mask.dcm", out / "series_lungs.nii.gz", segment=2)


@pytest.mark.parametrize(
    ("known", "name"),
    [(None, "Doe^Jane"), ("ISO_IR 100", "Böse^Ü"), ("ISO_IR 192", "山田^太郎")],
)
def test_names_in_any_character_set_are_kept(
    known: str | None, name: str, predict: Predict, tmp_path: Path
) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    series(folder, chest())
    rewrite(folder, **({"SpecificCharacterSet": known} if known else {}), PatientName=name)
    assert predict("--input", folder, "--seg") == 0
    data = pydicom.dcmread(out / "series_mask.dcm")
    assert data.SpecificCharacterSet == "ISO_IR 192"
    assert data.PatientName == name
    assert " · " in data.SegmentSequence[0].SegmentAlgorithmName


def test_nothing_found_is_a_segmentation_too(predict: Predict, tmp_path: Path) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    data = chest()
    data[data == LESION] = 0
    series(folder, data)
    assert predict("--input", folder, "--seg") == 0
    assert not pydicom.dcmread(out / "series_mask.dcm").pixel_array.any()


def test_asked_for_later_it_is_made_and_then_kept(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    series(folder, chest())
    assert predict("--input", folder) == 0
    assert not (out / "series_mask.dcm").exists()
    assert predict("--input", folder, "--seg") == 1
    assert "--force" in capsys.readouterr().err
    assert predict("--input", folder, "--seg", "--force") == 0
    first = pydicom.dcmread(out / "series_mask.dcm")
    assert predict("--input", folder, "--seg") == 0
    assert "was there already" in capsys.readouterr().out
    assert predict("--input", folder) == 0, "what is asked for is there"
    (out / "series_mask.dcm").write_bytes(b"changed")
    capsys.readouterr()
    assert predict("--input", folder, "--seg", "--force", "--json") == 0
    again = pydicom.dcmread(out / "series_mask.dcm")
    assert again.SOPInstanceUID != first.SOPInstanceUID, "another object"
    assert json.loads(capsys.readouterr().out)[0]["seg"] == str(out / "series_mask.dcm")


def test_none_is_left_beside_the_mask_of_another_run(
    predict: Predict, runs: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    series(folder, chest())
    lung = trained(runs, 0.5, task="lung", seed=3)
    assert predict("--input", folder, "--seg", "--lung-run", lung.spec.id) == 0
    assert predict("--input", folder, "--force") == 0
    left = sorted(each.name for each in out.iterdir() if each.is_file())
    assert left == ["involvement.csv", "series_mask.json", "series_mask.nii.gz"]


def test_somebody_elses_file_is_not_written_over(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    series(folder, chest())
    out.mkdir()
    (out / "series_mask.dcm").write_text("mine")
    assert predict("--input", folder, "--seg") == 1
    assert "series_mask.dcm is there already" in capsys.readouterr().err
    assert predict("--input", folder) == 0
    assert (out / "series_mask.dcm").read_text() == "mine"


def test_one_that_lies_within_the_series_is_no_slice(predict: Predict, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    series(folder, chest())
    inside = folder / "masks"
    assert predict("--input", folder, "--seg", "--out", inside) == 0
    assert predict("--input", folder, "--seg", "--out", inside, "--force") == 0
    assert predict("--input", folder, "--seg", "--out", tmp_path / "other") == 0
    assert [each.name for each in (tmp_path / "other").glob("*.dcm")] == ["series_mask.dcm"]
    first, second = inside / "series_mask.nii.gz", tmp_path / "other" / "series_mask.nii.gz"
    assert first.read_bytes() == second.read_bytes()


def test_what_deidentification_left_is_no_hindrance(predict: Predict, tmp_path: Path) -> None:
    folder, out = tmp_path / "series", tmp_path / "out"
    series(folder, chest())
    with pydicom.config.disable_value_validation():
        rewrite(
            folder,
            PatientBirthDate="00000000",
            PatientSex="ANONYMIZED",
            StudyDate="x",
            StudyTime="120000-130000",
            SliceThickness=None,
        )
    frame = pydicom.dcmread(folder / "IM0").FrameOfReferenceUID
    turned = pydicom.dcmread(folder / "IM4")  # the file of one slice, whichever comes first
    turned.ImageOrientationPatient = ["1", "1e-7", "0", "0", "1", "0"]
    del turned.FrameOfReferenceUID
    turned.save_as(folder / "IM4")
    assert predict("--input", folder, "--seg") == 0
    data = pydicom.dcmread(out / "series_mask.dcm")
    assert data.FrameOfReferenceUID == frame, "that of the slices which still name it"
    assert not data.PatientBirthDate and not data.PatientSex and not data.StudyDate
    lie_alike(out / "series_mask.dcm", out / "series_mask.nii.gz")


def test_a_class_called_lung_stays_beside_the_lungs(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    series(folder, chest())
    scan, source = read_scan(folder), read_source(folder)
    assert scan.affine is not None
    one, other = np.zeros_like(scan.grey), np.zeros_like(scan.grey)
    one[1, 3], other[2, 5] = 1, 1
    path = tmp_path / "a.dcm"
    made = Made("0", "0", "a\\b " * 30)
    path.write_bytes(seg_bytes(source, [("lung", one), ("lung", other)], scan.affine, made))
    data = pydicom.dcmread(path)
    assert [each.SegmentLabel for each in data.SegmentSequence] == ["lung", "lung"]
    assert data.pixel_array.sum() == one.sum() + other.sum()
    assert data.SegmentSequence[0].SegmentAlgorithmName.startswith("a/b a/b")


def test_slices_of_two_frames_of_reference_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    series(folder, chest())
    other = pydicom.dcmread(folder / "IM2")
    other.FrameOfReferenceUID = "1.2.3"
    other.save_as(folder / "IM2")
    with pytest.raises(CovbenchError, match="2 frames of reference"):
        read_source(folder)


@pytest.mark.parametrize("missing", [f"IM{place}" for place in range(5)])
def test_a_frame_of_reference_that_one_slice_lost(missing: str, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    series(folder, chest())
    lost = pydicom.dcmread(folder / missing)
    frame = lost.FrameOfReferenceUID
    del lost.FrameOfReferenceUID
    lost.save_as(folder / missing)
    assert {one.FrameOfReferenceUID for one in read_source(folder).slices} == {frame}


@pytest.mark.parametrize("key", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", ["", "1.2.3"])
def test_slices_that_nothing_names_are_refused(key: str, value: str, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    series(folder, chest())
    rewrite(folder, **{key: value})
    if value and key != "SOPInstanceUID":
        read_source(folder)
        return
    with pytest.raises(CovbenchError, match=key):
        read_source(folder)


def test_what_a_series_lacks_is_told_before_the_work(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "series"
    series(folder, chest())
    last = pydicom.dcmread(folder / "IM4")
    del last.StudyInstanceUID
    last.save_as(folder / "IM4")
    assert predict("--input", folder, "--seg") == 2
    said = capsys.readouterr().err
    assert "allows no DICOM segmentation" in said and "Leave --seg out" in said
    assert not list((tmp_path / "out").glob("series*"))
    assert predict("--input", folder) == 0


def test_it_is_for_series_alone(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nib.save(nib.Nifti1Image(chest(), np.eye(4)), tmp_path / "a.nii")
    assert predict("--input", tmp_path / "a.nii", "--seg") == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_without_highdicom_the_extra_is_named(
    predict: Predict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "series"
    series(folder, chest())
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    assert predict("--input", folder, "--seg") == 2
    assert "pip install 'covbench[seg]'" in capsys.readouterr().err


REAL = Path(os.environ.get("COVBENCH_SHARED", "")) / "data" / "HU_samples" / "lungmask_dicom"


@pytest.mark.skipif(
    "COVBENCH_SHARED" not in os.environ or not REAL.is_dir(), reason="needs the real CT samples"
)
def test_a_real_series(runs: Path, tmp_path: Path) -> None:
    run, out = trained(runs, 0.5, "size=128", seed=2), tmp_path / "out"
    words = ["predict", "--run", run.spec.id, "--from", runs, "--input", REAL, "--out", out]
    assert run_cli([*map(str, words), "--seg", "--overlays", "none"]) == 0
    (seg,) = out.glob("*_mask.dcm")
    lie_alike(seg, seg.with_name(seg.name.replace(".dcm", ".nii.gz")))
