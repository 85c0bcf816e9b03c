"""The bank of training images: statistics, counts, and batches that do not depend on memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.augment import plan_epoch
from benchmark.bank import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImageBank,
    input_statistics,
    normalise,
    training_batch,
)
from benchmark.protocols import load_protocol
from zoo.errors import CovbenchError


def arrays(n: int = 12, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(0)
    images = noise.integers(1, 256, (n, size, size), dtype=np.uint8)
    return images, noise.integers(0, 3, (n, size, size), dtype=np.uint8)


def test_rows_are_the_cases_asked_for():
    images, masks = arrays()
    dataset = SimpleNamespace(
        at_size=lambda size: (images, masks) if size == 64 else None, planes=lambda size: None
    )
    bank = ImageBank.of(dataset, 64, [7, 2, 9])
    assert (len(bank), bank.size, bank.held) == (3, 64, True)
    got_images, got_masks = bank.batch([2, 0])
    assert np.array_equal(got_images.numpy(), images[[9, 7]])
    assert np.array_equal(got_masks.numpy(), masks[[9, 7]])


def test_a_bank_too_large_for_memory_reads_the_same_batches_from_the_map(tmp_path: Path):
    images, masks = arrays()
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    rows = [5, 1, 8, 3]
    relabel = np.arange(256, dtype=np.uint8)
    relabel[[1, 2]] = 0, 1
    held = ImageBank(images, masks, rows, relabel=relabel)
    read = ImageBank(mapped, masks, rows, relabel=relabel, fraction=0)
    assert held.held
    assert not read.held
    for wanted in ([0], [3, 1, 2], np.array([2, 2])):
        for a, b in zip(held.batch(wanted), read.batch(wanted), strict=True):
            assert torch.equal(a, b)
    assert held.statistics() == read.statistics()
    assert np.array_equal(held.class_pixels(2), read.class_pixels(2))


def test_a_batch_may_be_changed_without_harm_to_the_bank():
    images, masks = arrays()
    for fraction in (0.25, 0):
        bank = ImageBank(images, masks, fraction=fraction)
        before = images[0].copy()
        bank.batch([0])[0].zero_()
        assert np.array_equal(bank.batch([0])[0][0].numpy(), before)
        assert np.array_equal(images[0], before)


def test_statistics_pooled_and_per_image():
    images = np.zeros((2, 16, 16), dtype=np.uint8)
    images[0, :8] = 255  # mean 0.5, std 0.5
    images[1] = 51  # mean 0.2, std 0
    bank = ImageBank(images, np.zeros_like(images))
    assert bank.statistics("per-image-average") == pytest.approx((0.35, 0.25))
    mean = 0.35
    variance = (0.25 * (1 - mean) ** 2) + 0.25 * mean**2 + 0.5 * (0.2 - mean) ** 2
    assert bank.statistics("pooled") == pytest.approx((mean, variance**0.5))
    assert bank.statistics("pooled", [1]) == pytest.approx((0.2, 0))


def test_statistics_are_those_of_numpy():
    images, masks = arrays()
    bank = ImageBank(images, masks, [1, 2, 3, 4])
    unit = images[1:5] / 255
    assert bank.statistics("pooled") == pytest.approx((unit.mean(), unit.std()), rel=1e-12)
    per_image = unit.mean(axis=(1, 2)).mean(), unit.std(axis=(1, 2)).mean()
    assert bank.statistics("per-image-average") == pytest.approx(per_image, rel=1e-12)


def test_class_pixels_leave_ignored_ones_out_and_refuse_foreign_labels():
    masks = np.zeros((2, 16, 16), dtype=np.uint8)
    masks[0, 0] = 1
    masks[1, :2] = 255
    bank = ImageBank(masks, masks)
    assert bank.class_pixels(2).tolist() == [512 - 16 - 32, 16]
    assert bank.class_pixels(3, [1]).tolist() == [224, 0, 0]
    masks[0, 1, 1] = 4
    with pytest.raises(CovbenchError, match="label 4"):
        ImageBank(masks, masks).class_pixels(2)


def test_normalise_repeats_grey_and_takes_statistics_per_channel():
    grey = torch.tensor([0.0, 51, 255]).view(1, 1, 1, 3)
    x = normalise(grey, 0.2, 0.5, 3)
    assert x.shape == (1, 3, 1, 3)
    assert x.is_contiguous()
    for channel in range(3):
        torch.testing.assert_close(x[0, channel, 0], torch.tensor([-0.4, 0, 1.6]))
    assert normalise(grey, 0.2, 0.5, 1).shape == (1, 1, 1, 3)
    torch.testing.assert_close(normalise(grey, 0.0, 1.0, 1), grey / 255)
    x = normalise(grey, IMAGENET_MEAN, IMAGENET_STD, 3)
    wanted = [(1 - m) / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    torch.testing.assert_close(x[0, :, 0, 2], torch.tensor(wanted))
    assert torch.isfinite(normalise(grey, 0.2, 0.0, 1)).all()
    assert grey.flatten().tolist() == [0, 51, 255]


def test_input_statistics_follow_the_protocol():
    bank = ImageBank(*arrays())
    mean, std = bank.statistics("pooled")
    assert input_statistics(bank, load_protocol("identical"), 3) == ((mean,) * 3, (std,) * 3)
    code = load_protocol("miniseg-code")
    assert input_statistics(bank, code, 1)[1] == (bank.statistics("per-image-average")[1],)
    unit = load_protocol("identical", ["normalise=unit"])
    assert input_statistics(bank, unit, 2) == ((0.0, 0.0), (1.0, 1.0))
    imagenet = load_protocol("identical", ["normalise=imagenet"])
    assert input_statistics(bank, imagenet, 3) == (IMAGENET_MEAN, IMAGENET_STD)
    assert input_statistics(bank, imagenet, 1)[0] == pytest.approx((0.449,))


@pytest.mark.parametrize("name", ["identical", "miniseg-paper", "miniseg-code"])
def test_a_training_batch_is_the_same_however_the_fold_is_batched(name):
    crop = {"border_crop_px": [4] * 5} if name == "miniseg-paper" else {}
    crop = {"border_crop_px": [8, 8, 4, 4]} if name == "miniseg-code" else crop
    protocol = load_protocol(name, {"size": 64, **crop})
    bank = ImageBank(*arrays())
    keywords = {"seed": 1, "epoch": 2, "mean": 0.5, "std": 0.25, "channels": 3}
    for batch in plan_epoch(protocol, 1, 2, len(bank)):
        x, y = training_batch(bank, batch, protocol, **keywords)
        assert x.shape == (5, 3, batch.size, batch.size)
        assert y.shape == (5, batch.size, batch.size)
        assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
        # The data hold no grey value 0, so air is the padding and nothing else.
        assert torch.equal(x[:, 0] == -2, y == 255)
        for row, index in enumerate(batch.indices):
            alone = type(batch)(np.array([index]), batch.size, batch.factor_index, batch.pass_index)
            one_x, one_y = training_batch(bank, alone, protocol, **keywords)
            assert torch.equal(one_x[0], x[row])
            assert torch.equal(one_y[0], y[row])


def test_without_augmentation_a_training_batch_is_the_data():
    images, masks = arrays()
    protocol = load_protocol("identical", ["size=64", "mode=none"])
    bank = ImageBank(images, masks)
    batch = plan_epoch(protocol, 0, 0, len(bank))[0]
    x, y = training_batch(bank, batch, protocol, seed=0, epoch=0, mean=0.0, std=1 / 255, channels=1)
    assert np.allclose(x[:, 0].numpy(), images[batch.indices], atol=1e-4)
    assert np.array_equal(y.numpy(), masks[batch.indices])


def test_real_fold_has_the_statistics_of_the_released_network():
    root = os.environ.get("COVBENCH_SHARED")
    folder = Path(root or "/nonexistent") / "data" / "COVID-19-CT100"
    if root is None or not folder.is_dir():
        pytest.skip("COVBENCH_SHARED does not name the real data")
    from PIL import Image

    lines = (folder / "dataList" / "train0.txt").read_text().split()
    numbers = sorted({line[-8:-4] for line in lines if line.endswith(".png")})
    images = np.stack(
        [np.asarray(Image.open(folder / "tr_im" / f"tr_im_{n}.png").convert("L")) for n in numbers]
    )
    bank = ImageBank(images, np.zeros_like(images))
    assert len(bank) == 79
    mean, std = bank.statistics("per-image-average")
    assert (round(mean, 6), round(std, 6)) == (0.602034, 0.296299)
