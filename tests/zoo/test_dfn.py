"""DFN: sizes by part, wiring of both branches, and blocks that start alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.nets.dfn import BorderBranch, ChannelAttention, RefinementResidual, SmoothBranch
from zoo.registry import create_model


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def maps(size: int = 16) -> list[Tensor]:
    """Maps as those of the backbone, which are positive."""
    torch.manual_seed(0)
    sizes = ((256, size), (512, size // 2), (1024, size // 4), (2048, size // 8))
    return [torch.rand(2, channels, side, side, requires_grad=True) for channels, side in sizes]


def test_sizes_by_part() -> None:
    with torch.device("meta"):
        network: Any = create_model("dfn")
    assert count(network.encoder) == 42_500_160
    assert (count(network.smooth), count(network.border)) == (12_514, 8_266)


def test_channel_attention_weighs_the_shallow_map_alone() -> None:
    torch.manual_seed(0)
    layer = ChannelAttention(2)
    shallow, deep = torch.rand(2, 1, 2, 5, 6)
    weights = (layer(shallow, deep) - deep) / shallow
    torch.testing.assert_close(weights, weights[..., :1, :1].expand_as(weights))
    assert not torch.allclose(layer(shallow, deep + 1) - deep - 1, layer(shallow, deep) - deep)


@pytest.mark.parametrize(("branch", "last"), [(SmoothBranch, 0), (BorderBranch, 2)])
def test_every_map_counts_and_logits_may_be_negative(
    branch: Callable[[int], SmoothBranch | BorderBranch], last: int
) -> None:
    given, network = maps(), branch(2)
    block = network.leave[last]
    assert isinstance(block, RefinementResidual) and block.outer.bias is not None
    nn.init.constant_(block.outer.bias, -100)
    logits = network(given)
    assert logits.shape == (2, 2, 16, 16)
    assert (logits < 0).all()
    logits.square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in given)


def test_smooth_branch_starts_from_the_mean_of_the_deepest_map() -> None:
    branch, given = SmoothBranch(2), maps()
    for block in branch.enter:
        assert isinstance(block, RefinementResidual) and block.project.bias is not None
        nn.init.zeros_(block.project.weight)
        nn.init.zeros_(block.project.bias)
    assert branch.context.bias is not None
    nn.init.constant_(branch.context.bias, 3)
    nn.init.zeros_(branch.context.weight)
    # Nothing else is left, and blocks start as identities.
    torch.testing.assert_close(branch(given), torch.full((2, 2, 16, 16), 3.0))


def test_block_adds_its_correction_before_its_relu() -> None:
    torch.manual_seed(0)
    block = RefinementResidual(4, 2).eval()
    x = torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(block(x), block.project(x).relu())
    assert block.outer.bias is not None
    nn.init.constant_(block.outer.bias, -0.2)
    torch.testing.assert_close(block(x), (block.project(x) - 0.2).relu())


def test_new_channels_are_alive_behind_their_relu() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 2048, 8, 8) + 1
    for _ in range(20):
        active = (RefinementResidual(2048, 2)(x) > 0).float().mean((0, 2, 3))
        assert active.min() > 0.5


def test_border_is_predicted_in_training_alone_and_one_class_by_two_channels() -> None:
    with torch.device("meta"):
        network: Any = create_model("dfn", 3, 1)
        image = torch.empty(2, 3, 64, 64)
        assert [each.shape for each in network.train()(image)] == [(2, 1, 64, 64)] * 2
        network.border.forward = None
        assert network.eval()(image).shape == (2, 1, 64, 64)
    pair = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)
    assert network.logits(pair, (1, 1)).item() == 2
