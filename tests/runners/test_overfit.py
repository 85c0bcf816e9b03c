"""Every network learns four small slices by heart, with all of its parts; a miswired one can't."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.bank import normalise
from benchmark.datasets import open_dataset
from tests.runners.lesson import ENOUGH, Lesson, teach
from zoo.nets.unet import UNet
from zoo.registry import cards, create_model, get_card, missing_packages

SIZE = 64

# Weights behind ReLUs on pooled vectors, where no batch norm keeps half of the channels open.
BEHIND_GATES = {
    "cgnet": "*.weigh.*",
    "raiunet": "attention.*",
    "dfn": "*.weigh.*",
    "mobilenetv3-miniseg": "*.weigh.*",
    "lraspp": "encoder.*.fc2.weight",
    "manet-resnet34": "decoder.blocks.*.SE_?l.3.weight",
    # Behind a ReLU on a convolution without batch norm.
    "lednet": "*.branches.*.2.0.weight",
    "stdc1-seg": "fuse.weigh.*",
    "dpt-vit-b16": "decoder.fusion_blocks.*.residual_conv_block1.conv_1.weight",
    # A stride at 1/32 of the size, which reads one rectified pixel of each small image.
    "ddrnet-23-slim": "deep5.shortcut.*",
    "pidnet-s": "i5.0.shortcut.*",
    # Behind a ReLU on group normalisation, which does not open every single channel.
    "segresnet": "down_layers.3.*.conv2.conv.weight",
}

# They pad these slices to 256x256, are huge, or go along a scan: minutes on one core.
SLOW = ("nnunet", "nnunet-residual", "dpt-vit-b16", "vm-unet")

# A bare ViT from random weights falls into one answer at the rate that suits convolutions.
RATES = {"dpt-vit-b16": 2e-4}

Batch = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def batch(data_root: Path) -> Batch:
    """The four slices of the phantom with the most infection, and their masks."""
    images, masks = open_dataset("phantom", data_root).at_size(SIZE)
    most = np.argsort([-int(mask.sum()) for mask in masks], kind="stable")[:4]
    x = normalise(torch.from_numpy(images[most])[:, None], 0.4, 0.3, 3)
    return x, torch.from_numpy(masks[most]).long()


def trainable() -> list[Any]:
    known = cards().values()
    names = sorted(each.name for each in known if each.source == "built-in" and each.trainable)
    ready = [name for name in names if not missing_packages(get_card(name))]
    return [pytest.param(each, marks=pytest.mark.slow) if each in SLOW else each for each in ready]


@pytest.mark.parametrize("name", trainable())
def test_four_slices_are_learned_by_heart(name: str, batch: Batch) -> None:
    card = get_card(name)
    torch.manual_seed(0)
    lesson = teach(create_model(name), card, *batch, RATES.get(name))
    still = [each for each in lesson.still if not any(fnmatchcase(each, u) for u in card.unused)]
    gates = BEHIND_GATES.get(name, "")
    deaf = [each for each in lesson.deaf if not fnmatchcase(each, gates)]
    assert (still, deaf) == ([], [])
    assert min(lesson.dice[-2:]) >= ENOUGH, [round(each, 2) for each in lesson.dice[::5]]


# --- planted faults ----------------------------------------------------------------------------


class Cut(UNet):
    """A small U-Net without the skip connection of its first scale."""

    def skip(self, level: int, encoded: Tensor, upsampled: Tensor) -> Tensor:
        """Nothing at the first scale."""
        return torch.zeros_like(encoded) if level == 0 else encoded


def small(kind: type[UNet] = UNet) -> UNet:
    torch.manual_seed(0)
    return kind(3, 2, (8, 16, 32, 64, 128))


def taught(network: nn.Module, batch: Batch) -> Lesson:
    return teach(network, get_card("unet"), *batch)


def test_the_small_network_without_a_fault_learns(batch: Batch) -> None:
    lesson = taught(small(), batch)
    assert not lesson.still and not lesson.deaf and lesson.dice[-1] >= ENOUGH


@pytest.mark.parametrize("part", ["head", "encoder.2", "up.1"])
def test_a_part_without_gradient_is_found(part: str, batch: Batch) -> None:
    network = small()
    network.get_submodule(part).requires_grad_(False)
    still = taught(network, batch).still
    assert still and all(name.startswith(part) for name in still)


def test_a_missing_skip_connection_is_found(batch: Batch) -> None:
    assert taught(small(Cut), batch).deaf == ["decoder.0.0.0.weight"]


def test_logits_that_can_not_follow_the_image_are_found(batch: Batch) -> None:
    network = small()
    network.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.Upsample(64))
    assert max(taught(network, batch).dice) < ENOUGH
