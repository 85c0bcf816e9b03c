"""MobileNetV2 under MiniSeg's decoder, and that decoder under the other encoders' widths."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
from torch import Tensor
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from zoo.errors import CovbenchError
from zoo.miniseg_blocks import MiniSegDecoder
from zoo.nets.mobilenetv2_miniseg import CHANNELS, MobileNetV2Encoder
from zoo.pretrained import fit_channels, imagenet_weights
from zoo.registry import create_model, get_card


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_of_the_row_and_of_the_encoder_that_was_printed() -> None:
    network = create_model("mobilenetv2-miniseg")
    assert count(network) == get_card("mobilenetv2-miniseg").params == 2_366_114
    encoder = count(network.encoder)
    assert encoder == 2_223_872
    assert f"{encoder / 1024 / 1000:.2f}M" == "2.17M"


def test_encoder_gives_its_five_scales() -> None:
    maps = MobileNetV2Encoder(3, None).eval()(torch.randn(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (width, 64 // 2**i, 96 // 2**i) for i, width in enumerate(CHANNELS, start=1)
    ]


@pytest.mark.parametrize(
    ("channels", "params"),
    [
        pytest.param((64, 128, 256, 512, 1024), 1_067_650, id="MobileNet"),
        pytest.param((16, 24, 32, 96, 1280), 142_242, id="MobileNetv2"),
        pytest.param((16, 24, 48, 96, 576), 78_242, id="MobileNetv3"),
        pytest.param((24, 240, 480, 960), 888_242, id="ShuffleNet"),
        pytest.param((24, 116, 232, 1024), 344_098, id="ShuffleNetv2"),
    ],
)
def test_size_of_the_decoder(channels: tuple[int, ...], params: int) -> None:
    assert count(MiniSegDecoder(channels, 2)) == params


def test_decoder_takes_two_maps_of_one_size() -> None:
    decoder = MiniSegDecoder((8, 16, 24), 2)
    maps = [torch.randn(2, 8, 12, 10), torch.randn(2, 16, 6, 5), torch.randn(2, 24, 6, 5)]
    assert decoder(maps, (47, 40)).shape == (2, 2, 47, 40)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Weights that stand in for the downloaded ones."""
    torch.manual_seed(1)
    weights = mobilenet_v2().state_dict()
    monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", lambda *_, **__: weights)
    return weights


def test_imagenet_weights_reach_the_encoder(state: dict[str, Tensor]) -> None:
    loaded = MobileNetV2Encoder(3, "imagenet")
    features = {k: v for k, v in state.items() if k.startswith("features.")}
    assert len(loaded.state_dict()) == len(features)
    for ours, theirs in zip(loaded.state_dict().values(), features.values(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_one_channel_responds_as_grey_in_three(state: dict[str, Tensor]) -> None:
    grey = torch.randn(2, 1, 64, 64)
    one = MobileNetV2Encoder(1, "imagenet").eval()(grey)
    three = MobileNetV2Encoder(3, "imagenet").eval()(grey.expand(-1, 3, -1, -1))
    for ours, theirs in zip(one, three, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_channels_share_the_response_to_a_constant_image(channels: int) -> None:
    filters = torch.rand(1, 1, 3, 3).expand(8, 3, 3, 3)
    fitted = fit_channels(filters, channels)
    assert fitted.shape == (8, channels, 3, 3)
    torch.testing.assert_close(fitted.sum((1, 2, 3)), filters.sum((1, 2, 3)))


@pytest.mark.parametrize("failure", [URLError("no route"), RuntimeError("invalid hash value")])
def test_weights_that_cannot_be_had_are_an_error_with_a_remedy(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", fail)
    with pytest.raises(CovbenchError) as caught:
        create_model("mobilenetv2-miniseg", weights="imagenet")
    assert "MobileNet_V2_Weights.IMAGENET1K_V1" in caught.value.problem
    assert "mobilenet_v2-b0353104.pth" in caught.value.remedy


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(CovbenchError, match="Did you mean imagenet"):
        imagenet_weights("image-net", MobileNet_V2_Weights.IMAGENET1K_V1)
