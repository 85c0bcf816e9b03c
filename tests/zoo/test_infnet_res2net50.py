"""Inf-Net on Res2Net-50, a row of CHS-Net's Table 3."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from zoo.nets import infnet_res2net50
from zoo.nets.infnet_res2net50 import EDGE, ReceptiveField, ReverseAttention, background
from zoo.registry import create_model


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_is_the_printed_one_with_what_is_left_out() -> None:
    with torch.device("meta"):
        network = create_model("infnet-res2net50", 3, 1)
        classifier = nn.Linear(2048, 1000)
        edge_map = nn.Conv2d(EDGE, 1, 3)
    assert count(network) + count(classifier) + count(edge_map) == 33_121_717


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_background_is_what_no_class_claims(classes: int) -> None:
    logits = torch.randn(2, classes, 5, 6, generator=torch.Generator().manual_seed(0))
    claimed = logits.sigmoid() if classes == 1 else logits.softmax(1)[:, 1:]
    expected = 1 - claimed.sum(1, keepdim=True)
    torch.testing.assert_close(background(logits), expected)


def test_reverse_attention_leaves_alone_what_is_found() -> None:
    torch.manual_seed(0)
    reverse = ReverseAttention(8, 4, (3, 3, 1), 2).eval()
    edge = torch.randn(1, EDGE, 12, 12)
    one, other = torch.randn(2, 1, 8, 6, 6)
    found = torch.tensor([-200.0, 200.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    torch.testing.assert_close(reverse(one, edge, found), reverse(other, edge, found))
    assert not torch.allclose(reverse(one, edge, -found), reverse(other, edge, -found))
    correction = reverse(one, edge, -found) - reverse(one, edge, -2 * found)
    torch.testing.assert_close(correction[:, 1], torch.full((1, 6, 6), 200.0))


def test_receptive_fields() -> None:
    field = ReceptiveField(8)
    dilations = [m.dilation[0] for m in field.modules() if isinstance(m, nn.Conv2d)]
    assert sorted(each for each in dilations if each > 1) == [3, 5, 7]


def test_the_last_reverse_attention_predicts() -> None:
    torch.manual_seed(0)
    network = create_model("infnet-res2net50").eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        alone = network(image)
        network.training = True  # the heads of training, the statistics of evaluation
        every = network(image)
    assert len(every) == 4
    torch.testing.assert_close(every[0], alone)
    assert not any(torch.allclose(each, alone) for each in every[1:])


@pytest.mark.parametrize("channels", [1, 3])
def test_imagenet_weights_reach_the_encoder(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    torch.manual_seed(1)
    weights: dict[str, Tensor] = timm.create_model("res2net50d").state_dict()
    monkeypatch.setattr(infnet_res2net50, "timm_weights", lambda *_: dict(weights))
    network: Any = create_model("infnet-res2net50", channels, weights="imagenet")
    ours = dict(network.encoder.state_dict())
    stem = ours.pop("conv1.0.weight")
    assert stem.shape[1] == channels
    torch.testing.assert_close(stem.sum(1), weights["conv1.0.weight"].sum(1))
    expected = {name: each for name, each in weights.items() if name in ours}
    torch.testing.assert_close(ours, expected)
    assert weights.keys() - ours.keys() == {"conv1.0.weight", "fc.weight", "fc.bias"}
