"""DABNet: size by part, modules, the pooled image at every scale."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.errors import CovbenchError
from zoo.nets.dabnet import DAB, DABNet
from zoo.registry import create_model


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def build(num_classes: int = 2) -> DABNet:
    network = create_model("dabnet", 3, num_classes)
    assert isinstance(network, DABNet)
    return network


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def module_size(channels: int) -> int:
    """A 3x3 to half the width, four depthwise of three values, a 1x1; norm and PReLU: 3 each."""
    half = channels // 2
    return (
        9 * channels * half
        + 3 * channels
        + 3 * half
        + 4 * (3 + 3) * half
        + 3 * half
        + (half * channels)
    )


def test_size_by_part() -> None:
    network = build()
    assert count(network.stem) == 27 * 32 + 2 * 9 * 32 * 32 + 3 * 3 * 32
    assert [count(each) for each in (network.join1, network.join2, network.join3)] == [
        3 * 35,
        3 * 131,
        3 * 259,
    ]
    assert count(network.down1) == 9 * 35 * 29 + 3 * 64
    assert count(network.down2) == 9 * 131 * 128 + 3 * 128
    assert count(network.block1) == 3 * module_size(64)
    assert count(network.block2) == 6 * module_size(128)
    assert count(network.head) == 259 * 2


def test_published_count() -> None:
    with torch.device("meta"):
        parameters = count(build(19))
    assert parameters == 756_643
    assert f"{parameters / 1e6:.2f}M" == "0.76M"


def test_dilations_of_the_modules() -> None:
    found = [
        (each.plain[0][0].dilation, each.dilated[0][0].dilation)
        for each in build().modules()
        if isinstance(each, DAB)
    ]
    assert found == [((1, 1), (d, d)) for d in (2, 2, 2, 4, 4, 8, 8, 16, 16)]


def test_a_branch_is_depthwise_and_asymmetric() -> None:
    part = DAB(8, dilation=4)
    layers = [layer[0] for branch in (part.plain, part.dilated) for layer in branch]
    assert [each.kernel_size for each in layers] == [(3, 1), (1, 3)] * 2
    assert all(each.groups == each.in_channels == 4 and each.bias is None for each in layers)


def test_a_module_reaches_as_far_as_its_dilation_says() -> None:
    part = DAB(4, dilation=6).eval()
    x = torch.randn(1, 4, 25, 25, requires_grad=True)
    part(x)[0, :, 12, 12].sum().backward()
    assert x.grad is not None
    rows, columns = x.grad[0].abs().sum(0).nonzero().T
    # A 3x3 convolution behind the branches' 1 and 6.
    reach = {-7, -6, -5, -2, -1, 0, 1, 2, 5, 6, 7}
    assert set((rows - 12).tolist()) == set((columns - 12).tolist()) == reach


def test_a_silent_module_leaves_its_input() -> None:
    part = DAB(4, dilation=2).eval()
    nn.init.zeros_(part.expand[1].weight)
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(part(x), x)


@pytest.mark.parametrize("size", [(64, 96), (50, 77)])
def test_the_pooled_image_is_joined_in_at_every_scale(size: tuple[int, int]) -> None:
    network = build().eval()
    seen: list[Tensor] = []
    for join in (network.join1, network.join2, network.join3):
        join.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    image = torch.rand(1, 3, *size)
    with torch.no_grad():
        assert network(image).shape == (1, 2, *size)
    assert [each.shape[1] for each in seen] == [35, 131, 259]
    for joined in seen:
        image = nn.functional.avg_pool2d(image, 3, stride=2, padding=1)
        torch.testing.assert_close(joined[:, -3:], image)


def test_blocks_are_joined_with_what_they_were_given() -> None:
    network = build().eval()
    given: list[Tensor] = []
    joined: list[Tensor] = []
    for block, join in ((network.block1, network.join2), (network.block2, network.join3)):
        block.register_forward_pre_hook(lambda _, args: given.append(args[0]))
        join.register_forward_pre_hook(lambda _, args: joined.append(args[0]))
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 64))
    torch.testing.assert_close(joined[0][:, 64:128], given[0])
    torch.testing.assert_close(joined[1][:, 128:256], given[1])


def test_too_many_channels() -> None:
    with pytest.raises(CovbenchError, match="32 channels"):
        create_model("dabnet", 32)
    assert create_model("dabnet", 31)
