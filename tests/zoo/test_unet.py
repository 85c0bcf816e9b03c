"""U-Net and Attention U-Net as Table III of MiniSeg counts them."""

from __future__ import annotations

import pytest
import torch

from zoo.nets.attention_unet import AttentionGate
from zoo.nets.unet import UNet


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
    gate = AttentionGate(8, 4).eval()
    skip, signal = torch.rand(1, 8, 6, 6) + 0.5, torch.randn(1, 4, 6, 6)
    weight = gate(skip, signal) / skip
    assert torch.allclose(weight, weight[:, :1].expand_as(weight))  # one weight for all channels
    assert bool((weight > 0).all()) and bool((weight < 1).all())
    assert not torch.allclose(gate(skip, signal), gate(skip, -signal))
