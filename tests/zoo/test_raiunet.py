"""RAIU-Net: its size by part, the ablation's rows, and what each block computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.contract import check_model
from zoo.errors import CovbenchError
from zoo.nets.raiunet import HybridPool, Inception, RAIUNet, ResidualInception, SSDAttention
from zoo.registry import create_model, get_card
from zoo.spectral import spectral_pool


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def build(in_channels: int, num_classes: int, **options: str) -> RAIUNet:
    with torch.device("meta"):
        network = create_model("raiunet", in_channels, num_classes, **options)
    assert isinstance(network, RAIUNet)
    return network


@pytest.mark.parametrize(
    ("in_channels", "num_classes", "params"),
    [(1, 1, 4_157_099), (3, 2, 4_157_428), (2, 1, 4_157_251)],
)
def test_size(in_channels: int, num_classes: int, params: int) -> None:
    assert count(build(in_channels, num_classes)) == params


def test_card_states_the_size() -> None:
    assert get_card("raiunet").params == 4_157_428


def test_size_by_part() -> None:
    network = build(1, 1)
    assert [count(part) for part in network.encoder] == [6_228, 27_480, 102_960, 397_920, 1_563_840]
    assert [count(part) for part in network.pools] == [820, 3_240, 12_880, 51_360]
    assert [count(part) for part in network.up] == [3_220, 12_840, 51_280, 204_960]
    assert [count(part) for part in network.decoder] == [15_120, 54_240, 204_480, 792_960]
    assert network.attention is not None
    assert [count(part) for part in network.attention] == [7_950, 31_100, 123_000, 489_200]
    assert count(network.head) == 21


@pytest.mark.parametrize(
    ("options", "params"),
    [
        ({"attention": "none"}, 3_505_849),
        ({"attention": "none", "pooling": "max"}, 3_437_549),
        ({"attention": "none", "pooling": "max", "inception_pooling": "max"}, 3_097_148),
        ({"attention": "sigmoid"}, 4_157_099),
    ],
)
def test_size_of_the_rows_of_the_ablation(options: dict[str, str], params: int) -> None:
    assert count(build(1, 1, **options)) == params


@pytest.mark.parametrize("options", ["[attention=sigmoid]", "[widths=8-12-20]"])
def test_keeps_the_contract(options: str) -> None:
    assert [each for each in check_model(f"raiunet{options}") if not each.passed] == []


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (50, 63), (16, 31)])
def test_takes_any_size(size: tuple[int, int]) -> None:
    network = create_model("raiunet", 1, 2, widths="4-6-8-10-12").eval()
    assert network(torch.randn(1, 1, *size)).shape == (1, 2, *size)


@pytest.mark.parametrize(("c", "d"), [(1, 20), (20, 40)])
def test_blocks_have_the_size_of_their_formulas(c: int, d: int) -> None:
    inception = 4 * c * d + 2 * c**2 + 3 * d**2 + 37 * c + 12 * d
    assert count(Inception(c, d, "hybrid")) == inception
    second = 9 * d**2 + 49 * d
    shortcut = 9 * c + c * d + 3 * d
    assert count(ResidualInception(c, d, "hybrid")) == inception + second + shortcut
    assert count(HybridPool(d, halve=True)) == 2 * d**2 + d


def test_hybrid_pool_has_both_halves_at_odd_sizes() -> None:
    x = torch.randn(2, 3, 9, 14)
    pool: Any = HybridPool(3, halve=True)
    pool.mix = nn.Identity()
    torch.testing.assert_close(
        pool(x), torch.cat((F.max_pool2d(x, 2), spectral_pool(x, (4, 7))), dim=1)
    )
    keep: Any = HybridPool(3, halve=False)
    keep.mix = nn.Identity()
    torch.testing.assert_close(keep(x), torch.cat((F.max_pool2d(x, 3, 1, 1), x), dim=1))


def test_residual_block_ends_in_a_plain_sum() -> None:
    block = ResidualInception(3, 6, "hybrid").eval()
    x = torch.randn(1, 3, 8, 8)
    y = block(x)
    torch.testing.assert_close(y - block.body(x), block.shortcut(x))
    assert y.min() < 0


@pytest.mark.parametrize("act", ["relu", "sigmoid"])
@pytest.mark.parametrize("size", [(8, 10), (9, 11)])
def test_attention_weighs_blocks_of_pixels_by_the_deeper_map(
    act: Any, size: tuple[int, int]
) -> None:
    block: Any = SSDAttention(4, 8, act).eval()
    block.out = nn.Identity()
    block.recalibrate = nn.Identity()
    block.depth = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (1, 4, 1, 1)))  # the mean itself
    skip, deeper = torch.rand(1, 4, *size) + 0.5, torch.randn(1, 8, size[0] // 2, size[1] // 2)
    weight = block(skip, deeper) / (skip * skip.mean((2, 3), keepdim=True))
    torch.testing.assert_close(weight, weight[:, :1].expand_as(weight))
    torch.testing.assert_close(weight[..., 0, 0], weight[..., 1, 1])
    changed = deeper.clone()
    changed[..., 0, 0] += 5
    moved = (block(skip, changed) != block(skip, deeper)).any(dim=1)[0]
    assert moved[:2, :2].all() and not moved[3:, 3:].any()


def test_spatial_attention_starts_open() -> None:
    with torch.no_grad():
        block = SSDAttention(4, 64, "relu")
        open_ = block.act(block.spatial(torch.rand(1, 64, 5, 5))).mean(dim=1)
    assert open_.min() > 0.5


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("attention", "softmax"),
        ("pooling", "mean"),
        ("inception_pooling", "spectral"),
        ("widths", "20"),
        ("widths", "20-x"),
        ("widths", "20--40"),
        ("widths", "1-2"),
    ],
)
def test_refuses_what_it_does_not_know(option: str, value: str) -> None:
    with pytest.raises(CovbenchError, match=value):
        build(1, 1, **{option: value})
