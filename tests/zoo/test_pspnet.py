"""PSPNet as Table III of MiniSeg counts it: its own backbone, and the pyramid."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet101_Weights, resnet101

from zoo.nets.pspnet import PyramidPooling
from zoo.registry import create_model


@pytest.fixture(scope="module")
def network() -> Any:
    with torch.device("meta"):
        return create_model("pspnet")


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_sizes_by_part(network: Any) -> None:
    assert count(network.encoder) == 42_500_160
    assert count(network.head) == 23_070_209 + 1_026


def test_parameters_that_the_table_row_froze_are_trained(network: Any) -> None:
    norms = [m for m in network.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(count(norm) for norm in norms) == 105_344
    assert all(p.requires_grad for p in network.parameters())


def test_pooling_rounds_up_and_the_fusing_convolution_has_no_padding(network: Any) -> None:
    maps = network.encoder(torch.empty(1, 3, 512, 512, device="meta"))
    assert maps.shape == (1, 2048, 65, 65)
    assert network.head[:2](maps).shape == (1, 512, 63, 63)


def test_strides_and_rates(network: Any) -> None:
    strided = [
        name
        for name, m in network.encoder.named_modules()
        if isinstance(m, nn.Conv2d) and m.stride == (2, 2)
    ]
    assert strided == ["conv1", "layer2.0.conv1", "layer2.0.downsample.0"]
    for stage, rate in (("layer2", 1), ("layer3", 2), ("layer4", 4)):
        for block in getattr(network.encoder, stage):
            assert block.conv2.dilation == block.conv2.padding == (rate, rate)


def test_pyramid_lays_means_of_the_bins_beside_the_map() -> None:
    torch.manual_seed(0)
    pyramid = PyramidPooling(4, (1, 2))
    x = torch.randn(2, 4, 6, 8)
    out = pyramid(x)
    torch.testing.assert_close(out[:, 4:], x)
    whole = pyramid.levels[0][1](x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(out[:, :2], whole.expand(-1, -1, 6, 8))
    corner = pyramid.levels[1][1](x[:, :, :3, :4].mean((2, 3), keepdim=True))
    torch.testing.assert_close(out[:, 2:4, 0, 0], corner[:, :, 0, 0])


def test_imagenet_weights_reach_the_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    weights: dict[str, Tensor] = resnet101().state_dict()
    monkeypatch.setattr(ResNet101_Weights, "get_state_dict", lambda *_, **__: weights)
    ours = create_model("pspnet", weights="imagenet").get_submodule("encoder").state_dict()
    expected = {name: each for name, each in weights.items() if not name.startswith("fc.")}
    torch.testing.assert_close(dict(ours), expected)
