"""Fast-SCNN: 1,135,602 parameters with 3 input channels and 2 classes.

Paper: Poudel et al., "Fast-SCNN: Fast Semantic Segmentation Network", arXiv 1902.04502. Three
strided layers to 1/8 of the size, shared by both branches; inverted residuals to 1/32 with pyramid
pooling; their sum with the map at 1/8; two separable convolutions and a classifier.

What the paper leaves open: the pyramid's grids are PSPNet's 1, 2, 3 and 6, with a quarter of the
channels each, joined with their input; batch norm follows every convolution but the classifier,
and then there is no bias; between the halves of a separable convolution there is no ReLU. The two
auxiliary losses of the paper's training have heads that it does not describe; they are left out. An
odd size is rounded up where it is halved, so that any size will do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

GRIDS = (1, 2, 3, 6)
"""Sides of the pyramid's grids."""
EXPANSION = 6
"""How many times wider an inverted residual is inside."""


def separable(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 convolution without activation and a pointwise one with ReLU."""
    return nn.Sequential(
        ConvBNAct(in_channels, in_channels, stride=stride, groups=in_channels, act=None),
        ConvBNAct(in_channels, out_channels, 1),
    )


class InvertedResidual(nn.Module):
    """1x1 up, depthwise 3x3, 1x1 down without ReLU; added where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        wide = EXPANSION * in_channels
        self.branch = nn.Sequential(
            ConvBNAct(in_channels, wide, 1),
            ConvBNAct(wide, wide, stride=stride, groups=wide),
            ConvBNAct(wide, out_channels, 1, act=None),
        )
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """A map of `out_channels`, smaller by the stride."""
        out = self.branch(x)
        return x + out if self.adds else out


def residuals(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Three inverted residuals, the first of the stride."""
    return nn.Sequential(
        InvertedResidual(in_channels, out_channels, stride),
        InvertedResidual(out_channels, out_channels, 1),
        InvertedResidual(out_channels, out_channels, 1),
    )


class PyramidPooling(nn.Module):
    """Means over ever finer grids, beside the map itself; channels stay."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        part = channels // len(GRIDS)
        self.grids = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), ConvBNAct(channels, part, 1))
            for side in GRIDS
        )
        self.fuse = ConvBNAct(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        size = (x.shape[-2], x.shape[-1])
        return self.fuse(torch.cat([x, *(resize(grid(x), size) for grid in self.grids)], dim=1))


class FeatureFusion(nn.Module):
    """The sum of both branches at the finer one's size (table 3 of the paper)."""

    def __init__(self, fine: int, coarse: int, channels: int) -> None:
        super().__init__()
        self.fine = ConvBNAct(fine, channels, 1, act=None)
        self.coarse = nn.Sequential(
            ConvBNAct(coarse, coarse, dilation=4, groups=coarse),
            ConvBNAct(coarse, channels, 1, act=None),
        )

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Maps `(N, channels, H, W)` at the size of `fine`."""
        coarse = resize(coarse, (fine.shape[-2], fine.shape[-1]))
        return functional.relu(self.fine(fine) + self.coarse(coarse))


class FastSCNN(nn.Module):
    """Fast-SCNN.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        dropout: Rate at which values are dropped before the classifier.
    """

    def __init__(self, in_channels: int, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.shared = nn.Sequential(
            ConvBNAct(in_channels, 32, stride=2),
            separable(32, 48, stride=2),
            separable(48, 64, stride=2),
        )
        self.context = nn.Sequential(
            residuals(64, 64, 2), residuals(64, 96, 2), residuals(96, 128, 1), PyramidPooling(128)
        )
        self.fusion = FeatureFusion(64, 128, 128)
        self.head = nn.Sequential(
            separable(128, 128),
            separable(128, 128),
            nn.Dropout(dropout),
            nn.Conv2d(128, num_classes, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        fine = self.shared(image)
        x = self.head(self.fusion(fine, self.context(fine)))
        return resize(x, (image.shape[-2], image.shape[-1]))


@register_model(
    "fast-scnn",
    paper="Fast-SCNN: Fast Semantic Segmentation Network",
    reference="arXiv 1902.04502",
    year=2019,
    tags=("modern", "lightweight"),
    params=1_135_602,
    macs=829_972_480,
    batch1=False,
    notes="Written from the paper, without its auxiliary heads. The means over a whole map are "
    "single pixels, which batch norm can't train on in a batch of one.",
    published="The paper prints 1.11M for the 19 classes of Cityscapes; with them this network has "
    "1,137,795, of which 23,680 are those of batch norm. Without these it has 1,114,115: the paper "
    "is taken to leave them out.",
)
def fast_scnn(in_channels: int, num_classes: int, *, dropout: float = 0.1) -> nn.Module:
    """Fast-SCNN of arXiv 1902.04502.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        dropout: Rate at which values are dropped before the classifier.

    Returns:
        The network.
    """
    return FastSCNN(in_channels, num_classes, dropout=dropout)
