"""ESPNet: size by part, the pyramid of dilated convolutions, the pooled images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.nets.espnet import ESP, ESPNet
from zoo.registry import create_model


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = create_model("espnet")
    assert isinstance(network, ESPNet)
    at2, at4 = (network.stem, network.post1), (network.stage2, network.post2)
    assert (count(*at2), count(*at4)) == (480 + 57, 9_156 + 2 * 7_872 + 393)
    at8 = (network.stage3, network.post3, network.classes3[0])
    assert count(*at2, *at4, *at8) == 344_841  # ESPNet-C


def test_blocks_are_options() -> None:
    with torch.device("meta"):
        assert count(create_model("espnet", blocks2=3, blocks3=5)) == 345_573 + 7_872 - 3 * 32_384


def test_each_branch_but_the_first_is_added_to_those_before() -> None:
    block = ESP(16, 16, down=True).eval()
    block.reduce, block.post = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    for k, branch in enumerate(block.branches):  # each multiplies its input by k + 1
        assert isinstance(branch, nn.Conv2d)
        nn.init.zeros_(branch.weight)
        branch.weight.data[:, :, 1, 1] = (k + 1) / 3
    x = torch.randn(1, 1, 10, 10).expand(-1, 3, -1, -1)
    out = block(x)
    widths, sums = (4, 3, 3, 3, 3), (1, 2, 2 + 3, 2 + 3 + 4, 2 + 3 + 4 + 5)
    parts = zip(widths, sums, strict=True)
    expected = torch.cat([s * x[:, :1].expand(-1, w, -1, -1) for w, s in parts], dim=1)
    torch.testing.assert_close(out, expected)


def test_dilations_double() -> None:
    branches = [branch for branch in ESP(16, 16).branches if isinstance(branch, nn.Conv2d)]
    assert [branch.dilation[0] for branch in branches] == [1, 2, 4, 8, 16]


def test_block_adds_its_input_unless_it_halves_the_size() -> None:
    x = torch.randn(1, 15, 9, 9)
    for down in (False, True):
        block = ESP(15, 15, down=down).eval()
        for branch in block.branches:
            nn.init.zeros_(branch.weight)
        expected = torch.zeros(1, 15, 5, 5) if down else block.post(x)
        torch.testing.assert_close(block(x), expected)


def test_pooled_images_enter_at_two_scales() -> None:
    network = create_model("espnet").eval()
    assert isinstance(network, ESPNet)
    seen: list[torch.Tensor] = []
    for post in (network.post1, network.post2):
        post.register_forward_pre_hook(lambda _, args: seen.append(args[0][:, -3:]))
    image = torch.randn(1, 3, 32, 48)
    network(image)
    half = nn.functional.avg_pool2d(image, 3, 2, 1)
    torch.testing.assert_close(seen[0], half)
    torch.testing.assert_close(seen[1], nn.functional.avg_pool2d(half, 3, 2, 1))
