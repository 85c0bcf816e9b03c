"""LEDNet: size by part, blocks, the pyramid, one class."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.nets.lednet import APN, Down, LEDNet, SSnbt
from zoo.registry import create_model


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = create_model("lednet")
    assert isinstance(network, LEDNet)
    assert (count(network.encoder), count(network.decoder)) == (952_032, 1_361_940)
    assert count(network.decoder.down) == 1_360_640


@pytest.mark.parametrize("size", [8, 9])
def test_down_halves_and_rounds_up(size: int) -> None:
    assert Down(3, 32)(torch.randn(1, 3, size, 2 * size)).shape == (1, 32, -(-size // 2), size)


@pytest.mark.parametrize("dilation", [1, 5])
def test_block_reaches_as_far_on_both_axes_in_each_half(dilation: int) -> None:
    block = SSnbt(8, dilation).eval()
    for branch in block.branches:
        x = torch.zeros(1, 4, 25, 25, requires_grad=True)
        with torch.no_grad():
            x += torch.rand(x.shape)
        branch(x)[0, :, 12, 12].sum().backward()
        assert x.grad is not None
        rows, columns = x.grad[0].abs().sum(0).nonzero().T
        assert (rows - 12).abs().max() == (columns - 12).abs().max() == 1 + dilation


def test_block_shuffles_its_rectified_sum() -> None:
    block = SSnbt(8).eval()
    for branch in block.branches:
        nn.init.zeros_(branch[-1][-1][1].weight)  # silences it
    x = torch.randn(1, 8, 5, 5)
    torch.testing.assert_close(block(x), x[:, [0, 4, 1, 5, 2, 6, 3, 7]].relu())


def test_branches_differ_in_which_convolution_comes_first() -> None:
    firsts = [branch[0][0].kernel_size for branch in SSnbt(8).branches]
    assert firsts == [(3, 1), (1, 3)]


def test_pyramid_weighs_by_the_coarser_maps_and_adds_the_context() -> None:
    pyramid = APN(2).eval()
    x = torch.randn(2, 128, 12, 9)
    maps = pyramid(x)
    assert maps.shape == (2, 2, 12, 9)
    assert (maps >= 0).all()
    context = pyramid.context(x.mean((2, 3), keepdim=True))
    for level in pyramid.levels:  # without attention the context is left
        nn.init.zeros_(level[1].weight)
    torch.testing.assert_close(pyramid(x), context.expand(-1, -1, 12, 9))
    nn.init.ones_(pyramid.levels[0][1].bias)
    torch.testing.assert_close(pyramid(x), pyramid.direct(x) + context)


def test_one_class_gets_logits_of_either_sign() -> None:
    network = create_model("lednet", 3, 1).train()
    logits = network(torch.randn(2, 3, 96, 80))
    assert logits.shape == (2, 1, 96, 80)
    assert logits.min() < 0 < logits.max()
