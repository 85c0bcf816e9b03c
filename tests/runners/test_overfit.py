"""Every network learns four small slices by heart, with all of its parts; a miswired one can't."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.bank import normalise
from benchmark.datasets import open_dataset
from tests.runners.lesson import ENOUGH, Lesson, teach
from zoo.nets.unet import UNet
from zoo.registry import cards, create_model, get_card

SIZE = 64

# Weights behind ReLUs on pooled vectors, where no batch norm keeps half of the channels open.
BEHIND_GATES = {
    "cgnet": "*.weigh.*",
    "raiunet": "attention.*",
}

Batch = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def batch(data_root: Path) -> Batch:
    """The four slices of the phantom with the most infection, and their masks."""
    images, masks = open_dataset("phantom", data_root).at_size(SIZE)
    most = np.argsort([-int(mask.sum()) for mask in masks], kind="stable")[:4]
    x = normalise(torch.from_numpy(images[most])[:, None], 0.4, 0.3, 3)
    return x, torch.from_numpy(masks[most]).long()


def trainable() -> list[str]:
    known = cards().values()
    return sorted(each.name for each in known if each.source == "built-in" and each.trainable)


@pytest.mark.parametrize("name", trainable())
def test_four_slices_are_learned_by_heart(name: str, batch: Batch) -> None:
    card = get_card(name)
    torch.manual_seed(0)
    lesson = teach(create_model(name), card, *batch)
    still = [each for each in lesson.still if not any(fnmatchcase(each, u) for u in card.unused)]
    gates = BEHIND_GATES.get(name, "")
    deaf = [each for each in lesson.deaf if not fnmatchcase(each, gates)]
    assert (still, deaf) == ([], [])
    assert min(lesson.dice[-2:]) >= ENOUGH, [round(each, 2) for each in lesson.dice[::5]]


# --- planted faults ----------------------------------------------------------------------------


class Cut(UNet):
    """A small U-Net with a fault."""

    def __init__(self, fault: str) -> None:
        super().__init__(3, 2, (8, 16, 32, 64, 128))
        self.fault = fault

    def skip(self, level: int, encoded: Tensor, upsampled: Tensor) -> Tensor:
        if self.fault == "a skip connection is missing" and level == 0:
            return torch.zeros_like(encoded)
        if self.fault == "a skip connection has no gradient" and level == 0:
            return encoded.detach()
        return encoded

    def forward(self, x: Tensor) -> Tensor:
        if self.fault == "the logits are mirrored":
            return super().forward(x).flip(-1)
        if self.fault == "the output is a softmax":
            return super().forward(x).softmax(1)
        return super().forward(x)


def taught(network: nn.Module, batch: Batch) -> Lesson:
    torch.manual_seed(0)
    return teach(network, get_card("unet"), *batch)


def whole(lesson: Lesson) -> bool:
    return not lesson.still and not lesson.deaf and min(lesson.dice[-2:]) >= ENOUGH


def test_the_small_network_without_a_fault_learns(batch: Batch) -> None:
    assert whole(taught(Cut("none"), batch))


def frozen_head(network: UNet) -> None:
    network.head.requires_grad_(False)


def frozen_scale(network: UNet) -> None:
    network.encoder[2].requires_grad_(False)


@pytest.mark.parametrize("freeze", [frozen_head, frozen_scale])
def test_a_part_without_gradient_is_found(freeze: Callable[[UNet], None], batch: Batch) -> None:
    network = Cut("none")
    freeze(network)
    assert not whole(taught(network, batch))


def test_a_missing_skip_connection_is_found(batch: Batch) -> None:
    lesson = taught(Cut("a skip connection is missing"), batch)
    assert lesson.deaf == ["decoder.0.0.0.weight"]


def test_a_scale_that_only_a_cut_skip_connection_reaches_is_found(batch: Batch) -> None:
    network = Cut("a skip connection has no gradient")
    network.pool = nn.Identity()  # nothing: the deeper scales still train the first one
    network.pool = nn.MaxPool2d(2)
    assert whole(taught(network, batch))
