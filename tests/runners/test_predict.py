"""`covbench predict`: masks lie where the lesions lie, in every geometry; nothing is lost."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.datasets import open_dataset
from benchmark.datasets.inside import Cascade
from results.find import find_run
from results.predictions import read_predictions
from results.store import Store, load_records
from runners.cli import run_cli
from runners.predicting.chain import Chain, build_chain
from runners.predicting.network import build_predictor
from tests.trained import SIDE, trained
from zoo.errors import CovbenchError

LUNG, TISSUE, LESION = -800, 40, 200
"""Hounsfield units; in the lung window their grey is 76, 219 and 246 of 255."""

Predict = Callable[..., int]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A store with one run, whose network finds what is brighter than 232 of 255."""
    root = tmp_path / "runs"
    trained(root, 232 / 255)
    return root


@pytest.fixture
def predict(runs: Path, tmp_path: Path) -> Predict:
    """Predict with the first run of the store into tmp_path/out."""

    def call(*arguments: object, run: str | None = None) -> int:
        name = run or load_records(runs)[0].spec.id
        words = ["predict", "--run", name, "--from", runs, "--out", tmp_path / "out", *arguments]
        return run_cli([str(word) for word in words])

    return call


def chest() -> np.ndarray:
    """A volume of 32 x 32 x 5, stored R, A, S: two lungs, a lesion in the right one."""
    data = np.full((SIDE, SIDE, 5), TISSUE, np.int16)
    data[3:13, 8:24] = LUNG  # the patient's left: the first axis runs to the right
    data[19:29, 8:24] = LUNG
    data[21:25, 10:13, 1:3] = LESION
    return data


RAS = np.array([[0.7, 0, 0, -10], [0, 0.9, 0, 20], [0, 0, 3, 5], [0, 0, 0, 1.0]])


def turned(axes: str) -> nib.Nifti1Image:
    """The same volume, its voxels stored along other axes."""
    image = nib.Nifti1Image(chest(), RAS)
    wanted = nib.orientations.axcodes2ornt(tuple(axes))
    turn = nib.orientations.ornt_transform(nib.io_orientation(RAS), wanted)
    return image.as_reoriented(turn)


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


