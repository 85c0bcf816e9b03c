"""BiSeNet: 12,795,394 parameters with 3 input channels and 2 classes.

Paper: Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation",
arXiv 1808.00897. It stands for the row BiSeNet of MiniSeg's Table III, whose count tells a
ResNet-18 as context path and no auxiliary heads. Its attention weights pass a ReLU before the
sigmoid, as the count of batch norms and the code behind the row have it, hence lie between a half
and one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

CONTEXT = 128
"""Channels of the context path behind the ResNet."""


class AttentionRefinement(nn.Module):
    """3x3 convolution whose channels are weighed by their own means (ARM)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = ConvBNAct(in_channels, CONTEXT)
        self.weigh = nn.Sequential(ConvBNAct(CONTEXT, CONTEXT, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, 128, H, W)`."""
        x = self.conv(x)
        return x * self.weigh(x.mean((2, 3), keepdim=True))


class FeatureFusion(nn.Module):
    """Joins both paths, and adds the join weighed by its channels' means (FFM)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = ConvBNAct(channels, channels, 1)
        self.weigh = nn.Sequential(
            ConvBNAct(channels, channels // 4, 1),
            ConvBNAct(channels // 4, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        """A map of the channels of both together."""
        x = self.join(torch.cat([spatial, context], dim=1))
        return x + x * self.weigh(x.mean((2, 3), keepdim=True))


class BiSeNet(nn.Module):
    """A spatial path at an eighth of the size, and a context path that goes deep."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            ConvBNAct(in_channels, 64, 7, stride=2),
            ConvBNAct(64, 64, stride=2),
            ConvBNAct(64, 64, stride=2),
            ConvBNAct(64, CONTEXT, 1),
        )
        self.encoder = resnet(18, in_channels, weights)
        self.whole = ConvBNAct(512, CONTEXT, 1)
        # From the deepest map to the one above it.
        self.attention = nn.ModuleList(AttentionRefinement(channels) for channels in (512, 256))
        self.refine = nn.ModuleList(ConvBNAct(CONTEXT, CONTEXT) for _ in self.attention)
        self.fuse = FeatureFusion(2 * CONTEXT)
        self.head = nn.Sequential(
            ConvBNAct(2 * CONTEXT, 64), nn.Dropout(0.1), nn.Conv2d(64, num_classes, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        spatial = self.spatial(image)
        _, eighth, sixteenth, deepest = self.encoder.maps(image)
        x = self.whole(deepest.mean((2, 3), keepdim=True))
        targets = (sixteenth, eighth)
        for attend, refine, source, target in zip(
            self.attention, self.refine, (deepest, sixteenth), targets, strict=True
        ):
            own = attend(source)
            x = own + resize(x, (own.shape[-2], own.shape[-1]))
            x = refine(resize(x, (target.shape[-2], target.shape[-1])))
        return resize(self.head(self.fuse(spatial, x)), (image.shape[-2], image.shape[-1]))


@register_model(
    "bisenet",
    paper="BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation",
    reference="arXiv 1808.00897",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/BiSeNet",),
    params=12_795_394,
    macs=12_961_054_720,
    encoder="encoder",
    weights="torchvision ResNet18_Weights.IMAGENET1K_V1, BSD-3-Clause",
    batch1=False,
    notes="Without the paper's auxiliary heads, as the row's count tells.",
)
def bisenet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """BiSeNet on ResNet-18, without auxiliary heads."""
    return BiSeNet(in_channels, num_classes, weights)
