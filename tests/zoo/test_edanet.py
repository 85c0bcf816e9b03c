"""EDANet: size by part, down-sampling, dense modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.nets.edanet import EDA, Down, EDANet
from zoo.registry import create_model


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = create_model("edanet")
    assert isinstance(network, EDANet)
    assert [count(part) for part in network.encoder] == [366, 6_240, 126_200, 304_590, 243_520]
    assert count(network.head) == 902


def test_dilations_of_the_modules() -> None:
    with torch.device("meta"):
        network = create_model("edanet")
    dilations = [
        conv.dilation[0]
        for module in network.modules()
        if isinstance(module, EDA)
        for conv in module.dilated.modules()
        if isinstance(conv, nn.Conv2d)
    ]
    expected = [1, 1, 1, 2, 2, 2, 2, 4, 4, 8, 8, 16, 16]
    assert dilations == [d for d in expected for _ in range(2)]


@pytest.mark.parametrize("size", [8, 9])
def test_down_joins_the_pooled_input_only_where_it_widens(size: int) -> None:
    x = torch.randn(2, 6, size, size)
    pooled = nn.functional.max_pool2d(x, 2, ceil_mode=True)
    seen: list[Tensor] = []
    for out_channels, kept in ((10, 6), (4, 0)):
        down = Down(6, out_channels).eval()
        down.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        assert down(x).shape == (2, out_channels, -(-size // 2), -(-size // 2))
        assert down.conv.out_channels == out_channels - kept
    torch.testing.assert_close(seen[0][:, 4:], pooled)


def test_module_keeps_its_input_behind_its_new_maps() -> None:
    module = EDA(6, dilation=4, dropout=0.0).eval()
    x = torch.randn(1, 6, 25, 25, requires_grad=True)
    out = module(x)
    assert out.shape == (1, 46, 25, 25)
    torch.testing.assert_close(out[:, 40:], x)
    out[0, :40, 12, 12].sum().backward()
    assert x.grad is not None
    rows, columns = x.grad[0].abs().sum(0).nonzero().T
    assert (rows - 12).abs().max() == (columns - 12).abs().max() == 1 + 4


def test_dropout_rate_is_an_option() -> None:
    with torch.device("meta"):
        network = create_model("edanet", dropout=0.5)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout2d)] == [0.5] * 13
