"""EGE-UNet: size by part, attention tables, bridges, masks, published counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.complexity import measure_cost
from zoo.nets.ege_unet import Bridge, EGEUNet, Hadamard, lead
from zoo.registry import create_model, get_card


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def build(num_classes: int = 2) -> EGEUNet:
    network = create_model("ege-unet", 3, num_classes)
    assert isinstance(network, EGEUNet)
    return network


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def hadamard(wide: int, out: int) -> int:
    part = wide // 4
    tables = part * (64 + 8 + 8) + (10 + 4 + 4) * part + 3 * (part * part + part)
    local = part * part + part + 10 * part
    return tables + local + 2 * wide + 2 * wide + 10 * wide + (wide + 1) * out


def bridge(deep: int, own: int) -> int:
    width = own // 2 + 1
    return (deep + 1) * own + 4 * (2 * width + 10 * width) + 2 * 4 * width + (4 * width + 1) * own


def test_published_counts() -> None:
    cost = measure_cost(get_card("ege-unet"), num_classes=1, size=256)
    assert (cost.params, cost.headline) == (53_374, 72_096_256)
    assert (f"{cost.params / 1e6:.3f}M", f"{72_096_256 / 1e9:.3f}G") == ("0.053M", "0.072G")


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = build()
    assert [count(stage) for stage in network.encoder] == [
        28 * 8,
        73 * 16,
        (9 * 16 + 1) * 24,
        hadamard(24, 32),
        hadamard(32, 48),
        hadamard(48, 64),
    ]
    assert [count(stage) for stage in network.decoder] == [
        hadamard(64, 48),
        hadamard(48, 32),
        hadamard(32, 24),
        (9 * 24 + 1) * 16,
        (9 * 16 + 1) * 8,
    ]
    pairs = [(64, 48), (48, 32), (32, 24), (24, 16), (16, 8)]
    assert [count(each) for each in network.bridges] == [bridge(*pair) for pair in pairs]
    assert [count(each) for each in network.masks] == [2 * (own + 1) for _, own in pairs]
    norms = (*network.encoder_norms, *network.decoder_norms)
    assert [(each.num_groups, each.num_channels) for each in norms] == [
        (4, width) for width in (8, 16, 24, 32, 48, 48, 32, 24, 16, 8)
    ]


def test_sizes_of_the_skips() -> None:
    with torch.device("meta"):
        network = build()
        maps = network.encode(torch.zeros(1, 3, 128, 64))
    assert [tuple(each.shape[1:]) for each in maps] == [
        (8, 64, 32),
        (16, 32, 16),
        (24, 16, 8),
        (32, 8, 4),
        (48, 4, 2),
        (64, 4, 2),
    ]


def test_each_group_has_a_table_over_its_own_axes() -> None:
    block = Hadamard(16, 8).eval()
    shapes = []
    with torch.no_grad():
        for table, size in ((block.plane, (6, 10)), (block.rows, (6, 1)), (block.columns, (1, 10))):
            assert (table.values == 1).all()
            nn.init.normal_(table.values)
            shapes.append(tuple(table.values.shape))
            assert table(*size).shape == (1, 4, *size)
        # Maps are as large as the table: nothing is lost on the way there.
        torch.testing.assert_close(
            block.plane(8, 8), block.plane.convolve(block.plane.values), rtol=0, atol=1e-6
        )
    assert shapes == [(1, 4, 8, 8), (1, 4, 8, 1), (1, 4, 1, 8)]


def test_a_group_is_multiplied_and_only_the_last_looks_around() -> None:
    block = Hadamard(16, 8).eval()
    seen: list[Tensor] = []
    block.after.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.randn(2, 16, 6, 10)
    block(x)
    both, high, wide, local = block.before(x).chunk(4, dim=1)
    torch.testing.assert_close(seen[0][:, :4], both * block.plane(6, 10))
    torch.testing.assert_close(seen[0][:, 4:8], high * block.rows(6, 1))
    torch.testing.assert_close(seen[0][:, 8:12], wide * block.columns(1, 10))
    torch.testing.assert_close(seen[0][:, 12:], block.local(local))


def test_a_bridge_gives_each_group_a_quarter_of_both_skips_and_the_mask() -> None:
    part = Bridge(16, 8).eval()
    seen: list[Tensor] = []
    for group in part.groups:
        group.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    deep, own, mask = torch.rand(1, 16, 5, 5), torch.rand(1, 8, 10, 10), torch.rand(1, 1, 10, 10)
    assert part(deep, own, mask).shape == own.shape
    assert len(seen) == 4
    for i, joined in enumerate(seen):
        assert joined.shape == (1, 5, 10, 10)
        torch.testing.assert_close(joined[:, 2:4], own[:, 2 * i : 2 * i + 2])
        torch.testing.assert_close(joined[:, 4:], mask)
    convolutions = [group[1] for group in part.groups]
    assert [each.dilation[0] for each in convolutions] == [1, 2, 5, 7]
    assert all(each.groups == each.in_channels == 5 for each in convolutions)


def test_the_mask_is_the_logit_of_the_foreground() -> None:
    one = torch.randn(2, 1, 4, 4)
    assert lead(one) is one
    two = torch.randn(2, 2, 4, 4)
    torch.testing.assert_close(lead(two).sigmoid(), two.softmax(1)[:, 1:])
    four = torch.randn(2, 4, 4, 4)
    assert torch.equal(lead(four) > 0, four.argmax(1, keepdim=True) > 0)


def test_masks_are_auxiliary_in_training_and_reach_the_output_in_evaluation() -> None:
    network = build().train()
    image = torch.rand(2, 3, 64, 96)
    outputs = network(image)
    assert isinstance(outputs, tuple)
    assert [tuple(each.shape) for each in outputs] == [(2, 2, 64, 96)] * 6
    network.eval()
    with torch.no_grad():
        before = network(image)
        for mask in network.masks:
            assert isinstance(mask.bias, Tensor)
            mask.weight.mul_(3)
        assert not torch.allclose(network(image), before)


def test_auxiliary_outputs_come_finest_first() -> None:
    network = build().train()
    for i, mask in enumerate(network.masks):  # deepest first
        nn.init.zeros_(mask.weight)
        nn.init.constant_(mask.bias, i)
    with torch.no_grad():
        _, *masks = network(torch.rand(1, 3, 64, 64))
    assert [float(each.mean()) for each in masks] == [4, 3, 2, 1, 0]
