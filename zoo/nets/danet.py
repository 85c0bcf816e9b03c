"""DANet: 66,426,564 parameters with 3 input channels and 2 classes.

Paper: Fu et al., "Dual Attention Network for Scene Segmentation", arXiv 1809.02983. It stands for
the row DANet of MiniSeg's Table III, whose count tells a ResNet-101 at output stride 8 and no
heads on the two branches. Both branches start as the identity: their scales are zero at first.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

CHANNELS = 512


class PositionAttention(nn.Module):
    """Every pixel a mean of all pixels, by likeness (section 3.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Conv2d(CHANNELS, CHANNELS // 8, 1)
        self.key = nn.Conv2d(CHANNELS, CHANNELS // 8, 1)
        self.value = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        likeness = self.query(x).flatten(2).transpose(1, 2) @ self.key(x).flatten(2)
        mean = self.value(x).flatten(2) @ F.softmax(likeness, dim=-1).transpose(1, 2)
        return self.scale * mean.unflatten(2, (x.shape[-2], x.shape[-1])) + x


class ChannelAttention(nn.Module):
    """Every channel a mean of all channels, by unlikeness (section 3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        channels = x.flatten(2)
        likeness = channels @ channels.transpose(1, 2)
        shares = F.softmax(likeness.amax(dim=-1, keepdim=True) - likeness, dim=-1)
        return self.scale * (shares @ channels).unflatten(2, (x.shape[-2], x.shape[-1])) + x


class DANet(nn.Module):
    """A ResNet-101 of output stride 8 and two attention branches, added."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = resnet(101, in_channels, weights, output_stride=8)
        self.branches = nn.ModuleList(
            nn.Sequential(ConvBNAct(2048, CHANNELS), attention, ConvBNAct(CHANNELS, CHANNELS))
            for attention in (PositionAttention(), ChannelAttention())
        )
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Conv2d(CHANNELS, num_classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        x = self.encoder(image)
        position, channel = self.branches
        return resize(self.head(position(x) + channel(x)), (image.shape[-2], image.shape[-1]))


@register_model(
    "danet",
    paper="Dual Attention Network for Scene Segmentation",
    reference="arXiv 1809.02983",
    year=2019,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/DANet",),
    params=66_426_564,
    macs=287_041_388_544,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="Its attention holds a map of all pairs of pixels at an eighth of the size.",
)
def danet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DANet on ResNet-101 at output stride 8, without heads on its branches."""
    return DANet(in_channels, num_classes, weights)
