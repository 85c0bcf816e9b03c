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
ONLY_FLOAT32 = "encnet"
"""Its encoding computes in float32, whatever it is given."""


def network_and_images(name: str) -> tuple[nn.Module, Tensor]:
    card = get_card(name)
    torch.manual_seed(0)
    height, width = (padded_size(side, card.divisor, card.min_size) for side in (64, 96))
    # In float64: a hundred layers in float32 add up what other kernels round otherwise.
    dtype = torch.float32 if name == ONLY_FLOAT32 else torch.float64
    return create_model(name).to(dtype).eval(), torch.randn(1, 3, height, width, dtype=dtype)


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Within 1e-4; within a thousandth of the logits' range where they are in float32."""
    exact = expected.dtype == torch.float64
    bound = 1e-4 if exact else 1e-3 * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=1e-4 if exact else 0.0, atol=bound)


OLD_TORCH = torch.__version__.startswith("2.6.")
"""Its export can't follow a list that is taken from, nor MONAI's check of a size."""


@pytest.mark.parametrize("name", NAMES)
def test_exported_and_in_channels_last_it_gives_the_same(name: str) -> None:
    if OLD_TORCH and name in ("frrn", "swinunetr"):
        pytest.skip("torch 2.6 can't export it")
    network, images = network_and_images(name)
    with torch.no_grad():
        expected = network(images)
        exported = torch.export.export(network, (images,)).module()
        torch.testing.assert_close(exported(images), expected, rtol=1e-4, atol=1e-4)
        turned = network.to(memory_format=torch.channels_last)
        found = turned(images.contiguous(memory_format=torch.channels_last))
    assert_same(found, expected)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler of torch needs g++")
@pytest.mark.parametrize("name", ["miniseg", "enet", "encnet"])
def test_compiled_it_gives_the_same(name: str) -> None:
    network, images = network_and_images(name)
    with torch.no_grad():
        expected = network(images)
        assert_same(torch.compile(network)(images), expected)
