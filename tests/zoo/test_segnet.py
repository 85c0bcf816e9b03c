"""SegNet under both of its names: size by part, unpooling, ImageNet weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VGG16_BN_Weights, vgg16_bn

from results.published import published_table
from zoo.nets.segnet import SegNet
from zoo.registry import create_model, get_card


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = SegNet(3, 2, None)
    assert [count(part) for part in network.children()] == [14_723_136, 14_719_872, 1_154]
    assert network.head.bias is not None


def test_decoder_sees_values_where_the_encoder_had_its_maxima_and_zero_elsewhere() -> None:
    torch.manual_seed(0)
    network = SegNet(1, 2, None).eval()
    encoded: list[Tensor] = []
    unpooled: list[Tensor] = []
    for encode, decode in zip(network.encoder, network.decoder, strict=True):
        encode.register_forward_hook(lambda _, __, output: encoded.append(output))
        decode.register_forward_pre_hook(lambda _, args: unpooled.append(args[0]))
    with torch.no_grad():
        assert network(torch.randn(1, 1, 70, 53)).shape == (1, 2, 70, 53)
    for before, after in zip(encoded, reversed(unpooled), strict=True):
        assert before.shape == after.shape
        _, places = F.max_pool2d(before, 2, return_indices=True)
        taken = torch.zeros_like(before).flatten(2).scatter(2, places.flatten(2), 1.0)
        assert after.any()
        assert not after.flatten(2)[taken == 0].any()


@pytest.mark.parametrize("name", ["segnet", "segnet-vgg16"])
def test_imagenet_weights_reach_the_encoder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    with torch.device("meta"):
        shapes = vgg16_bn().state_dict()
    state = {
        key: (torch.zeros if key.startswith("classifier") else torch.randn)(each.shape)
        for key, each in shapes.items()
    }
    monkeypatch.setattr(VGG16_BN_Weights, "get_state_dict", lambda *_, **__: state)
    network: Any = create_model(name, weights="imagenet")
    ours = [each for each in network.encoder.modules() if isinstance(each, nn.Conv2d)]
    theirs = [each for key, each in state.items() if key.startswith("features") and each.ndim == 4]
    assert len(ours) == len(theirs) == 13
    for layer, weight in zip(ours, theirs, strict=True):
        assert torch.equal(layer.weight, weight)


@pytest.mark.parametrize("classes", [1, 2])
def test_row_of_chsnet_has_the_printed_size(classes: int) -> None:
    rows = {row["network"]: row for row in published_table("chsnet-table3").rows}
    with torch.device("meta"):
        params = count(create_model("segnet-vgg16", 3, classes))
    assert f"{params / 1e6:.1f}M" == rows["segnet-vgg16"]["parameters_printed"]
    assert get_card("segnet-vgg16").rows == (f"chsnet-table3/{rows['segnet-vgg16']['model']}",)
