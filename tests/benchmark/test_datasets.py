"""Prepared datasets: whole or not there, the same or made again, known by their hash."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import (
    PreparedDataset,
    data_root,
    list_datasets,
    open_dataset,
    prepare_dataset,
    verify_dataset,
)
from benchmark.datasets.manifest import CASES, IMAGES, MANIFEST, MASKS
from zoo.errors import CovbenchError

TINY = {"size": 32, "patients": 3, "slices": 2}


def contents(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_what_was_prepared_is_what_was_there(pictures: Path, root: Path):
    made = prepare_dataset("folder", pictures, as_name="mine", root=root)
    assert made.fresh and made.name == "mine" and len(made) == 3
    assert made.path == root / "mine"
    assert contents(made.path) == sorted([CASES, IMAGES, MANIFEST, MASKS])
    for i, case in enumerate(made.cases):
        stored = np.asarray(Image.open(pictures / "images" / f"{case.id}.png"))
        np.testing.assert_array_equal(made.image(i), stored)
        stored = np.asarray(Image.open(pictures / "masks" / f"{case.id}.png"))
        np.testing.assert_array_equal(made.mask(i), stored // 255)
        assert (case.height, case.width) == stored.shape
    assert made.foreground == (50, 25, 0)
    assert made.manifest.class_pixels == {0: 600 + 600 + 384 - 75, 1: 75}
    assert made.manifest.classes == {0: "background", 1: "infection"}
    assert sorted(made.manifest.sources) == sorted(
        f"{kind}/s{i}.png" for kind in ("images", "masks") for i in range(3)
    )


def test_arrays_are_read_only_views(pictures: Path, root: Path):
    made = prepare_dataset("folder", pictures, as_name="mine", root=root)
    with pytest.raises(ValueError, match="read-only"):
        made.image(0)[0, 0] = 1
    assert made.image(-1).shape == made.image(2).shape
    with pytest.raises(IndexError):
        made.mask(3)


def test_repeating_it_does_nothing(pictures: Path, root: Path):
    first = prepare_dataset("folder", pictures, as_name="mine", root=root)
    before = (first.path / MANIFEST).stat().st_mtime_ns
    again = prepare_dataset("folder", pictures, as_name="mine", root=root)
    assert not again.fresh
    assert (again.path / MANIFEST).stat().st_mtime_ns == before
    assert contents(root) == ["mine"]


def test_another_source_or_option_makes_it_again(pictures: Path, root: Path):
    first = prepare_dataset("folder", pictures, as_name="mine", root=root)
    stretched = prepare_dataset("folder", pictures, as_name="mine", root=root, window="0,200")
    assert stretched.fresh and stretched.manifest_hash != first.manifest_hash
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(pictures / "images" / "s0.png")
    changed = prepare_dataset("folder", pictures, as_name="mine", root=root, window="0,200")
    assert changed.fresh and changed.manifest_hash != stretched.manifest_hash
    assert contents(root) == ["mine"]


def test_the_hash_is_of_the_data_not_of_names_paths_or_times(pictures: Path, root: Path):
    one = prepare_dataset("folder", pictures, as_name="one", root=root)
    moved = pictures.rename(pictures.parent / "elsewhere")
    for path in moved.rglob("*.png"):
        os.utime(path, (1, 1))
    two = prepare_dataset("folder", moved, as_name="two", root=root / "deeper")
    assert one.manifest_hash == two.manifest_hash


@pytest.mark.parametrize("change", ["pixel", "label", "group", "name"])
def test_the_hash_changes_with_what_defines_the_data(pictures: Path, root: Path, change: str):
    before = prepare_dataset("folder", pictures, as_name="a", root=root, groups="(s)")
    groups = "(s)"
    if change in ("pixel", "label"):
        path = pictures / ("images" if change == "pixel" else "masks") / "s1.png"
        array = np.array(Image.open(path))
        array[0, 0] = 255 - array[0, 0]
        Image.fromarray(array).save(path)
    elif change == "group":
        groups = "(s[01]|s2)"
    else:
        for kind in ("images", "masks"):
            (pictures / kind / "s1.png").rename(pictures / kind / "s1b.png")
    after = prepare_dataset("folder", pictures, as_name="b", root=root, groups=groups)
    assert after.manifest_hash != before.manifest_hash


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("there", [True, False])
def test_an_interruption_leaves_what_was_there(
    pictures: Path, root: Path, there: bool, error: type[BaseException]
):
    if there:
        old = prepare_dataset("folder", pictures, as_name="mine", root=root)

    def interrupt(done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            raise error

    with pytest.raises(error):
        prepare_dataset(
            "folder", pictures, as_name="mine", root=root, window="0,99", progress=interrupt
        )
    assert contents(root) == (["mine"] if there else [])
    if there:
        assert open_dataset("mine", root).manifest_hash == old.manifest_hash


def test_what_a_killed_process_left_is_no_dataset_and_swept_later(pictures: Path, root: Path):
    left = root / ".mine-0123"
    left.mkdir(parents=True)
    (left / IMAGES).write_bytes(b"half")
    young = root / ".mine-4567"
    young.mkdir()
    assert "mine" not in {card.name for card in list_datasets(root)}
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (two_days_ago, two_days_ago))
    prepare_dataset("folder", pictures, as_name="mine", root=root)
    assert contents(root) == [".mine-4567", "mine"], "a young draft may still be at work"


def test_progress_is_told(pictures: Path, root: Path):
    told: list[tuple[int, int]] = []
    prepare_dataset(
        "folder", pictures, as_name="mine", root=root, progress=lambda *step: told.append(step)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_two_processes_may_prepare_the_same_at_once(root: Path):
    inner: list[PreparedDataset] = []

    def meanwhile(done: int, total: int) -> None:
        if done == total and not inner:
            inner.append(prepare_dataset("phantom", root=root, **TINY))

    outer = prepare_dataset("phantom", root=root, progress=meanwhile, **TINY)
    assert inner[0].manifest_hash == outer.manifest_hash
    assert contents(root) == ["phantom"]
    verify_dataset("phantom", root)


# ---- names, listings, options


def test_names_that_nobody_knows(root: Path):
    with pytest.raises(CovbenchError, match="Unknown dataset 'ct10'") as error:
        open_dataset("ct10", root)
    assert "Did you mean ct100?" in error.value.remedy
    with pytest.raises(CovbenchError, match="Unknown kind of dataset"):
        prepare_dataset("phantm", root=root)
    with pytest.raises(CovbenchError, match="--as NAME"):
        open_dataset("folder", root)
    with pytest.raises(CovbenchError, match="Unknown dataset"):
        open_dataset("../phantom", root)


def test_what_is_not_prepared_says_how_to(root: Path):
    with pytest.raises(CovbenchError, match="not prepared") as error:
        open_dataset("ct100", root)
    assert "covbench data prepare ct100" in error.value.remedy
    with pytest.raises(CovbenchError, match="needs the folder"):
        prepare_dataset("ct100", root=root)
    with pytest.raises(CovbenchError, match="is no folder"):
        prepare_dataset("ct100", root / "none", root=root)


@pytest.mark.parametrize("name", ["../x", "Mine", ".x", "", "ct100", "a b", "folder"])
def test_names_that_cannot_be_given(pictures: Path, root: Path, name: str):
    with pytest.raises(CovbenchError):
        prepare_dataset("folder", pictures, as_name=name, root=root)
    assert not root.exists()


def test_the_listing_tells_what_is_prepared(pictures: Path, root: Path):
    assert [(c.name, c.slices) for c in list_datasets(root)] == [
        ("phantom", None),
        ("ct100", None),
        ("medseg9", None),
        ("coronacases20", None),
        ("fused", None),
        ("mosmed", None),
        ("folder", None),
    ]
    mine = prepare_dataset("folder", pictures, as_name="mine", root=root)
    prepare_dataset("phantom", root=root, **TINY)
    listed = {card.name: card for card in list_datasets(root)}
    assert (listed["mine"].slices, listed["mine"].tasks) == (3, ("infection",))
    assert listed["mine"].manifest_hash == mine.manifest_hash
    assert listed["phantom"].slices == 6
    (mine.path / MASKS).unlink()
    assert {card.name: card for card in list_datasets(root)}["mine"].title == "damaged"


def test_options_are_checked(root: Path):
    with pytest.raises(CovbenchError, match=r"Unknown option .* 'sise'") as error:
        prepare_dataset("phantom", root=root, sise=64)
    assert "Did you mean size " in error.value.remedy
    with pytest.raises(CovbenchError, match="size=huge"):
        prepare_dataset("phantom", root=root, size="huge")
    assert prepare_dataset("phantom", root=root, **{**TINY, "size": "16"}).cases[0].height == 16


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"window": "250,-1250"}, "lower one first"),
        ({"window": "nan,3"}, "lower one first"),
        ({"window": "5"}, "window=5"),
        ({"label_map": "1:2"}, "without a gap"),
        ({"label_map": "1:0"}, "without a gap"),
        ({"label_map": "one"}, "label_map=one"),
        ({"groups": "("}, "no regular expression"),
        ({"groups": "p"}, "one .capturing group"),
        ({"groups": "(p)(q)"}, "one .capturing group"),
    ],
)
def test_unfit_options_say_why(pictures: Path, root: Path, option: dict[str, str], reason: str):
    with pytest.raises(CovbenchError, match=reason):
        prepare_dataset("folder", pictures, as_name="mine", root=root, **option)


def test_the_root_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "there"))
    assert data_root() == tmp_path / "there"
    assert data_root(tmp_path) == tmp_path
    monkeypatch.delenv("COVBENCH_DATA")
    assert data_root().parts[-2:] == ("covbench", "data")


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CovbenchError, match="could not be written") as error:
        prepare_dataset("phantom", root=tmp_path / "file", **TINY)
    assert "COVBENCH_DATA" in error.value.remedy
