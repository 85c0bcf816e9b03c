"""Public datasets of volumes: from the layout of their downloads to what is prepared."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmark.datasets import PreparedDataset, prepare_dataset
from tests.benchmark.volumes import (
    Body,
    body,
    save,
    save_coronacases20,
    save_medseg9,
    save_mosmed,
    zipped,
)
from zoo.errors import CovbenchError

CASES = {
    "coronacases_001": body(1),
    "radiopaedia_10_85902_1": body(2),
    "radiopaedia_10_85902_3": body(3),
    "radiopaedia_7_85703_0": body(4),
}
NINE = {str(i): body(10 + i) for i in range(1, 4)}


def check(made: PreparedDataset, bodies: dict[str, Body], lungs: bool = True) -> None:
    """Every slice is there, in its place and the right way round."""
    assert len(made) == 6 * len(bodies)
    for at, (name, wanted) in enumerate(bodies.items()):
        for k in range(6):
            i = 6 * at + k
            assert made.cases[i].id == f"{name}-{k:04d}"
            assert made.cases[i].spacing_mm == (0.75, 0.5)
            np.testing.assert_array_equal(made.image(i), wanted.grey[k])
            np.testing.assert_array_equal(made.mask(i), wanted.infection[k])
            if lungs:
                np.testing.assert_array_equal(made.lung(i), wanted.lungs[k] > 0)
    assert made.has_lungs == lungs


@pytest.mark.parametrize("form", ["folders", "zip", "flat-zip"])
def test_coronacases20_comes_to_one_scale_and_one_direction(tmp_path: Path, form: str):
    source = save_coronacases20(tmp_path / "source", CASES)
    if form != "folders":
        zipped(source, nested=form == "zip")
        assert sorted(path.suffix for path in source.iterdir()) == [".zip"] * 4
    made = prepare_dataset("coronacases20", source, root=tmp_path / "data")
    check(made, CASES)
    assert made.manifest.values == "grey"
    assert [case.group for case in made.cases][::6] == [
        "coronacases_001",
        "radiopaedia_10",
        "radiopaedia_10",
        "radiopaedia_7",
    ]
    assert made.manifest.notes == (
        "4 of the 20 scans are there.",
        "1 of 4 scans store Hounsfield units, shown from -1250 to 250; "
        "3 of 4 are windowed to 0 to 255 already and kept as they are.",
    )
    again = prepare_dataset("coronacases20", source, root=tmp_path / "data")
    assert not again.fresh


def test_the_mask_of_both_stands_in_and_is_compared(tmp_path: Path):
    source = save_coronacases20(tmp_path / "source", CASES)
    whole = prepare_dataset("coronacases20", source, root=tmp_path / "whole")
    for part in ("Lung_Mask", "Infection_Mask"):
        (source / part).rename(tmp_path / part)
    made = prepare_dataset("coronacases20", source, root=tmp_path / "data")
    check(made, CASES)
    assert made.manifest.files == whole.manifest.files
    (tmp_path / "Infection_Mask").rename(source / "Infection_Mask")
    changed = CASES["radiopaedia_7_85703_0"].both.copy()
    changed[2, 0, :5] = 3
    save(source / "Lung_and_Infection_Mask/radiopaedia_7_85703_0.nii.gz", changed, "RAS")
    told = prepare_dataset("coronacases20", source, root=tmp_path / "data").manifest.notes[-1]
    assert "differ in the infection of radiopaedia_7_85703_0 (5 voxels)" in told


def test_other_names_of_the_same_download(tmp_path: Path):
    source = save_coronacases20(tmp_path / "source", {"coronacases_001": CASES["coronacases_001"]})
    (source / "COVID-19-CT-Seg_20cases").rename(source / "ct_scans")
    scan = source / "ct_scans/coronacases_001.nii.gz"
    scan.rename(scan.with_name("coronacases_org_001.nii.gz"))
    (source / "Lung_Mask").rename(source / "lung_mask")
    seventh = "radiopaedia_7_85703_0"
    save_coronacases20(tmp_path / "more", {seventh: CASES[seventh]})
    for part, name in (
        ("COVID-19-CT-Seg_20cases", "ct_scans/radiopaedia_org_covid-19-pneumonia-7_85703_0-dcm"),
        ("Lung_Mask", f"lung_mask/{seventh}"),
        ("Infection_Mask", f"Infection_Mask/{seventh}"),
    ):
        (tmp_path / f"more/{part}/{seventh}.nii.gz").rename(source / f"{name}.nii.gz")
    check(
        prepare_dataset("coronacases20", source, root=tmp_path / "data"),
        {name: CASES[name] for name in ("coronacases_001", seventh)},
    )


def test_folds_of_the_authors_need_the_authors_slices(tmp_path: Path):
    source = save_coronacases20(tmp_path / "source", CASES)
    with pytest.raises(CovbenchError, match="not those of the slices that the MiniSeg authors"):
        prepare_dataset("coronacases20", source, root=tmp_path / "data", folds="authors")


def test_scans_without_their_masks_are_named(tmp_path: Path):
    source = save_coronacases20(tmp_path / "source", CASES)
    shutil.rmtree(source / "Lung_and_Infection_Mask")
    (source / "Lung_Mask/coronacases_001.nii.gz").unlink()
    with pytest.raises(CovbenchError, match=r"No lung mask .* for coronacases_001\.nii\.gz"):
        prepare_dataset("coronacases20", source, root=tmp_path / "data")
    save(source / "COVID-19-CT-Seg_20cases/mine.nii.gz", CASES["coronacases_001"].hu)
    with pytest.raises(CovbenchError, match=r"mine\.nii\.gz is none of the 20 scans"):
        prepare_dataset("coronacases20", source, root=tmp_path / "data")


def test_masks_that_lie_elsewhere_are_refused(tmp_path: Path):
    source = save_coronacases20(tmp_path / "source", CASES)
    wrong = CASES["coronacases_001"].infection
    save(source / "Infection_Mask/coronacases_001.nii.gz", wrong[:-1])
    with pytest.raises(CovbenchError, match=r"6 x 32 x 32 and 5 x 32 x 32"):
        prepare_dataset("coronacases20", source, root=tmp_path / "data")
    stored = nib.load(save(source / "Infection_Mask/coronacases_001.nii.gz", wrong))
    moved = stored.affine.copy()
    moved[2, 3] += 10
    nib.save(nib.Nifti1Image(np.asarray(stored.dataobj), moved), stored.get_filename())
    with pytest.raises(CovbenchError, match="place their voxels differently"):
        prepare_dataset("coronacases20", source, root=tmp_path / "data")


@pytest.mark.parametrize(("form", "ending"), [("folders", ".nii"), ("zip", ".nii.gz")])
def test_medseg9_from_the_form_of_its_download(tmp_path: Path, form: str, ending: str):
    source = save_medseg9(tmp_path / "source", NINE, ending)
    if form == "zip":
        zipped(source)
    made = prepare_dataset("medseg9", source, root=tmp_path / "data")
    check(made, {f"medseg9-{name}": made for name, made in NINE.items()})
    assert made.manifest.groups == 3 and made.manifest.groups_known == "all"
    assert made.manifest.notes[0] == "3 of the 9 scans are there."
    kinds = prepare_dataset(
        "medseg9", source, root=tmp_path / "data", as_name="kinds", label_map="1:1,2:2,3:3"
    )
    assert kinds.classes == {
        0: "background",
        1: "ground-glass",
        2: "consolidation",
        3: "effusion",
    }
    assert kinds.manifest.tasks == ("multiclass", "lung")
    assert [int(kinds.mask(i).max()) for i in range(6)] == [0, 2, 1, 1, 1, 0]


@pytest.mark.parametrize("form", ["folders", "one-zip"])
def test_mosmed_keeps_its_units(tmp_path: Path, form: str):
    bodies = {"0255": body(31), "0256": body(32)}
    source = save_mosmed(tmp_path / "source/COVID19_1110", bodies).parent
    if form == "one-zip":
        zipped(source)
    made = prepare_dataset("mosmed", source, root=tmp_path / "data")
    check(made, {f"study_{name}": of for name, of in bodies.items()}, lungs=False)
    assert made.manifest.values == "hu"
    np.testing.assert_array_equal(made.stored(8), bodies["0256"].hu[2])
    assert made.manifest.notes[0] == "2 masks are there; MosMedData has 50."
    shown = prepare_dataset(
        "mosmed", source, root=tmp_path / "data", as_name="shown", window="-1000,0"
    )
    assert shown.manifest.values == "grey"
    assert int(shown.image(0)[0, 0]) == 255 and int(shown.image(0)[0, -1]) == 0
    (source / "COVID19_1110/masks").mkdir(parents=True, exist_ok=True)
    save(source / "COVID19_1110/masks/study_0300_mask.nii.gz", bodies["0255"].infection)
    with pytest.raises(CovbenchError, match=r"No study for study_0300_mask\.nii\.gz"):
        prepare_dataset("mosmed", source, root=tmp_path / "data")


@pytest.mark.parametrize("name", ["medseg9", "coronacases20", "mosmed", "fused"])
def test_an_empty_folder_is_explained(tmp_path: Path, name: str):
    with pytest.raises(CovbenchError, match="does not hold") as caught:
        prepare_dataset(name, tmp_path, root=tmp_path / "data")
    assert f"covbench data prepare {name}" in caught.value.remedy or name == "fused"


def test_archives_that_are_damaged_or_lead_elsewhere(tmp_path: Path):
    source = save_medseg9(tmp_path / "source", {"1": NINE["1"]})
    inside = tmp_path / "1.nii.gz"
    (source / "rp_im/1.nii.gz").rename(inside)
    (source / "rp_im").rmdir()
    with zipfile.ZipFile(source / "rp_im.zip", "w") as archive:
        archive.write(inside, "../../../rp_im/2.nii.gz")
        archive.write(inside, "/rp_im/1.nii.gz")
    made = prepare_dataset("medseg9", source, root=tmp_path / "data")
    assert len(made) == 6, "the first is passed over; the second is read, not unpacked"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.nii.gz", "data", "source"]
    whole = (source / "rp_im.zip").read_bytes()
    half = len(whole) * 3 // 4
    (source / "rp_im.zip").write_bytes(whole[: half - 400] + bytes(50) + whole[half - 350 :])
    with pytest.raises(CovbenchError, match=r"1\.nii\.gz is damaged"):
        prepare_dataset("medseg9", source, root=tmp_path / "data")
    (source / "rp_im.zip").write_bytes(whole[:-30])
    with pytest.raises(CovbenchError, match="no whole zip archive"):
        prepare_dataset("medseg9", source, root=tmp_path / "data")


def test_a_volume_twice(tmp_path: Path):
    source = save_medseg9(tmp_path / "source", {"1": NINE["1"]})
    save(source / "more/rp_im/1.nii", NINE["1"].hu)
    with pytest.raises(CovbenchError, match="both hold a volume 1"):
        prepare_dataset("medseg9", source, root=tmp_path / "data")
