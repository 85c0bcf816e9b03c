"""A user's own folder: pairs, groups, labels and windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

GREY = np.tile(np.arange(16, dtype=np.uint8) * 10, (12, 1))  # what `folder.pair` puts there
MASK = (GREY > 100).astype(np.uint8)


@dataclass(frozen=True)
class Split:
    kind: str = "folds"
    folds: int = 2
    train_fraction: float = 0.5
    draws: int = 1
    seed: int = 0
    test_by: str = "all"
    balance: str = "none"


def test_pictures_of_all_kinds_are_paired_by_stem(folder: Any):
    folder.pair("b")
    folder.pair("a", ".tif")
    folder.pair("c", ".jpg")
    folder.put("images/D.PNG", GREY)
    folder.put("masks/D_mask.png", MASK * 255)
    (folder.path / "images" / ".hidden.png").write_bytes(b"not a picture")
    (folder.path / "images" / "notes.txt").write_text("passed over")
    made = folder.prepare()
    assert [case.id for case in made.cases] == ["D", "a", "b", "c"]
    for i in range(4):
        np.testing.assert_array_equal(made.mask(i), MASK)
    assert made.manifest.groups_known == "none"
    assert "can't tell" in made.manifest.notes[0]
    assert not any(fold.groups_disjoint for fold in made.folds(Split()))
    assert made.cases[0].spacing_mm is None


def test_pictures_that_lie_too_deep_are_not_left_out_without_a_word(folder: Any):
    folder.pair("a")
    folder.put("images/patient1/b.png", GREY)
    folder.refused("images/patient1/b.png", "inside of images/", "groups")
    (folder.path / "images" / "patient1" / "b.png").rename(
        folder.path / "images" / "patient1" / "b"
    )
    assert len(folder.prepare().cases) == 1


def test_an_image_whose_own_name_ends_in_mask(folder: Any):
    folder.pair("a_mask")
    assert [case.id for case in folder.prepare().cases] == ["a_mask"]


def test_volumes_become_slices_and_groups(folder: Any):
    volume = np.zeros((6, 5, 3), np.int16) - 900
    volume[2, 3, 1] = 100
    mask = np.zeros((6, 5, 3), np.uint8)
    mask[2, 3, 1] = 1
    for stem in ("scan1", "scan2"):
        folder.put(f"images/{stem}.nii.gz", volume)
        folder.put(f"masks/{stem}.nii.gz", mask)
    made = folder.prepare()
    assert [case.id for case in made.cases][:4] == [
        "scan1-0000",
        "scan1-0001",
        "scan1-0002",
        "scan2-0000",
    ]
    assert {case.group for case in made.cases} == {"scan1", "scan2"}
    assert made.cases[0].spacing_mm == (1.0, 1.0)
    assert (made.cases[0].height, made.cases[0].width) == (5, 6)
    assert np.argwhere(made.mask(1)).tolist() == [[3, 2]], "stored left, posterior, superior"
    assert int(made.image(1)[3, 2]) == round((100 + 1250) / 1500 * 255)
    assert int(made.image(0)[0, 0]) == round((-900 + 1250) / 1500 * 255)
    folds = made.folds(Split())
    assert made.manifest.groups_known == "all"
    assert all(fold.groups_disjoint for fold in folds)


def test_single_slices_in_nifti_have_no_known_group(folder: Any):
    for stem in ("a", "b"):
        folder.put(f"images/{stem}.nii", GREY[..., None])
        folder.put(f"masks/{stem}.nii", MASK[..., None])
    made = folder.prepare()
    assert [case.id for case in made.cases] == ["a", "b"]
    assert made.manifest.groups_known == "none"


def test_a_table_says_which_files_belong_together(folder: Any):
    for stem in ("a", "b", "c"):
        folder.pair(stem)
    folder.groups("\ufeffid,group\na,anna\nb, anna \nc,bert\n")
    made = folder.prepare()
    assert [case.group for case in made.cases] == ["anna", "anna", "bert"]
    assert "groups.csv" in made.manifest.sources
    folds = made.folds(Split())
    assert sorted(len(fold.test) for fold in folds) == [1, 2]
    assert all(fold.groups_disjoint for fold in folds)


def test_a_changed_table_makes_it_again(folder: Any):
    for stem in ("a", "b"):
        folder.pair(stem)
    folder.groups("id,group\na,x\nb,y\n")
    first = folder.prepare()
    folder.groups("id,group\na,x\nb,x\n")
    again = folder.prepare()
    assert again.fresh and again.manifest_hash != first.manifest_hash


def test_an_expression_wins_over_the_table(folder: Any):
    for stem in ("p1_s1", "p1_s2", "p2_s1"):
        folder.pair(stem)
    folder.groups("no table at all")
    made = folder.prepare(groups=r"^(p\d+)_")
    assert [case.group for case in made.cases] == ["p1", "p1", "p2"]
    assert made.manifest.groups_known == "all"


def test_an_expression_that_misses_a_file_is_refused(folder: Any):
    folder.pair("p1_s1")
    folder.pair("odd")
    folder.refused("no patient in 'odd'", groups=r"^(p\d+)_")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("id,group\na,x\n", ("does not say", "b")),
        ("id,group\na,x\nb,y\nc,z\n", ("not in images/", "c")),
        ("id,group\na,x\nb,y\na,z\n", ("'a' in two groups",)),
        ("name,patient\na,x\nb,y\n", ("without id or group", "id,group")),
        ("id,group\na,x\nb,\n", ("without id or group",)),
    ],
)
def test_a_table_with_mistakes_is_refused(folder: Any, table: str, words: tuple[str, ...]):
    folder.pair("a")
    folder.pair("b")
    folder.groups(table)
    folder.refused("groups.csv", *words)


def test_a_table_that_is_no_text_or_huge_is_refused(folder: Any, monkeypatch: pytest.MonkeyPatch):
    folder.pair("a")
    (folder.path / "groups.csv").write_bytes(b"id,group\n\xff\xfe\n")
    folder.refused("groups.csv", "UTF-8")
    monkeypatch.setenv("COVBENCH_LIMITS", "table_bytes=4")
    folder.refused("groups.csv", "more than the limit of 4", "--limit table_bytes=")


# ---- labels


def test_a_label_map_makes_classes(folder: Any):
    folder.put("images/a.png", GREY)
    folder.put("masks/a.png", (GREY // 50).astype(np.uint8))  # 0, 1, 2, 3
    made = folder.prepare(label_map="1:1,2:2,3:255")
    np.testing.assert_array_equal(made.mask(0), np.where(GREY // 50 == 3, 255, GREY // 50))
    assert made.manifest.classes == {0: "background", 1: "class-1", 2: "class-2"}
    assert made.manifest.tasks == ("multiclass",)
    assert made.foreground == (int(np.isin(GREY // 50, (1, 2)).sum()),), "ignored is not counted"


def test_classes_do_not_depend_on_which_labels_occur(folder: Any):
    folder.pair("a")
    assert len(folder.prepare(label_map={1: 1, 2: 2}).manifest.classes) == 3


def test_labels_outside_the_map_are_listed(folder: Any):
    folder.put("images/a.png", GREY)
    folder.put("masks/a.png", (GREY // 50).astype(np.uint8))
    folder.refused("masks/a.png", "2, 3", "label_map")


def test_masks_of_nothing_but_background_are_refused(folder: Any):
    folder.put("images/a.png", GREY)
    folder.put("masks/a.png", MASK * 0)
    folder.refused("None of the 1 masks")


def test_a_window_applies_to_what_is_stored(folder: Any):
    folder.put("images/a.png", GREY.astype(np.uint16) * 20)
    folder.put("masks/a.png", MASK)
    folder.refused("images/a.png", "--option window=")
    made = folder.prepare(window=(0.0, 1500.0))
    np.testing.assert_array_equal(
        made.image(0), np.rint(np.clip(GREY * 20.0, 0, 1500) / 1500 * 255)
    )
