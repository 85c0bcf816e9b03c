"""U-Net and Attention U-Net as Table III of MiniSeg counts them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.nets.attention_unet import AttentionGate
from zoo.nets.unet import UNet
from zoo.registry import create_model, get_card

NAMES = ("unet", "attention-unet")


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "params", "printed"),
    [("unet", 34_527_106, "33.72M"), ("attention-unet", 34_878_638, "34.06M")],
)
def test_size_is_the_printed_one(name: str, params: int, printed: str) -> None:
    with torch.device("meta"):
        network = create_model(name)
    assert count(network) == get_card(name).params == params
    assert f"{params / 1000 / 1024:.2f}M" == printed


@pytest.mark.parametrize(("name", "printed"), [("unet", "261.92G"), ("attention-unet", "266.31G")])
def test_operations_are_the_printed_ones(name: str, printed: str) -> None:
    total = 0

    def add(module: nn.Module, _: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += out.numel() * (module.weight[0].numel() + (module.bias is not None))
        elif isinstance(module, nn.BatchNorm2d | nn.ReLU):
            total += out.numel()

    with torch.device("meta"):
        network = create_model(name).eval()
        for module in network.modules():
            module.register_forward_hook(add)
        network(torch.empty(1, 3, 512, 512))
    pools = sum(width * (512 >> level) ** 2 for level, width in enumerate((64, 128, 256, 512)))
    gates = sum(width // 2 * (512 >> level) ** 2 for level, width in enumerate((64, 128, 256, 512)))
    total += pools  # 2x2 windows, a quarter as many outputs
    total += gates if name == "attention-unet" else 0  # their ReLU
    assert f"{total / 1e9:.2f}G" == printed


@pytest.mark.parametrize("size", [(48, 32), (32, 64)])
def test_every_pixel_may_see_the_whole_of_a_small_image(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = UNet(1, 2, (4, 8, 16, 32, 64)).eval()
    x = torch.randn(1, 1, *size, requires_grad=True)
    network(x)[0, 1, 0, 0].backward()
    assert x.grad is not None
    assert bool((x.grad[0, 0, -1, :] != 0).any()) and bool((x.grad[0, 0, :, -1] != 0).any())


def test_gate_weighs_pixels_by_both_maps() -> None:
    torch.manual_seed(0)
    gate = AttentionGate(8).eval()
    skip, signal = torch.rand(1, 8, 6, 6) + 0.5, torch.randn(1, 8, 6, 6)
    weight = gate(skip, signal) / skip
    assert torch.allclose(weight, weight[:, :1].expand_as(weight))  # one weight for all channels
    assert bool((weight > 0).all()) and bool((weight < 1).all())
    assert not torch.allclose(gate(skip, signal), gate(skip, -signal))