def test_a_test_image_gives_the_stored_probabilities(
    pair: Path, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "trained", tmp_path / "out"
    # Stretched on the way in and back on the way out: the phantom is larger.
    shared = ["--models", f"{pair},!*02", "--protocol", "smoke", "--set", "max_steps=3"]
    assert run_cli(["run", *shared, "--set", "keep=both", "--out", str(root)]) == 0
    (record,) = load_records(root)
    stored = read_predictions(root, record)
    dataset = open_dataset("phantom", data_root)
    images = {case.id: dataset.image(i) for i, case in enumerate(dataset.cases)}

    chain = build_chain(find_run(root, record.spec.id), torch.device("cpu"))
    names = list(stored)
    together = np.stack([images[name] for name in names])
    for name, said in zip(names, chain.slices(together), strict=True):
        np.testing.assert_array_equal(said.probability, stored[name], err_msg=name)

    (tmp_path / "in").mkdir()
    for name in names[:3]:
        Image.fromarray(images[name]).save(tmp_path / "in" / f"{name}.png")
    words = ["--run", record.spec.title, "--from", str(root), "--plugin", str(pair)]
    assert run_cli(["predict", *words, "--input", str(tmp_path / "in"), "--out", str(out)]) == 0
    for name in names[:3]:
        mask = np.asarray(Image.open(out / f"{name}_mask.png")) > 0
        sure = stored[name] != 128
        np.testing.assert_array_equal(mask[sure], stored[name][sure] > 128)


def test_involvement_with_a_lung_run(predict: Predict, runs: Path, tmp_path: Path) -> None:
    lung_run = trained(runs, 148 / 255, below=True, task="lung")
    data = chest()
    nib.save(nib.Nifti1Image(data, RAS), tmp_path / "scan.nii.gz")
    infection = next(r for r in load_records(runs) if r.spec.task == "infection")
    arguments = ("--input", tmp_path / "scan.nii.gz", "--lung-run", lung_run.spec.id[:8])
    assert predict(*arguments, run=infection.spec.id) == 0
    lines = {line["region"]: line for line in _table(tmp_path)}
    # 10 x 16 voxels in five slices; the lesion of 4 x 3 voxels is no lung in two of them.
    assert lines["left"]["lung_voxels"] == "800"
    assert lines["right"]["lung_voxels"] == str(800 - 24)
    assert lines["right"]["infected_voxels"] == lines["left"]["infected_voxels"] == "0"
    assert lines["everywhere"]["infected_voxels"] == "24"
    ml = 0.7 * 0.9 * 3 / 1000
    assert float(lines["left"]["lung_ml"]) == pytest.approx(800 * ml, abs=1e-4)
    assert float(lines["everywhere"]["infected_ml"]) == pytest.approx(24 * ml, abs=1e-4)
    lungs = np.asarray(nib.load(tmp_path / "out" / "scan_lungs.nii.gz").dataobj)
    np.testing.assert_array_equal(lungs == 1, data == LUNG)


def _table(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "out" / "involvement.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_network_that_sees_what_the_lungs_leave(runs: Path) -> None:
    lungs = find_run(runs, trained(runs, 148 / 255, below=True, task="lung").spec.id)
    bright = find_run(runs, trained(runs, 200 / 255, seed=6).spec.id)
    cpu = torch.device("cpu")
    target, outline = build_predictor(bright, cpu), build_predictor(lungs, cpu)
    grey = np.full((5, SIDE, SIDE), 60, np.uint8)  # more slices than a batch has
    grey[:, :, 16:] = 160  # no lung
    grey[:, 8, 20] = 250

    def inside(image: np.ndarray, lung: np.ndarray) -> np.ndarray:
        assert image.shape == lung.shape == (SIDE, SIDE)
        return np.where(lung > 127, 255, 0).astype(np.uint8)

    alone = list(Chain(target, outline).slices(grey))
    masked = list(Chain(target, outline, inside).slices(grey))
    assert len(alone) == len(masked) == 5
    for one, other in zip(alone, masked, strict=True):
        np.testing.assert_array_equal(one.mask, grey[0] > 200)
        np.testing.assert_array_equal(other.mask, grey[0] < 148)
        np.testing.assert_array_equal(one.lung, grey[0] < 148)
        np.testing.assert_array_equal(other.lung, grey[0] < 148)


def test_an_altered_cascade_whose_lungs_are_none_is_refused(runs: Path) -> None:
    other = trained(runs, 0.5, seed=11)
    inside = trained(
        runs, 0.5, seed=12, task="hierarchical", cascade=Cascade(), needs=(other.spec.id,)
    )
    with pytest.raises(CovbenchError, match="as its lung network, which outlines no lungs"):
        build_chain(find_run(runs, inside.spec.id), torch.device("cpu"))


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
    assert float(_table(tmp_path)[0]["infected_ml"]) == pytest.approx(24 * 1.89e-3, abs=1e-4)


def series(folder: Path, data: np.ndarray) -> None:
    """Write a volume stored R, A, S as DICOM files whose names are in no order."""
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    one, frame, study = generate_uid(), generate_uid(), generate_uid()
    for place, plane in enumerate(data[::-1, ::-1].transpose(2, 1, 0)):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = pydicom.Dataset()
        file.file_meta = meta
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.SeriesInstanceUID, file.FrameOfReferenceUID, file.StudyInstanceUID = one, frame, study
        file.Modality, file.SeriesNumber, file.InstanceNumber = "CT", "1", str(5 - place)
        file.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        file.ImagePositionPatient = ["-12", "-31", str(3 * place)]
        file.PixelSpacing, file.SliceThickness = ["0.9", "0.7"], "3"
        file.Rows, file.Columns = plane.shape
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
        file.PixelRepresentation = 0
        file.RescaleSlope, file.RescaleIntercept = "1", "-1024"
        file.PixelData = (plane + 1024).astype("<u2").tobytes()
        file.save_as(folder / f"IM{7 * place % 5}", enforce_file_format=True)


def test_a_lung_run_alone_measures_the_lungs(predict: Predict, runs: Path, tmp_path: Path) -> None:
    lung_run = trained(runs, 148 / 255, below=True, task="lung")
    nib.save(nib.Nifti1Image(chest(), RAS), tmp_path / "scan.nii.gz")
    assert predict("--input", tmp_path / "scan.nii.gz", run=lung_run.spec.id) == 0
    lines = _table(tmp_path)
    assert [line["region"] for line in lines] == ["right", "left", "both"]
    assert [line["lung_voxels"] for line in lines] == ["776", "800", "1576"]
    assert {line["infected_voxels"] for line in lines} == {""}


def test_one_bad_file_does_not_lose_the_others(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    nib.save(nib.Nifti1Image(chest(), RAS), folder / "b.nii.gz")
    (folder / "a.nii.gz").write_bytes((folder / "b.nii.gz").read_bytes()[:200])
    (folder / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    strange = chest().astype(np.int32) * 10 + 9000
    nib.save(nib.Nifti1Image(strange, RAS), folder / "d.nii.gz")
    assert predict("--input", folder, "--json") == 2
    shown = capsys.readouterr()
    found: list[dict[str, Any]] = json.loads(shown.out)
    assert [each["status"] for each in found] == ["failed", "done", "failed", "failed"]
    assert "a.nii.gz" in found[0]["problem"] and "c.png" in found[2]["problem"]
    assert "--window 0,1500" in found[3]["remedy"], "the option of this command"
    assert "3 of 4 images" in shown.err
    assert [Path(line["input"]).name for line in _table(tmp_path)] == ["b.nii.gz"]
    assert found[1]["involvement"][0]["infected_voxels"] == 24

    # What is missing is done, and what is there is kept.
    before = (tmp_path / "out" / "b_mask.nii.gz").stat().st_mtime_ns
    assert predict("--input", folder, "--json", "--window=1000,11000") == 1, "b had no such window"
    (folder / "a.nii.gz").unlink()
    assert predict("--input", folder, "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert [each["status"] for each in found] == ["kept", "failed", "failed"]
    assert (tmp_path / "out" / "b_mask.nii.gz").stat().st_mtime_ns == before


def test_other_results_are_not_overwritten_unasked(
    predict: Predict, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "scan.nii.gz", tmp_path / "out"
    nib.save(nib.Nifti1Image(chest(), RAS), path)
    assert predict("--input", path) == 0
    assert sorted(each.name for each in (out / "scan_overlays").iterdir()) == [
        "slice0001.png",
        "slice0002.png",
    ]
    first = (out / "scan_mask.nii.gz").read_bytes()
    other = trained(runs, 100 / 255, seed=1)
    capsys.readouterr()
    assert predict("--input", path, run=other.spec.id) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "scan_mask.nii.gz is there already" in lines[0]
    assert "--force" in lines[1]
    assert (out / "scan_mask.nii.gz").read_bytes() == first
    assert predict("--input", path, "--force", "--overlays", "all", run=other.spec.id) == 0
    assert (out / "scan_mask.nii.gz").read_bytes() != first
    assert len(list((out / "scan_overlays").iterdir())) == 5
    # A mask of another program is nobody's to overwrite either; a changed one of ours is not kept.
    (out / "scan_mask.json").unlink()
    assert predict("--input", path, run=other.spec.id) == 1


def test_what_was_interrupted_is_done_again(predict: Predict, tmp_path: Path) -> None:
    path, out = tmp_path / "scan.nii.gz", tmp_path / "out"
    nib.save(nib.Nifti1Image(chest(), RAS), path)
    assert predict("--input", path) == 0
    facts, mask = out / "scan_mask.json", out / "scan_mask.nii.gz"
    whole, first = facts.read_text(), mask.read_bytes()
    # Killed after the mask was written: its facts don't vouch for it yet.
    facts.write_text(json.dumps({**json.loads(whole), "mask": "", "parts": []}))
    mask.write_bytes(b"half")
    assert predict("--input", path) == 0
    assert (facts.read_text(), mask.read_bytes()) == (whole, first)
    mask.unlink()
    assert predict("--input", path) == 0
    assert mask.read_bytes() == first
    # Somebody changed it afterwards: that is not lost unasked.
    mask.write_bytes(b"mended by hand")
    assert predict("--input", path) == 1
    assert mask.read_bytes() == b"mended by hand"


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "nowhere.nii"], "no file or folder nowhere.nii"),
        (["--input", "notes.txt"], "no image that can be read"),
        (["--input", "empty"], "no images in empty"),
        (["--input", "empty", "--out", "empty"], "Give another --out"),
        (["--window", "5"], "--window '5' is no window"),
        (["--window", "5,1"], "--window '5,1' is no window"),
        (["--overlays", "sum"], "Did you mean some?"),
        (["--device", "tpu"], "no device 'tpu'"),
        (["--device", "cuda:99"], "no GPU 'cuda:99'"),
        (["--lung-run", "{id}"], "outlines no lungs"),
        (["--run", "{id}x"], "Unknown run"),
        (["--run", "{without}"], "kept no weights"),
        (["--run", "{old}"], "settings that this covbench doesn't know"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    arguments: list[str],
    words: str,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("")
    Path("empty").mkdir()
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save("a.png")
    (record,) = load_records(runs)
    settings = {**record.spec.settings, "later": {"field": 1}}
    names = {
        "id": record.spec.id,
        "without": trained(runs, 0.5, keep=False, seed=5).spec.id,
        "old": trained(runs, 0.5, settings=settings).spec.id,
    }
    given = {"--run": record.spec.id, "--from": "runs", "--input": "a.png", "--out": "out"}
    given |= {
        key: value.format(**names)
        for key, value in zip(arguments[::2], arguments[1::2], strict=True)
    }
    assert run_cli(["predict", *(word for pair in given.items() for word in pair)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == 2 and words in shown.err
    assert not list(Path().rglob("*_mask*"))


def test_a_network_of_a_file_runs_only_when_its_file_is_named(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = trained(runs, 0.5, seed=9)
    spec = record.spec.model_copy(update={"model": "nowhere-registered"})
    files = {**record.files, "my_net.py": "0" * 64}
    other = record.model_copy(update={"spec": spec, "files": files})
    Store(runs).write(other)
    weights = Store(runs).folder(record.spec) / "weights.safetensors"
    os.link(weights, Store(runs).folder(spec) / "weights.safetensors")
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(tmp_path / "a.png")
    words = ["--from", str(runs), "--input", str(tmp_path / "a.png"), "--out", str(tmp_path)]
    assert run_cli(["predict", "--run", spec.id, *words]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "not built in" in lines[0] and "my_net.py" in lines[0]
    assert "--plugin" in lines[1]


def test_a_changed_source_is_said(
    runs: Path, predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = trained(runs, 0.5, source="7" * 64)
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(tmp_path / "a.png")
    assert predict("--input", tmp_path / "a.png", run=record.spec.id) == 0
    assert "has changed since it was trained" in capsys.readouterr().err


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
