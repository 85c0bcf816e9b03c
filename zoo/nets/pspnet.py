"""PSPNet: 65,571,395 parameters with 3 input channels and 2 classes.

Paper: Zhao et al., "Pyramid Scene Parsing Network", arXiv 1612.01105. It stands for the row PSPNet
of MiniSeg's Table III. The row's counts tell what the paper leaves open: ResNet-101 with the plain
7x7 stem, output stride 8, the stride in the first 1x1 convolution of a block (torchvision puts it
in the 3x3 one), rates 2 and 4 in every block of the last two stages, max pooling that rounds up
(512 pixels become 65), no batch normalisation in the pyramid's branches, a fusing 3x3 convolution
with bias and without padding (65 become 63), a PReLU of one parameter behind it, and no auxiliary
head. Logits are resized from there to the image without aligned corners, which keeps the middle of
the image in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.backbones import ResNetEncoder, resnet
from zoo.blocks import resize
from zoo.registry import register_model


def backbone(in_channels: int, weights: str | None) -> ResNetEncoder:
    """Torchvision's ResNet-101 of output stride 8 with the strides and rates of PSPNet's."""
    encoder = resnet(101, in_channels, weights, output_stride=8)
    layers: Any = encoder
    layers.maxpool.ceil_mode = True
    halving = layers.layer2[0]
    halving.conv1.stride, halving.conv2.stride = (2, 2), (1, 1)
    # torchvision's first block of a dilated stage still has the rate of the stage before.
    for first, rate in ((layers.layer3[0], 2), (layers.layer4[0], 4)):
        first.conv2.dilation = first.conv2.padding = (rate, rate)
    return encoder


class PyramidPooling(nn.Module):
    """Means over grids of several sizes, projected and laid beside the map itself.

    Args:
        in_channels: Channels in; twice as many come out.
        bins: Rows, and columns, of every grid.
    """

    def __init__(self, in_channels: int, bins: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(size),
                nn.Conv2d(in_channels, in_channels // len(bins), 1, bias=False),
            )
            for size in bins
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, 2 * in_channels, H, W)` at the size of `x`, the coarsest level first."""
        size = (x.shape[-2], x.shape[-1])
        return torch.cat([*(resize(level(x), size) for level in self.levels), x], dim=1)


class PSPNet(nn.Module):
    """ResNet-101 of output stride 8 under a pyramid of 1, 2, 3 and 6 bins.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = backbone(in_channels, weights)
        self.head = nn.Sequential(
            PyramidPooling(2048, (1, 2, 3, 6)),
            nn.Conv2d(4096, 512, 3),
            nn.BatchNorm2d(512),
            nn.PReLU(),
            nn.Dropout2d(0.1),
            nn.Conv2d(512, num_classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        return resize(self.head(self.encoder(x)), (x.shape[-2], x.shape[-1]))


@register_model(
    "pspnet",
    paper="Pyramid Scene Parsing Network",
    reference="arXiv 1612.01105",
    year=2016,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/PSPNet",),
    overfit_steps=200,
    params=65_571_395,
    macs=257_308_279_808,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="No auxiliary head. The implementation behind the table row froze the scales and shifts "
    "of the backbone's batch norms (105,344 parameters with requires_grad False); here all "
    "parameters are trained. The ImageNet weights fit by shape, but were trained with the stride "
    "in the 3x3 convolutions and pooling that rounds down.",
)
def pspnet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """PSPNet on ResNet-101 at output stride 8.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return PSPNet(in_channels, num_classes, weights)
