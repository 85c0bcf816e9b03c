"""The phantom: the same everywhere, shaped as promised, and not to be had by a threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets import PreparedDataset, open_dataset, prepare_dataset
from benchmark.datasets.recipes import REVISION
from zoo.errors import CovbenchError

GOLDEN_64 = "a74572491781130bad9000576c9c805411ef16cdb742ecda415547534cd65cd6"


@pytest.fixture(scope="module", params=[64, 256])
def phantom(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("data")
    return prepare_dataset("phantom", root=root, size=request.param)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    root = tmp_path_factory.mktemp("small")
    return prepare_dataset("phantom", root=root, size=64, patients=4, slices=2)


def best_threshold_dice(images: np.ndarray, truth: np.ndarray) -> float:
    """The best pooled Dice of "brighter than t" and of "darker than t", over every t."""
    infected = np.bincount(images[truth], minlength=256).astype(float)
    everything = np.bincount(images.ravel(), minlength=256).astype(float)
    best = 0.0
    for tp, called in ((infected, everything), (infected[::-1], everything[::-1])):
        best = max(best, float((2 * tp.cumsum() / (called.cumsum() + truth.sum())).max()))
    return best


def test_at_least_twelve_patients_and_eighty_slices(phantom: PreparedDataset):
    groups = {case.group for case in phantom.cases}
    assert len(groups) >= 12
    assert len(phantom) == 80
    assert phantom.manifest.groups_known == "all"


def test_lesions_take_five_to_nine_percent_and_spare_some_slices(phantom: PreparedDataset):
    size = phantom.cases[0].height
    _, masks = phantom.at_size(size)
    assert set(np.unique(masks)) == {0, 1}
    assert 0.05 <= masks.mean() <= 0.09
    clean = masks.reshape(len(masks), -1).sum(axis=1) == 0
    assert 4 <= clean.sum() <= 24


def test_no_threshold_finds_the_lesions(phantom: PreparedDataset):
    images, masks = phantom.at_size(phantom.cases[0].height)
    assert best_threshold_dice(images, masks == 1) <= 0.45


def test_the_threshold_scan_would_find_lesions_that_are_brightest():
    images = np.full((1, 8, 8), 50, np.uint8)
    images[0, :2] = 200
    assert best_threshold_dice(images, images > 100) == pytest.approx(1.0)


def test_small_slices_show_the_same_lesions_as_large_ones(tmp_path: Path):
    options = {"patients": 2, "slices": 2}
    small = prepare_dataset("phantom", root=tmp_path / "a", size=64, **options)
    large = prepare_dataset("phantom", root=tmp_path / "b", size=256, **options)
    a, b = small.at_size(64)[1] == 1, large.at_size(64)[1] == 1
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9


def test_it_is_the_same_on_every_machine(tmp_path: Path):
    made = prepare_dataset("phantom", root=tmp_path, size=64)
    assert made.manifest_hash == GOLDEN_64


def test_another_seed_draws_other_patients(tmp_path: Path, small: PreparedDataset):
    other = prepare_dataset("phantom", root=tmp_path, size=64, patients=4, slices=2, seed=7)
    assert other.manifest_hash != small.manifest_hash
    assert (other.image(0) != small.image(0)).mean() > 0.3


def test_spacing_is_known(small: PreparedDataset):
    assert small.cases[0].spacing_mm == (420 / 64, 420 / 64)


def test_it_prepares_itself_at_first_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    prepare_dataset("phantom", root=tmp_path, size=32, patients=2, slices=1)
    assert not open_dataset("phantom", tmp_path).fresh
    monkeypatch.setattr("benchmark.datasets.catalogue.REVISION", REVISION + 1)
    monkeypatch.setattr("benchmark.datasets.prepare.REVISION", REVISION + 1)
    again = open_dataset("phantom", tmp_path)
    assert again.fresh, "a phantom that an older version drew is drawn again"
    assert (len(again), again.cases[0].height) == (2, 32), "with the options it had"


def test_it_reads_no_files(tmp_path: Path):
    with pytest.raises(CovbenchError, match="built in"):
        prepare_dataset("phantom", tmp_path, root=tmp_path)


def test_its_lungs_hold_its_lesions_and_are_no_part_of_its_identity(phantom: PreparedDataset):
    lungs = phantom.of_task("lung")
    assert lungs.classes == {0: "background", 1: "lung"}
    assert lungs.data_hash != phantom.data_hash == phantom.manifest_hash
    for i in range(0, len(phantom), 7):
        inside = lungs.mask(i)
        assert (inside == phantom.lung(i)).all()
        assert 0.1 < inside.mean() < 0.4
        assert inside[phantom.mask(i) == 1].mean() > 0.99 if phantom.foreground[i] else True
