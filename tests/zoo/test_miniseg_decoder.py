"""The open pattern `miniseg-decoder:<encoder>`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from zoo.contract import check_model
from zoo.errors import CovbenchError, WeightsUnavailable
from zoo.nets import miniseg_decoder
from zoo.registry import create_model, get_card, patterns
from zoo.selection import list_models, select

PREFIX = "miniseg-decoder:"


@pytest.mark.parametrize(
    ("encoder", "channels"),
    [
        ("resnet18", [64, 64, 128, 256, 512]),
        ("vgg11", [128, 256, 512, 512, 512]),
        ("mit_b0", [32, 64, 160, 256]),
        ("tu-convnext_atto", [40, 80, 160, 320]),
        ("tu-res2net50_26w_4s", [64, 256, 512, 1024, 2048]),
        ("tu-mambaout_femto", [48, 96, 192, 288]),
        ("tu-swin_tiny_patch4_window7_224", [96, 192, 384, 768]),
    ],
)
def test_decoder_takes_all_scales_of_any_encoder(encoder: str, channels: list[int]) -> None:
    with torch.device("meta"):
        network: Any = create_model(PREFIX + encoder, 1, 4).eval()
    assert all(each.is_meta for each in network.parameters())
    assert network(torch.empty(2, 1, 352, 512, device="meta")).shape == (2, 4, 352, 512)
    assert [step.lateral[0].in_channels for step in network.decoder.steps] == channels[:-1]
    assert network.decoder.steps[-1].fuse.pointwise.in_channels == channels[-1]


# One of maps from a half on, one that gives its channels last, from a quarter on.
@pytest.mark.parametrize("encoder", ["resnet18", "tu-mambaout_femto"])
def test_networks_of_the_pattern_keep_the_contract(encoder: str) -> None:
    assert [result for result in check_model(PREFIX + encoder) if not result.passed] == []


def test_channels_that_come_last_are_turned() -> None:
    torch.manual_seed(0)
    network: Any = create_model(f"{PREFIX}tu-mambaout_femto").eval()
    image = torch.randn(1, 3, 64, 96)
    last = network.encoder.model(image)
    for ours, theirs in zip(network.encoder(image)[2:], last, strict=True):
        torch.testing.assert_close(ours, theirs.movedim(3, 1))


def test_the_card_of_the_pattern() -> None:
    card = get_card(f"{PREFIX}resnet18")
    assert (card.source, card.batch1, card.divisor, card.params) == ("pattern", True, 32, None)
    assert card.options == {"weights": None}
    assert get_card(f"{PREFIX}tu-resnest14d").batch1 is False
    assert patterns()[PREFIX].form == "miniseg-decoder:<encoder>"
    assert card.name not in list_models("all")


def test_one_network_has_one_name() -> None:
    names = f"{PREFIX}tu-convnext_atto,{PREFIX}convnext_atto"
    assert list_models(names) == [f"{PREFIX}tu-convnext_atto"]


@pytest.mark.parametrize(
    ("encoder", "problem"),
    [
        ("resnet43", "Unknown SMP or timm encoder 'resnet43'.\nDid you mean resnet34"),
        ("tu-convnext_tny", "Did you mean tu-convnext_tiny"),
        ("", "is not of the form miniseg-decoder:<encoder>"),
    ],
)
def test_mistakes_in_a_name(encoder: str, problem: str) -> None:
    with pytest.raises(CovbenchError) as caught:
        select(PREFIX + encoder)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("encoder", "problem"),
    [
        ("tu-vit_tiny_patch16_224", "MiniSeg's decoder can't be built on tu-vit_tiny_patch16_224"),
        ("tu-coat_tiny", "tu-coat_tiny does not take images of any size"),
    ],
)
def test_what_does_not_suit_is_said_in_two_lines(encoder: str, problem: str) -> None:
    with pytest.raises(CovbenchError) as caught, torch.device("meta"):
        create_model(PREFIX + encoder)
    first, second = str(caught.value).splitlines()
    assert problem in first and second == "Choose another encoder."


def test_maps_in_another_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Last(nn.Module):
        out_channels = (3, 8, 16)

        def forward(self, x: Tensor) -> list[Tensor]:
            return [x, x.new_empty(1, 32, 80, 8), x.new_empty(1, 16, 40, 16)]

    monkeypatch.setattr(miniseg_decoder, "_encoder", lambda *_, **__: Last())
    with pytest.raises(CovbenchError, match=r"resnet18 gives maps of \(32, 16\) channels"):
        miniseg_decoder._channels.__wrapped__("resnet18")


@pytest.mark.parametrize(
    ("encoder", "told"), [("resnet18", "imagenet"), ("tu-convnext_atto", True)]
)
def test_weights_reach_the_library(
    encoder: str, told: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    import segmentation_models_pytorch.encoders as library

    seen: list[object] = []
    real = library.get_encoder

    def get_encoder(name: str, weights: object, **options: Any) -> nn.Module:
        seen.append(weights)
        made: nn.Module = real(name, weights=None, **options)
        return made

    monkeypatch.setattr(library, "get_encoder", get_encoder)
    create_model(PREFIX + encoder, weights="imagenet")
    assert seen[-1] == told
    with torch.device("meta"):
        create_model(PREFIX + encoder, weights="imagenet")
    assert seen[-1] is None


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    import segmentation_models_pytorch.encoders as library

    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(library, "hf_hub_download", offline)
    with pytest.raises(WeightsUnavailable, match="The imagenet weights of resnet18"):
        create_model(f"{PREFIX}resnet18", weights="imagenet")
    with pytest.raises(CovbenchError, match="Did you mean imagenet"):
        create_model(f"{PREFIX}resnet18", weights="imagnet")


def test_weights_from_a_file_are_the_encoders(tmp_path: Path) -> None:
    name = f"{PREFIX}tu-convnext_atto"
    encoder = create_model(name).get_submodule("encoder").state_dict()
    save_file(encoder, tmp_path / "mine.safetensors")
    loaded = create_model(name, weights=str(tmp_path / "mine.safetensors"))
    torch.testing.assert_close(dict(loaded.get_submodule("encoder").state_dict()), dict(encoder))
