"""ESPNetv2: size, operations, blocks, contract."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoo.nets.espnetv2 import EESP, Down, Pyramid
from zoo.registry import create_model, get_card


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def is_unused(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in get_card("espnetv2").unused)


def test_size() -> None:
    network = create_model("espnetv2")
    assert count(network) == get_card("espnetv2").params == 335_850
    assert sum(p.numel() for n, p in network.named_parameters() if is_unused(n)) == 224


def test_operations_of_the_table_row_on_meta() -> None:
    with torch.device("meta"):
        network = create_model("espnetv2").eval()
        image = torch.zeros(1, 3, 512, 512)
    with FlopCounterMode(display=False) as counter:
        assert network(image).shape == (1, 2, 512, 512)
    assert f"{counter.get_total_flops() / 2e9:.3f}" == "0.746"


@pytest.mark.parametrize(
    ("limit", "dilations"), [(13, [1, 2, 3, 4]), (9, [1, 2, 3, 4]), (7, [1, 1, 2, 3])]
)
def test_receptive_limit_sets_the_dilations(limit: int, dilations: list[int]) -> None:
    branches = [b for b in EESP(16, 16, limit).branches if isinstance(b, nn.Conv2d)]
    assert [b.dilation[0] for b in branches] == dilations


def test_eesp_adds_each_branch_to_the_sum_of_those_before() -> None:
    block = EESP(16, 16, 9).eval()
    block.reduce = block.post = block.expand = block.act = nn.Identity()
    block.residual = False
    for k, branch in enumerate(block.branches):  # each multiplies its input by k + 1
        assert isinstance(branch, nn.Conv2d)
        nn.init.zeros_(branch.weight)
        branch.weight.data[:, :, 1, 1] = k + 1
    x = torch.randn(1, 4, 10, 10)
    expected = torch.cat([total * x for total in (1, 3, 6, 10)], dim=1)
    torch.testing.assert_close(block(x), expected)


def test_eesp_adds_its_input_only_where_the_shape_is_kept() -> None:
    x = torch.randn(1, 16, 9, 9)
    for out_channels, stride, kept in ((16, 1, True), (32, 1, False), (16, 2, False)):
        block = EESP(16, out_channels, 9, stride=stride).eval()
        nn.init.zeros_(block.expand[1].weight)  # silences the branches
        out = block(x)
        size = -(-9 // stride)
        expected = block.act(x) if kept else torch.zeros(1, out_channels, size, size)
        torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("height", [16, 17])
def test_down_takes_the_pooled_image_in(height: int) -> None:
    down = Down(8, 24, 9, 3).eval()
    x = torch.randn(1, 8, height, 9)
    half = -(-height // 2)
    image = torch.randn(1, 3, half, 5)
    out = down(x, image)
    assert out.shape == (1, 24, half, 5)
    assert not torch.allclose(out, down(x, torch.zeros_like(image)))


def test_pyramid_sees_the_whole_map() -> None:
    x = torch.randn(1, 8, 24, 24, requires_grad=True)
    Pyramid(8).eval()(x)[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[..., 16:, 16:].any()


def test_dropout_rate_is_an_option_of_training_only() -> None:
    image = torch.randn(1, 3, 32, 32)
    network = create_model("espnetv2", dropout=0.5)
    rates = [m.p for m in network.modules() if isinstance(m, nn.Dropout2d)]
    assert rates == [0.5, 0.5]
    network.eval()
    torch.testing.assert_close(network(image), network(image), rtol=0, atol=0)


@pytest.mark.parametrize(("channels", "classes"), [(1, 1), (3, 2), (1, 4), (4, 1)])
def test_channels_and_classes(channels: int, classes: int) -> None:
    network = create_model("espnetv2", channels, classes).train()
    image = torch.randn(2, channels, 96, 80)
    assert network(image).shape == (2, classes, 96, 80)
    with torch.no_grad():
        assert network.eval()(image).shape == (2, classes, 96, 80)


@pytest.mark.parametrize("size", [(333, 500), (32, 32)])
def test_trains_with_a_batch_of_one_and_any_size(size: tuple[int, int]) -> None:
    network = create_model("espnetv2", dropout=0.0).train()
    out = network(torch.randn(1, 3, *size))
    assert isinstance(out, Tensor)
    assert out.shape == (1, 2, *size)
    out.square().mean().backward()
    starved = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert starved == [n for n, _ in network.named_parameters() if is_unused(n)]


def test_bfloat16_autocast_trains() -> None:
    network = create_model("espnetv2").train()
    with torch.autocast("cpu", torch.bfloat16):
        out = network(torch.randn(2, 3, 64, 64))
    out.float().square().mean().backward()
    grads = [p.grad for n, p in network.named_parameters() if not is_unused(n)]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)
