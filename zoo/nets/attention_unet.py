"""Attention U-Net: 34,878,638 parameters with 3 input channels and 2 classes.

Paper: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", arXiv 1804.03999.
It stands for the row Attention U-Net of MiniSeg's Table III. That row's count is met by the U-Net
of `zoo.nets.unet` with a gate on each of its four skips. The paper gates by the coarser map and
resamples; here the gate's signal is the decoder's map after its upsampling, at the skip's size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.nets.unet import UNet
from zoo.registry import register_model


class AttentionGate(nn.Module):
    """The additive gate: a weight between 0 and 1 for every pixel of a skip.

    Args:
        channels: Channels of the skip.
        signal: Channels of the signal that gates it.
    """

    def __init__(self, channels: int, signal: int) -> None:
        super().__init__()
        inner = channels // 2
        self.encoded = ConvBNAct(channels, inner, 1, bias=True, act=None)
        self.signal = ConvBNAct(signal, inner, 1, bias=True, act=None)
        self.act = nn.ReLU(inplace=True)
        self.weight = ConvBNAct(inner, 1, 1, bias=True, act=None)

    def forward(self, encoded: Tensor, signal: Tensor) -> Tensor:
        """The skip `(N, channels, H, W)`, weighted."""
        weight = self.weight(self.act(self.encoded(encoded) + self.signal(signal)))
        return encoded * torch.sigmoid(weight)


class AttentionUNet(UNet):
    """U-Net whose skips pass additive attention gates.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.gates = nn.ModuleList(AttentionGate(width, width) for width in (64, 128, 256, 512))

    def skip(self, level: int, encoded: Tensor, upsampled: Tensor) -> Tensor:
        """The skip of a level, gated by the upsampled map of the decoder."""
        return self.gates[level](encoded, upsampled)


@register_model(
    "attention-unet",
    paper="Attention U-Net: Learning Where to Look for the Pancreas",
    reference="arXiv 1804.03999",
    year=2018,
    tags=("demo", "miniseg-table3"),
    rows=("miniseg-table3/Attention U-Net",),
    params=34_878_638,
    macs=265_716_498_432,
    divisor=16,
    notes="The gate's signal is the decoder's map after its upsampling, as the table's count "
    "tells.",
)
def attention_unet(in_channels: int, num_classes: int) -> nn.Module:
    """U-Net with 64 to 1024 channels and a gate on each skip."""
    return AttentionUNet(in_channels, num_classes)
