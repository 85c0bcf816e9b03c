"""ERFNet: size by part, halving, factorised blocks, dropout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.errors import CovbenchError
from zoo.joined_down import JoinedDown
from zoo.nets.erfnet import ERFNet, NonBottleneck1D, down
from zoo.registry import create_model, get_card


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def build(num_classes: int = 2) -> ERFNet:
    with torch.device("meta"):
        network = create_model("erfnet", 3, num_classes)
    assert isinstance(network, ERFNet)
    return network


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def block(channels: int) -> int:
    """Four convolutions of three values with bias, two batch norms."""
    return 4 * (3 * channels + 1) * channels + 2 * 2 * channels


def test_size_by_part() -> None:
    network = build()
    assert [count(part) for part in network.encoder] == [
        28 * 13 + 32,
        145 * 48 + 128,
        5 * block(64),
        577 * 64 + 256,
        8 * block(128),
    ]
    assert [count(part) for part in network.decoder] == [
        128 * 9 * 64 + 64 + 128,
        2 * block(64),
        64 * 9 * 16 + 16 + 32,
        2 * block(16),
    ]
    assert count(network.head) == 16 * 4 * 2 + 2
    assert count(build(19)) == 2_064_191


def test_dilations_and_dropout_of_the_blocks() -> None:
    found = [
        (each.branch[2][0].dilation[0], each.branch[3].p)
        for each in build().modules()
        if isinstance(each, NonBottleneck1D)
    ]
    deep = [(dilation, 0.3) for dilation in (2, 4, 8, 16, 2, 4, 8, 16)]
    assert found == [(1, 0.03)] * 5 + deep + [(1, 0.0)] * 4


def test_a_block_reaches_as_far_as_its_dilation_says() -> None:
    part = NonBottleneck1D(4, dilation=8).eval()
    with torch.no_grad():  # so that no ReLU closes
        for layer in part.branch.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.abs_()
                assert layer.bias is not None
                layer.bias.fill_(1)
    x = torch.ones(1, 4, 31, 31, requires_grad=True)
    part(x)[0, :, 15, 15].sum().backward()
    assert x.grad is not None
    rows, columns = x.grad[0].abs().sum(0).nonzero().T
    reach = {-9, -8, -7, -1, 0, 1, 7, 8, 9}
    assert set((rows - 15).tolist()) == set((columns - 15).tolist()) == reach


def test_a_block_ends_in_a_rectified_sum() -> None:
    part = NonBottleneck1D(4).eval()
    nn.init.zeros_(part.branch[2][3].weight)
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(part(x), x.relu())


@pytest.mark.parametrize("size", [8, 9])
def test_halving_joins_the_pooled_input_behind_the_convolution(size: int) -> None:
    part = down(3, 16).eval()
    assert isinstance(part, JoinedDown)
    seen: list[Tensor] = []
    part.after.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.randn(2, 3, size, size)
    half = -(-size // 2)
    assert part(x).shape == (2, 16, half, half)
    assert part.conv.out_channels == 13
    torch.testing.assert_close(seen[0][:, :13], part.conv(x))
    pooled = nn.functional.max_pool2d(x, 2, ceil_mode=True)
    torch.testing.assert_close(seen[0][:, 13:], pooled)


def test_deepest_map_is_an_eighth() -> None:
    assert get_card("erfnet").divisor == 8
    assert build().encoder(torch.zeros(1, 3, 64, 96, device="meta")).shape == (1, 128, 8, 12)


def test_too_many_channels() -> None:
    with pytest.raises(CovbenchError, match="16 channels"):
        create_model("erfnet", 16)
