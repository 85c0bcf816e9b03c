"""The 20 scans of Zenodo 3757476: made-up files in their forms, and the real slices if there."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import PreparedDataset, prepare_dataset
from benchmark.datasets.lists import fold_list
from zoo.errors import CovbenchError

real = pytest.mark.skipif("COVBENCH_SHARED" not in os.environ, reason="real slices not present")

# Scan, number, patient, whether the slice is there.
ROWS = (
    ("coronacases_001", 78, "coronacases_001", 1),
    ("coronacases_001", 79, "coronacases_001", 0),
    ("coronacases_002", 40, "coronacases_002", 1),
    ("radiopaedia_10_85902_1", 8, "radiopaedia_10", 1),
    ("radiopaedia_10_85902_3", 84, "radiopaedia_10", 1),
)


@dataclass(frozen=True)
class Split:
    kind: str = "folds"
    folds: int = 3
    train_fraction: float = 0.6
    draws: int = 5
    seed: int = 0
    test_by: str = "all"
    balance: str = "none"


def save_pictures(root: Path) -> Path:
    """The PNG form: slice i has grey i in row 0, infection in row 1 and lungs in rows 1 and 2."""
    for kind in ("ct", "covid", "lungs"):
        (root / kind).mkdir(parents=True)
    lines = ["png,case,slice_index,patient_group,miniseg_crossval_fold,infection_px,in_pack"]
    for i, (case, number, group, there) in enumerate(ROWS):
        lines.append(f"{i:04d}.png,{case},{number},{group},1,8,{there}")
        if not there:
            continue
        image, mask, lung = (np.zeros((8, 8), np.uint8) for _ in range(3))
        image[0] = 10 + i
        mask[1], lung[1:3] = 255, 255
        for kind, plane in (("ct", image), ("covid", mask), ("lungs", lung)):
            Image.fromarray(plane).save(root / kind / f"{i:04d}.png")
    (root / "index.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return save_pictures(tmp_path / "COVID-19-CT-Seg_png256")


def test_pictures_become_slices_with_patients_and_lungs(pictures: Path, root: Path):
    made = prepare_dataset("coronacases20", pictures.parent, root=root)
    assert [case.id for case in made.cases] == [
        "coronacases_001-0078",
        "coronacases_002-0040",
        "radiopaedia_10_85902_1-0008",
        "radiopaedia_10_85902_3-0084",
    ]
    assert [case.group for case in made.cases][-2:] == ["radiopaedia_10"] * 2
    assert made.manifest.groups == 3 and made.manifest.groups_known == "all"
    assert made.manifest.tasks == ("infection", "lung", "hierarchical")
    assert made.foreground == (8,) * 4
    assert [int(made.lung(i).sum()) for i in range(4)] == [16] * 4
    assert "4 of the 5 slices" in made.manifest.notes[-1]
    folds = made.folds(Split())
    assert all(fold.groups_disjoint for fold in folds)
    assert sorted(len(fold.test) for fold in folds) == [1, 1, 2]


def test_upside_down_scans_are_turned_back(pictures: Path, root: Path):
    made = prepare_dataset("coronacases20", pictures, root=root)
    assert made.image(0)[0].tolist() == [10] * 8, "stored as it should be"
    for plane, row in ((made.image(2), 7), (made.mask(2), 6), (made.lung(2), 5)):
        assert plane[row].all() and not plane[:5].any()
    assert int(made.image(2)[7, 0]) == 13
    assert "upside down" in made.manifest.notes[0]
    kept = prepare_dataset("coronacases20", pictures, root=root, upright="false")
    assert int(kept.image(2)[0, 0]) == 13 and kept.mask(2)[1].all()
    assert not any("upside down" in note for note in kept.manifest.notes)
    assert kept.manifest_hash != made.manifest_hash


def test_the_authors_lists_split_patients_and_it_is_said(pictures: Path, root: Path):
    made = prepare_dataset("coronacases20", pictures, root=root, folds="authors")
    folds = made.folds(Split())
    tested = [[made.cases[i].id for i in fold.test] for fold in folds]
    assert tested == [
        [],
        ["radiopaedia_10_85902_3-0084"],
        ["coronacases_001-0078"],
        ["radiopaedia_10_85902_1-0008"],
        ["coronacases_002-0040"],
    ]
    assert [fold.shared_groups for fold in folds] == [
        (),
        ("radiopaedia_10",),
        (),
        ("radiopaedia_10",),
        (),
    ]


def test_missing_or_unknown_pictures_are_named(pictures: Path, root: Path):
    (pictures / "lungs/0002.png").unlink()
    with pytest.raises(CovbenchError, match=r"lungs/0002\.png is missing"):
        prepare_dataset("coronacases20", pictures, root=root)
    text = (pictures / "index.csv").read_text()
    (pictures / "index.csv").write_text(text.replace("0002.png", "../2.png"))
    with pytest.raises(CovbenchError, match="Line 4 of"):
        prepare_dataset("coronacases20", pictures, root=root)
    (pictures / "index.csv").write_text("png,case\n")
    with pytest.raises(CovbenchError, match="lacks the column slice_index"):
        prepare_dataset("coronacases20", pictures, root=root)
    with pytest.raises(CovbenchError, match="does not hold the 20 scans"):
        prepare_dataset("coronacases20", root.parent / "COVID-19-CT-Seg_png256/ct", root=root)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    source = Path(os.environ["COVBENCH_SHARED"]) / "data/COVID-19-CT-Seg_png256"
    return prepare_dataset("coronacases20", source, root=tmp_path_factory.mktemp("data"))


@real
def test_the_real_slices(prepared: PreparedDataset):
    table = Path(os.environ["COVBENCH_SHARED"]) / "data/COVID-19-CT-Seg_png256/index.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_id = {f"{row['case']}-{int(row['slice_index']):04d}": row for row in rows}
    assert len(prepared) == 362 == sum(row["in_pack"] == "1" for row in rows)
    assert prepared.manifest.groups == 18
    for i, case in enumerate(prepared.cases):
        row = by_id[case.id]
        assert case.group == row["patient_group"]
        assert prepared.foreground[i] == int(row["infection_px"])
        assert int(prepared.lung(i).sum()) == int(row["lung_px"])
    shipped = fold_list("coronacases20")
    for number, test in enumerate(shipped.tests, start=1):
        theirs = {key for key, row in by_id.items() if row["miniseg_crossval_fold"] == str(number)}
        assert set(test) == theirs and len(test) == len(theirs)
    ids = [name for test in shipped.tests for name in test]
    assert sorted(ids) == list(by_id)
    assert shipped.areas == tuple(int(row["infection_px"]) for row in rows)
