from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from zoo.contract import check_model
from zoo.errors import CovbenchError
from zoo.registry import create_model, get_card, patterns
from zoo.selection import list_models, select

NAMED = [
    "smp:deeplabv3plus/resnet50",
    "smp:fpn/resnet34",
    "smp:segformer/mit_b0",
    "smp:unet/resnet34",
    "smp:unetplusplus/resnet34",
]


def test_five_are_named_and_in_all() -> None:
    assert list_models("smp:*") == NAMED
    assert set(NAMED) <= set(list_models("all")) & set(list_models("@demo"))
    assert patterns()["smp:"].form == "smp:<architecture>/<encoder>"


@pytest.mark.parametrize(
    "name",
    [
        "smp:linknet/resnet18",
        "smp:unet/tu-mobilenetv3_small_050",
        "smp:segformer/mit_b0",
        "smp:unet/tu-swin_tiny_patch4_window7_224",
        "smp:dpt/tu-vit_tiny_patch16_224",
    ],
)
@pytest.mark.parametrize("size", [(96, 96), (352, 512)])
def test_any_architecture_takes_any_encoder_at_any_size(name: str, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        model = create_model(name, 1, 4).eval()
    assert all(each.is_meta for each in model.parameters())
    assert model(torch.empty(2, 1, *size, device="meta")).shape == (2, 4, *size)


@pytest.mark.parametrize("name", ["smp:pan/resnet18", "smp:pspnet/tu-skresnet18"])
def test_networks_of_the_pattern_keep_the_contract(name: str) -> None:
    assert [result for result in check_model(name) if not result.passed] == []


def test_the_card_of_the_pattern() -> None:
    card = get_card("smp:upernet/resnet18")
    assert (card.source, card.batch1, card.divisor, card.params) == ("pattern", False, 32, None)
    assert card.paper == "Unified Perceptual Parsing for Scene Understanding"
    assert card.options == {"weights": None}
    assert get_card("smp:unet/tu-resnest14d").batch1 is False
    assert card.name not in list_models("all")


def test_one_network_has_one_name() -> None:
    names = "smp:unet/tu-convnext_atto,smp:unet/convnext_atto"
    assert list_models(names) == ["smp:unet/tu-convnext_atto"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("smp:unett/resnet34", "Unknown SMP architecture 'unett'.\nDid you mean unet"),
        ("smp:unet/resnet43", "Unknown SMP or timm encoder 'resnet43'.\nDid you mean resnet34"),
        ("smp:unet/tu-convnext_tny", "Did you mean tu-convnext_tiny"),
        ("smp:unet/tu-convnext_tiny.x", "Unknown weights tag of convnext_tiny 'x'"),
        ("smp:unet", "is not of the form smp:<architecture>/<encoder>"),
        ("smp:unet/", "is not of the form"),
        ("smp:dpt/resnet34", "needs a vision transformer of timm"),
    ],
)
def test_mistakes_in_a_name(name: str, problem: str) -> None:
    with pytest.raises(CovbenchError) as caught:
        select(name)
    assert problem in str(caught.value)


def test_what_does_not_fit_together_is_said_in_two_lines() -> None:
    with pytest.raises(CovbenchError, match="unet can't be built on tu-vit_tiny_patch16_224: "):
        create_model("smp:unet/tu-vit_tiny_patch16_224")


@pytest.mark.parametrize(
    ("name", "weights", "listing"),
    [
        ("smp:unet/resnet34", "imagnet", "Did you mean imagenet"),
        ("smp:unet/tu-resnet18", "ssl", "All of them: imagenet"),
        ("smp:unet/tu-test_resnet", "imagnet", "Did you mean imagenet"),
    ],
)
def test_unknown_weights(name: str, weights: str, listing: str) -> None:
    with pytest.raises(CovbenchError, match=f"Unknown weights of .* '{weights}'") as caught:
        create_model(name, weights=weights)
    assert listing in str(caught.value)


def test_weights_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import segmentation_models_pytorch as smp

    seen: list[Any] = []

    def create(*args: Any, **kwargs: Any) -> torch.nn.Module:
        seen.append((*args, kwargs["encoder_weights"], kwargs["in_channels"], kwargs["classes"]))
        return torch.nn.Identity()

    monkeypatch.setattr(smp, "create_model", create)
    create_model("smp:unet/resnet34", 1, 4)
    create_model("smp:unet/resnet34", weights="imagenet")
    with torch.device("meta"):
        create_model("smp:unet/resnet34", weights="imagenet")
    assert seen == [
        ("unet", "resnet34", None, 1, 4),
        ("unet", "resnet34", "imagenet", 3, 2),
        ("unet", "resnet34", None, 3, 2),
    ]


def test_a_file_of_weights_fills_the_encoder_of_any_network(tmp_path: Path) -> None:
    torch.manual_seed(1)
    given = create_model("smp:unet/resnet18").get_submodule("encoder").state_dict()
    save_file(given, tmp_path / "encoder.safetensors")
    network = create_model("smp:fpn/resnet18", weights=str(tmp_path / "encoder.safetensors"))
    torch.testing.assert_close(dict(network.get_submodule("encoder").state_dict()), dict(given))


def test_a_failing_download_is_an_error_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    import segmentation_models_pytorch.encoders as encoders

    def offline(*args: Any, **kwargs: Any) -> str:
        raise ConnectionError("no route to host\nmore")

    monkeypatch.setattr(encoders, "hf_hub_download", offline)
    with pytest.raises(CovbenchError) as caught:
        create_model("smp:unet/resnet18", weights="imagenet")
    problem, remedy = str(caught.value).splitlines()
    reason = "ConnectionError: no route to host"
    assert problem == f"The imagenet weights of resnet18 can't be had: {reason}."
    assert "leave out [weights=...]" in remedy
