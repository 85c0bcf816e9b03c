"""Images restricted to lungs: what the second network of a cascade sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.augment import plan_epoch
from benchmark.bank import ImageBank, training_batch
from benchmark.datasets import PreparedDataset, prepare_dataset
from benchmark.datasets.inside import Cascade, InsideLungs, inside, visible
from benchmark.labels import IGNORE
from benchmark.protocols import load_protocol

GREY = np.array([[10, 20, 30, 40]], np.uint8)
LUNG = np.array([[0, 127, 128, 255]], np.uint8)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    root = tmp_path_factory.mktemp("data")
    return prepare_dataset("phantom", root=root, size=64, patients=3, slices=2)


def true_lungs(dataset: PreparedDataset) -> dict[str, np.ndarray]:
    return {case.id: dataset.lung(i) * np.uint8(255) for i, case in enumerate(dataset.cases)}


def test_the_three_masks() -> None:
    assert inside(GREY, LUNG, Cascade()).tolist() == [[0, 0, 30, 40]]
    # 20 * 127 / 255 = 9.96, 30 * 128 / 255 = 15.06
    assert inside(GREY, LUNG, Cascade(mask="soft")).tolist() == [[0, 10, 15, 40]]
    assert inside(GREY, LUNG, Cascade(mask="channel")).tolist() == GREY.tolist()


def test_dilation_is_a_disc() -> None:
    lung = np.zeros((7, 7), np.uint8)
    lung[3, 3] = 255
    wide = visible(lung, Cascade(dilation=2))
    expected = [[(x - 3) ** 2 + (y - 3) ** 2 <= 4 for x in range(7)] for y in range(7)]
    assert wide.tolist() == expected
    grey = np.full((7, 7), 9, np.uint8)
    assert (inside(grey, lung, Cascade(dilation=2)) == 9 * wide).all()
    assert (inside(grey, lung, Cascade(dilation=2, mask="soft")) == 9 * wide).all()


def test_the_words_of_a_row_say_what_is_not_the_default() -> None:
    assert Cascade().words == ""
    assert Cascade(lungs="truth").words == "true lungs"
    made = Cascade(lung_row="unet", mask="soft", dilation=3)
    assert made.words == "lungs by unet, soft mask, dilated 3 px"


def test_a_dataset_inside_its_lungs(phantom: PreparedDataset) -> None:
    lungs = true_lungs(phantom)
    restricted = InsideLungs(phantom, lungs, Cascade())
    for i in range(len(phantom)):
        assert (restricted.image(i) == phantom.image(i) * phantom.lung(i)).all()
        assert (restricted.mask(i) == phantom.mask(i)).all()
        truth = phantom.mask(i)
        assert restricted.inside_count(i, truth) == ((truth == 1) & (phantom.lung(i) == 1)).sum()
    assert restricted.data_hash == phantom.data_hash
    images, masks = restricted.at_size(32)
    plain = phantom.at_size(32)
    assert images.shape == plain[0].shape
    assert (images <= plain[0].max()).all()
    assert (images == 0).mean() > (plain[0] == 0).mean()
    assert (masks == plain[1]).all()


def test_ignored_pixels_are_in_no_lung(phantom: PreparedDataset) -> None:
    restricted = InsideLungs(phantom, true_lungs(phantom), Cascade())
    ignored = np.full_like(phantom.mask(0), IGNORE)
    assert restricted.inside_count(0, ignored) == 0


def test_slices_without_lungs_are_black_and_ignored(phantom: PreparedDataset) -> None:
    lungs = true_lungs(phantom)
    lost = phantom.cases[2].id
    restricted = InsideLungs(
        phantom, {name: lung for name, lung in lungs.items() if name != lost}, Cascade()
    )
    images, masks = restricted.at_size(32)
    assert not images[2].any()
    assert (masks[2] == IGNORE).all()


def test_a_mask_as_a_channel_moves_with_the_image(phantom: PreparedDataset) -> None:
    whole = {case.id: np.full((64, 64), 255, np.uint8) for case in phantom.cases}
    half = {name: np.where(np.arange(64) < 32, lung, np.uint8(0)) for name, lung in whole.items()}
    restricted = InsideLungs(phantom, half, Cascade(mask="channel"))
    bank = ImageBank.of(restricted, 64, range(6))
    assert bank.extra_channels == 1
    protocol = load_protocol("smoke", ["size=64", "hflip=1", "vflip=0", "zoom=1,1"])
    batch = plan_epoch(protocol, 0, 0, len(bank))[0]
    x, _ = training_batch(bank, batch, protocol, seed=0, epoch=0, mean=0, std=1, channels=3)
    assert x.shape[1] == 4
    mirrored = torch.zeros(64, 64)
    mirrored[:, 32:] = 1
    assert torch.equal(x[0, 3], mirrored)
    grey = torch.from_numpy(phantom.image(int(batch.indices[0])).copy()).flip(1) / 255
    assert torch.allclose(x[0, 0], grey, atol=1e-6)


def test_plain_datasets_have_no_extra_channel(phantom: PreparedDataset) -> None:
    assert ImageBank.of(phantom, 64, range(2)).extra_channels == 0
    hard = InsideLungs(phantom, true_lungs(phantom), Cascade())
    assert ImageBank.of(hard, 64, range(2)).extra_channels == 0


def test_the_share_inside_follows_the_size_that_is_scored(
    phantom: PreparedDataset, tmp_path: Path
) -> None:
    restricted = InsideLungs(phantom, true_lungs(phantom), Cascade())
    _, truth = phantom.stretched(1, 32)
    count = restricted.inside_count(1, truth)
    assert 0 < count <= (truth == 1).sum()
