"""The classification encoders under MiniSeg's decoder: parts, wiring, ImageNet weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from zoo.errors import CovbenchError, WeightsUnavailable
from zoo.nets import mobilenet_miniseg
from zoo.nets.mobilenet_miniseg import MobileNetEncoder
from zoo.nets.mobilenetv3_miniseg import Bottleneck, MobileNetV3Encoder, Shape, hard_swish
from zoo.nets.shufflenet_miniseg import ShuffleNetEncoder, Unit
from zoo.nets.shufflenetv2_miniseg import ShuffleNetV2Encoder
from zoo.registry import create_model, get_card


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "encoder", "decoder"),
    [
        ("mobilenet-miniseg", 3_206_976, 1_067_650),
        ("mobilenetv3-miniseg", 918_808, 78_242),
        ("shufflenet-miniseg", 916_920, 888_242),
        ("shufflenetv2-miniseg", 1_253_604, 344_098),
    ],
)
def test_sizes_of_encoder_and_decoder(name: str, encoder: int, decoder: int) -> None:
    with torch.device("meta"):
        network = create_model(name)
    assert count(network.get_submodule("encoder")) == encoder
    assert count(network.get_submodule("decoder")) == decoder
    assert encoder + decoder == get_card(name).params


@pytest.mark.parametrize(
    ("make", "maps"),
    [
        (
            lambda: MobileNetEncoder(3, None),
            [(64, 2), (128, 4), (256, 8), (512, 16), (1024, 32)],
        ),
        (lambda: MobileNetV3Encoder(3), [(16, 4), (24, 8), (48, 16), (96, 32), (576, 32)]),
        (lambda: ShuffleNetEncoder(3), [(24, 4), (240, 8), (480, 16), (960, 32)]),
        (lambda: ShuffleNetV2Encoder(3, None), [(24, 4), (116, 8), (232, 16), (1024, 32)]),
    ],
    ids=["mobilenet", "mobilenetv3", "shufflenet", "shufflenetv2"],
)
def test_encoder_gives_its_scales(make: Any, maps: list[tuple[int, int]]) -> None:
    with torch.device("meta"):
        found = make()(torch.empty(2, 3, 64, 96))
    assert [tuple(each.shape) for each in found] == [
        (2, width, 64 // stride, 96 // stride) for width, stride in maps
    ]


def test_bottleneck_adds_its_input_only_where_the_shape_stays() -> None:
    x = torch.randn(2, 16, 8, 6)
    for out, stride, adds in ((16, 1, True), (24, 1, False), (16, 2, False)):
        shape = Shape(3, 32, out, True, hard_swish, stride)
        block = Bottleneck(16, shape).eval()
        made = nn.Sequential(*block)(x)
        torch.testing.assert_close(block(x), x + made if adds else made)


def test_strided_unit_of_shufflenet_keeps_its_pooled_input_first() -> None:
    unit = Unit(24, 48).eval()
    x = torch.randn(2, 24, 8, 6)
    pooled = torch.nn.functional.avg_pool2d(x, 3, stride=2, padding=1).relu()
    out = unit(x)
    assert out.shape == (2, 48, 4, 3)
    torch.testing.assert_close(out[:, :24], pooled)


def test_unit_of_shufflenet_mixes_the_groups_between_its_convolutions() -> None:
    unit = Unit(36, 36).eval()
    x = torch.randn(1, 36, 4, 4)
    changed = x.clone()
    changed[:, :12] += 1  # the first of three groups
    difference = (unit(changed) - unit(x)).abs().amax((0, 2, 3))
    assert (difference[12:24] > 0).any() and (difference[24:] > 0).any()


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The networks of timm and torchvision, whose weights stand in for the downloaded ones."""
    import timm
    from torchvision.models import ShuffleNet_V2_X1_0_Weights, shufflenet_v2_x1_0

    mobile = timm.create_model("mobilenetv1_100", act_layer="relu").eval()
    shuffle = shufflenet_v2_x1_0().eval()
    for each in (*mobile.modules(), *shuffle.modules()):
        if isinstance(each, nn.BatchNorm2d):  # initially all alike, so an exchange would not show
            nn.init.normal_(each.running_mean, std=0.2)
            nn.init.uniform_(each.running_var, 0.5, 1.5)
    monkeypatch.setattr(mobilenet_miniseg, "timm_weights", lambda *_: dict(mobile.state_dict()))
    monkeypatch.setattr(
        ShuffleNet_V2_X1_0_Weights, "get_state_dict", lambda *_, **__: shuffle.state_dict()
    )
    stages = [shuffle.conv1, shuffle.maxpool, shuffle.stage2, shuffle.stage3, shuffle.stage4]
    return {
        "mobilenet-miniseg": mobile.forward_features,
        "shufflenetv2-miniseg": nn.Sequential(*stages, shuffle.conv5),
    }


@pytest.mark.parametrize("name", ["mobilenet-miniseg", "shufflenetv2-miniseg"])
def test_imagenet_weights_fit_exactly(name: str, sources: dict[str, Any]) -> None:
    colour = torch.randn(1, 3, 64, 64)
    three = create_model(name, weights="imagenet").eval().get_submodule("encoder")
    torch.testing.assert_close(three(colour)[-1], sources[name](colour), rtol=1e-4, atol=1e-5)
    grey = torch.randn(1, 1, 64, 64)
    one = create_model(name, 1, weights="imagenet").eval().get_submodule("encoder")
    for ours, theirs in zip(one(grey), three(grey.expand(-1, 3, -1, -1)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_nobody_has_published_weights_that_fit_shufflenet() -> None:
    with pytest.raises(WeightsUnavailable, match="Nobody has published"):
        create_model("shufflenet-miniseg", weights="imagenet")
    with pytest.raises(CovbenchError, match="Did you mean imagenet"):
        create_model("shufflenet-miniseg", weights="imagnet")
