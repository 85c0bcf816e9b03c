"""U-Net and Attention U-Net on VGG16, rows of CHS-Net's Table 3."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VGG16_BN_Weights, vgg16_bn

from zoo.nets.attention_unet import AttentionGate
from zoo.registry import create_model


def build(name: str, **options: str) -> Any:
    return create_model(name, **options)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "printed"), [("unet-vgg16", "21.7"), ("attention-unet-vgg16", "22.0")]
)
def test_size_is_the_printed_one(name: str, printed: str) -> None:
    with torch.device("meta"):
        network = build(name)
    assert f"{count(network) / 1e6:.1f}" == printed
    # The thirteen convolutions of VGG16 and their batch norms.
    assert count(network.encoder) == 14_714_688 + 2 * 4_224


def test_open_gates_make_it_the_unet() -> None:
    torch.manual_seed(0)
    network = build("attention-unet-vgg16").eval()
    image = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        gated = network(image)
        for gate in network.gates:
            assert isinstance(gate, AttentionGate)
            norm = gate.weight[1]
            norm.weight.zero_()
            norm.bias.fill_(100)
        opened = network(image)
        network.skip = lambda level, encoded, upsampled: encoded
        torch.testing.assert_close(opened, network(image))
    assert not torch.allclose(gated, opened)


def test_imagenet_weights_reach_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        names = vgg16_bn().state_dict()
    weights = {
        name: torch.full(each.shape, i / 100) for i, (name, each) in enumerate(names.items())
    }
    monkeypatch.setattr(VGG16_BN_Weights, "get_state_dict", lambda *_, **__: weights)
    ours: dict[str, Tensor] = build("unet-vgg16", weights="imagenet").encoder.state_dict()
    theirs = [each for name, each in weights.items() if name.startswith("features.")]
    assert len(ours) == len(theirs)
    for one, other in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(one, other.to(one.dtype))
