"""UNeXt: size by part, shifts, tokenised MLPs, published counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.complexity import measure_cost
from benchmark.table_rules import table3_operations
from zoo.nets.unext import HEIGHT, WIDTH, ShiftedMLP, UNeXt, shift
from zoo.registry import create_model, get_card


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = create_model("unext")
    assert isinstance(network, UNeXt)
    # Convolutions with bias and batch norm; then embedding, MLP and two layer norms.
    mlp160 = 320 + 2 * (160 * 160 + 160) + 10 * 160
    mlp256 = 512 + 2 * (256 * 256 + 256) + 10 * 256
    assert [count(stage) for stage in network.encoder] == [
        28 * 16 + 32,
        (9 * 16 + 1) * 32 + 64,
        (9 * 32 + 1) * 128 + 256,
        (9 * 128 + 1) * 160 + 320 + mlp160 + 320,
        (9 * 160 + 1) * 256 + 512 + mlp256 + 512,
    ]
    assert [count(stage) for stage in network.up] == [369_120, 184_704, 36_960, 4_656]
    assert [count(stage) for stage in network.mix] == [mlp160 + 320, 34_560 + 256, 0, 0]
    assert count(network.last, network.head) == (9 * 16 + 1) * 16 + 17 * 2


def test_published_counts() -> None:
    cost = measure_cost(get_card("unext"), num_classes=1, size=256)
    assert (cost.params, cost.headline) == (1_471_921, 562_003_968)
    with torch.device("meta"):
        network, image = create_model("unext", 3, 1).eval(), torch.zeros(1, 3, 256, 256)
    assert f"{cost.params / 1e6:.2f}M" == "1.47M"
    assert f"{table3_operations(network, image) / 1e9:.2f}G" == "0.57G"


def test_channels_and_sizes_of_the_maps() -> None:
    with torch.device("meta"):
        network, x = create_model("unext"), torch.zeros(1, 3, 256, 96)
    assert isinstance(network, UNeXt)
    shapes = []
    for stage in network.encoder:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(16, 128, 48), (32, 64, 24), (128, 32, 12), (160, 16, 6), (256, 8, 3)]


@pytest.mark.parametrize("axis", [HEIGHT, WIDTH])
def test_five_groups_are_shifted_from_two_pixels_forward_to_two_back(axis: int) -> None:
    line = torch.tensor([1.0, 2, 3, 4])
    x = line.view(1, 1, -1, 1).expand(1, 5, 4, 2)
    x = x if axis == HEIGHT else x.mT
    moved = shift(x, axis)
    moved = moved if axis == HEIGHT else moved.mT
    expected = [[0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 0], [3, 4, 0, 0]]
    assert moved[0, :, :, 0].tolist() == moved[0, :, :, 1].tolist() == expected


def test_groups_need_not_be_equally_large() -> None:
    x = torch.rand(1, 256, 6, 6)
    moved = shift(x, WIDTH)
    # 256 channels are four groups of 52 and one of 48; the third stays where it is.
    kept = [c for c in range(256) if torch.equal(moved[0, c], x[0, c])]
    assert kept == list(range(104, 156))


def test_an_mlp_sees_along_the_width_before_the_depthwise_and_along_the_height_behind() -> None:
    block = ShiftedMLP(10).eval()
    assert isinstance(block.norm, nn.LayerNorm)
    with torch.no_grad():
        block.depthwise.weight.zero_()[:, :, 1, 1] = 1  # lets each pixel through by itself
    x = torch.rand(1, 10, 15, 15, requires_grad=True)
    (block(x) - x)[0, :, 7, 7].sum().backward()
    assert x.grad is not None
    rows, columns = x.grad[0].abs().sum(0).nonzero().T
    assert set((rows - 7).tolist()) == set((columns - 7).tolist()) == {-2, -1, 0, 1, 2}
    inputs: list[Tensor] = []
    block.across.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    block(x)
    torch.testing.assert_close(inputs[0], shift(block.norm(x), WIDTH))


def test_a_silent_mlp_leaves_its_input() -> None:
    block = ShiftedMLP(10)
    nn.init.zeros_(block.along.weight)
    nn.init.zeros_(block.along.bias)
    x = torch.rand(1, 10, 6, 6)
    torch.testing.assert_close(block(x), x)


def test_at_the_smallest_size_every_channel_of_the_deepest_tokens_is_used() -> None:
    assert get_card("unext").min_size == 96
    deepest = torch.ones(1, 5, 96 // 32, 96 // 32)
    for axis in (HEIGHT, WIDTH):
        assert shift(deepest, axis).amax((2, 3)).all()
        assert not shift(deepest[..., :2, :2], axis).amax((2, 3)).all()
