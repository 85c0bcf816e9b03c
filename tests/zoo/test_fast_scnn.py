"""Fast-SCNN: size by part, strides, fusion, published count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.nets.fast_scnn import FastSCNN, FeatureFusion, InvertedResidual, PyramidPooling
from zoo.registry import create_model


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def build(num_classes: int = 2) -> FastSCNN:
    with torch.device("meta"):
        network = create_model("fast-scnn", 3, num_classes)
    assert isinstance(network, FastSCNN)
    return network


def count(module: nn.Module, kind: type[nn.Module] = nn.Module) -> int:
    layers = [m for m in module.modules() if isinstance(m, kind)]
    return sum(p.numel() for layer in layers for p in layer.parameters(recurse=False))


def residual(channels: int, out: int) -> int:
    """Three convolutions and their batch norms, six times wider inside."""
    wide = 6 * channels
    return wide * (channels + 9 + out) + 2 * (2 * wide + out)


def test_size_by_part() -> None:
    network = build()
    assert [count(part) for part in network.shared] == [
        27 * 32 + 64,
        9 * 32 + 64 + 32 * 48 + 96,
        9 * 48 + 96 + 48 * 64 + 128,
    ]
    assert [count(part) for part in network.context] == [
        3 * residual(64, 64),
        residual(64, 96) + 2 * residual(96, 96),
        residual(96, 128) + 2 * residual(128, 128),
        4 * (128 * 32 + 64) + 256 * 128 + 256,
    ]
    fusion = 64 * 128 + 256 + 9 * 128 + 256 + 128 * 128 + 256
    head = 2 * (9 * 128 + 256 + 128 * 128 + 256) + 129 * 2
    assert (count(network.fusion), count(network.head)) == (fusion, head)


def test_published_count_is_that_of_the_convolutions() -> None:
    network = build(19)
    norms = count(network, nn.BatchNorm2d)
    assert (count(network), norms) == (1_137_795, 23_680)
    assert f"{(count(network) - norms) / 1e6:.2f}M" == "1.11M"


def test_channels_and_sizes_of_the_maps() -> None:
    network, x = build().eval(), torch.zeros(1, 3, 128, 64, device="meta")
    shapes = []
    for part in (*network.shared, *network.context):
        x = part(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [
        (32, 64, 32),
        (48, 32, 16),
        (64, 16, 8),
        (64, 8, 4),
        (96, 4, 2),
        (128, 4, 2),
        (128, 4, 2),
    ]


@pytest.mark.parametrize(("out", "stride", "adds"), [(4, 1, True), (4, 2, False), (6, 1, False)])
def test_a_residual_adds_only_where_the_shape_stays(out: int, stride: int, adds: bool) -> None:
    part = InvertedResidual(4, out, stride).eval()
    nn.init.zeros_(part.branch[2][1].weight)  # silences the branch
    x = torch.randn(2, 4, 8, 8)
    expected = x if adds else torch.zeros(2, out, 8 // stride, 8 // stride)
    torch.testing.assert_close(part(x), expected)


def test_the_pyramid_joins_its_input_with_four_means() -> None:
    pyramid = PyramidPooling(8).eval()
    seen: list[Tensor] = []
    pyramid.fuse.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.randn(1, 8, 12, 6)
    assert pyramid(x).shape == x.shape
    torch.testing.assert_close(seen[0][:, :8], x)
    whole = pyramid.grids[0][1](x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(seen[0][:, 8:10], whole.expand(-1, -1, 12, 6))
    assert [grid[0].output_size for grid in pyramid.grids] == [1, 2, 3, 6]


def test_fusion_is_a_rectified_sum_at_the_finer_size() -> None:
    fusion = FeatureFusion(4, 6, 8).eval()
    fine, coarse = torch.randn(1, 4, 16, 12), torch.randn(1, 6, 4, 3)
    assert fusion.coarse[0][0].dilation == (4, 4)
    larger = nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear")
    expected = (fusion.fine(fine) + fusion.coarse(larger)).relu()
    torch.testing.assert_close(fusion(fine, coarse), expected)


def test_both_branches_share_the_first_layers() -> None:
    torch.manual_seed(0)
    network = FastSCNN(3, 2, dropout=0.0).eval()
    fine: list[Tensor] = []
    context: list[Tensor] = []
    network.fusion.register_forward_pre_hook(lambda _, args: fine.append(args[0]))
    network.context.register_forward_pre_hook(lambda _, args: context.append(args[0]))
    with torch.no_grad():
        assert network(torch.rand(1, 3, 50, 77)).shape == (1, 2, 50, 77)
    assert fine[0] is context[0] and fine[0].shape == (1, 64, 7, 10)
