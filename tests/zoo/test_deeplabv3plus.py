"""DeepLabv3+: its Xception, what of it the decoder sees, weights that nobody has published."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.corners import resize_corners
from zoo.errors import WeightsUnavailable
from zoo.nets.deeplabv3plus import Block, DeepLabV3Plus
from zoo.registry import create_model


def dilations(module: nn.Module) -> list[int]:
    layers = [each for each in module.modules() if isinstance(each, nn.Conv2d)]
    return [each.dilation[0] for each in layers if each.kernel_size == (3, 3)]


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = DeepLabV3Plus(3, 2)
    sizes = [sum(p.numel() for p in part.parameters()) for part in network.children()]
    assert sizes == [37_774_656, 15_535_104, 6_240, 1_291_778]


def test_strides_and_dilations() -> None:
    with torch.device("meta"):
        network = DeepLabV3Plus(3, 2).eval()
        low, high = network.encoder(torch.empty(1, 3, 97, 64))
    assert low.shape == (1, 128, 25, 16)
    assert high.shape == (1, 2048, 7, 4)
    assert set(dilations(network.encoder.entry) + dilations(network.encoder.middle)) == {1}
    assert dilations(network.encoder.exit) == [2, 2, 2]
    assert dilations(network.aspp) == [6, 12, 18]


@pytest.mark.parametrize("act_first", [True, False])
@pytest.mark.parametrize("end_stride", [None, 2])
def test_block_adds_to_an_input_that_it_leaves_alone(
    act_first: bool, end_stride: int | None
) -> None:
    torch.manual_seed(0)
    block = Block(6, (6, 6), end_stride=end_stride, act_first=act_first).eval()
    x = torch.randn(1, 6, 9, 8)
    before = x.clone()
    out = block(x)
    assert torch.equal(x, before)
    branch = block.branch(x)
    assert out.shape == (1, 6, *((9, 8) if end_stride is None else (5, 4)))
    torch.testing.assert_close(out, branch + (x if end_stride is None else block.shortcut(x)))
    # A ReLU in front makes the branch blind to how far below zero its input is.
    assert torch.equal(block.branch(-x.abs()), block.branch(-2 * x.abs())) == act_first


def test_decoder_sees_the_pyramid_and_the_map_at_a_quarter() -> None:
    torch.manual_seed(0)
    network = DeepLabV3Plus(1, 2).eval()
    seen: list[Tensor] = []
    network.head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.randn(1, 1, 40, 35)
    with torch.no_grad():
        network(x)
        low, high = network.encoder(x)
        torch.testing.assert_close(seen[0][:, 256:], network.low(low))
        torch.testing.assert_close(seen[0][:, :256], resize_corners(network.aspp(high), like=low))


def test_nobody_has_published_weights_that_fit() -> None:
    with pytest.raises(WeightsUnavailable, match="deeplabv3plus"):
        create_model("deeplabv3plus", weights="imagenet")
