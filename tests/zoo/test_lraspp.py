"""LR-ASPP: torchvision's network under our names, any channels, pretrained encoder."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights, mobilenet_v3_large
from torchvision.models.segmentation import (
    LRASPP_MobileNet_V3_Large_Weights,
    lraspp_mobilenet_v3_large,
)

from zoo.errors import CovbenchError
from zoo.nets.lraspp import LRASPP
from zoo.registry import create_model


def build(in_channels: int = 3, weights: str | None = None, num_classes: int = 2) -> LRASPP:
    network = create_model("lraspp", in_channels, num_classes, weights=weights)
    assert isinstance(network, LRASPP)
    return network.eval()


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = build()
    # MobileNetV3-Large has 5,483,032, of which 2,511,080 are its classifier's.
    assert count(network.encoder) == 5_483_032 - (961 * 1280 + 1281 * 1000)
    # Two branches of 960 to 128, one with batch norm; logits of 40 and of 128 channels.
    assert count(network.head) == 960 * 128 + 256 + 960 * 128 + 41 * 2 + 129 * 2


def test_published_count() -> None:
    stated = LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1.meta["num_params"]
    with torch.device("meta"):
        assert count(build(num_classes=21)) == stated == 3_221_538


def test_it_gives_what_torchvision_gives() -> None:
    torch.manual_seed(0)
    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2).eval()
    ours = build()
    ours.encoder.load_state_dict(theirs.backbone.state_dict())
    ours.head.load_state_dict(theirs.classifier.state_dict())
    image = torch.randn(1, 3, 50, 77)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image)["out"])


def test_channels_and_sizes_of_the_scales() -> None:
    with torch.device("meta"):
        maps = build().encoder(torch.zeros(1, 3, 128, 64))
    assert maps["low"].shape == (1, 40, 16, 8)
    assert maps["high"].shape == (1, 960, 8, 4)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Weights that stand in for the downloaded ones."""
    torch.manual_seed(1)
    weights = mobilenet_v3_large().state_dict()
    monkeypatch.setattr(MobileNet_V3_Large_Weights, "get_state_dict", lambda *_, **__: weights)
    return weights


def test_imagenet_weights_reach_the_encoder(state: dict[str, Tensor]) -> None:
    ours = build(weights="imagenet").encoder.state_dict()
    kept = {name: each for name, each in state.items() if name.startswith("features.")}
    torch.testing.assert_close({f"features.{name}": each for name, each in ours.items()}, kept)


def test_one_channel_responds_as_grey_in_three(state: dict[str, Tensor]) -> None:
    grey = torch.randn(1, 1, 32, 32)
    one = build(1, "imagenet").encoder["0"](grey)
    three = build(3, "imagenet").encoder["0"](grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-5)


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> dict[str, Tensor]:
        raise URLError("no route to host")

    monkeypatch.setattr(MobileNet_V3_Large_Weights, "get_state_dict", offline)
    with pytest.raises(CovbenchError) as caught:
        build(weights="imagenet")
    assert MobileNet_V3_Large_Weights.IMAGENET1K_V1.url in caught.value.remedy


def test_unknown_weights() -> None:
    with pytest.raises(CovbenchError, match="imagnet"):
        build(weights="imagnet")
