"""Every network as torch.export and channels_last have it gives what it gives by itself."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor, nn

from zoo.padding import padded_size
from zoo.registry import create_model, get_card
from zoo.selection import list_models

NAMES = list_models("all")


def network_and_images(name: str) -> tuple[nn.Module, Tensor]:
    card = get_card(name)
    torch.manual_seed(0)
    height, width = (padded_size(side, card.divisor, card.min_size) for side in (64, 96))
    return create_model(name).eval(), torch.randn(1, 3, height, width)


def deviation(found: Tensor, expected: Tensor) -> float:
    """By the range of the logits: other kernels round otherwise, and a hundred layers add up."""
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_exported_and_in_channels_last_it_gives_the_same(name: str) -> None:
    network, images = network_and_images(name)
    with torch.no_grad():
        expected = network(images)
        exported = torch.export.export(network, (images,)).module()
        torch.testing.assert_close(exported(images), expected, rtol=1e-4, atol=1e-4)
        turned = network.to(memory_format=torch.channels_last)
        found = turned(images.contiguous(memory_format=torch.channels_last))
    assert deviation(found, expected) < 1e-3


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler of torch needs g++")
@pytest.mark.parametrize("name", ["miniseg", "enet", "encnet"])
def test_compiled_it_gives_the_same(name: str) -> None:
    network, images = network_and_images(name)
    with torch.no_grad():
        expected = network(images)
        assert deviation(torch.compile(network)(images), expected) < 1e-3
