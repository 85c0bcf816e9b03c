"""DeepLabv3 as Table III of MiniSeg counts it, and its ImageNet weights."""

from __future__ import annotations

from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, resnet50

from zoo.aspp import ASPP
from zoo.errors import CovbenchError
from zoo.registry import create_model, get_card


def build(in_channels: int = 3, weights: str | None = None) -> Any:
    return create_model("deeplabv3", in_channels, weights=weights)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_is_the_printed_one() -> None:
    with torch.device("meta"):
        network = build()
    assert count(network) == get_card("deeplabv3").params == 39_633_986
    assert f"{count(network) / 1000 / 1024:.2f}M" == "38.71M"
    assert count(network.encoder) == 23_508_032


def test_output_stride_and_dilations() -> None:
    with torch.device("meta"):
        network = build()
        assert network.encoder(torch.empty(2, 3, 64, 96)).shape == (2, 2048, 8, 12)

    def dilations(module: nn.Module) -> list[int]:
        sizes = [m for m in module.modules() if isinstance(m, nn.Conv2d) and m.kernel_size[0] == 3]
        return [convolution.dilation[0] for convolution in sizes]

    assert dilations(network.encoder.layer3) == [1, 2, 2, 2, 2, 2]
    assert dilations(network.encoder.layer4) == [2, 4, 4]
    assert dilations(network.head[0]) == [12, 24, 36]


def test_aspp_sees_the_mean_of_the_image() -> None:
    torch.manual_seed(0)
    pyramid = ASPP(4, 8, (12, 24)).eval()
    x = torch.randn(1, 4, 9, 7)
    seen: list[Tensor] = []
    pyramid.project.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert pyramid(x).shape == (1, 8, 9, 7)
    image = pyramid.image(x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(seen[0][:, -8:], image.expand(-1, -1, 9, 7))


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Weights that stand in for the downloaded ones."""
    torch.manual_seed(1)
    weights = resnet50().state_dict()
    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", lambda *_, **__: weights)
    return weights


def test_imagenet_weights_reach_the_backbone(state: dict[str, Tensor]) -> None:
    ours = build(weights="imagenet").encoder.state_dict()
    expected = {name: each for name, each in state.items() if not name.startswith("fc.")}
    torch.testing.assert_close(dict(ours), expected)


def test_one_channel_responds_as_grey_in_three(state: dict[str, Tensor]) -> None:
    grey = torch.randn(1, 1, 32, 32)
    one = build(1, "imagenet").encoder.conv1(grey)
    three = build(3, "imagenet").encoder.conv1(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-5)


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> dict[str, Tensor]:
        raise URLError("no route to host")

    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", offline)
    with pytest.raises(CovbenchError) as caught:
        build(weights="imagenet")
    assert ResNet50_Weights.IMAGENET1K_V1.url in caught.value.remedy


def test_unknown_weights() -> None:
    with pytest.raises(CovbenchError, match="imagnet"):
        build(weights="imagnet")
