"""U-Net with VGG16 as encoder: 21,689,762 parameters with 3 input channels and 2 classes.

Paper: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", arXiv 1505.04597; encoder: "Very Deep Convolutional Networks for Large-Scale Image
Recognition", arXiv 1409.1556. It stands for the row U-Net+VGG16 of CHS-Net's Table 3, which prints
21.7 million and nothing else of the network.

Chosen to meet that: VGG16's thirteen convolutions, with batch norm; the last scale, 1/16 of the
size, is the bottom. Each step up is a 2x2 transposed convolution that halves the channels, as in
the U-Net; behind the skip connection one 3x3 convolution has the width of the encoder's scale, a
second one half of it. Two convolutions of the whole width and a transposed convolution to it would
give 25.9 million, half of that width throughout 18.6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.backbones import vgg16_scales
from zoo.blocks import ConvBNAct
from zoo.registry import register_model

WIDTHS = (64, 128, 256, 512)
"""Channels of VGG16's scales that have a skip connection, from the full resolution down."""


class VGG16UNet(nn.Module):
    """The encoder and decoder that U-Net and Attention U-Net on VGG16 share.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = vgg16_scales(in_channels, weights)
        self.pool = nn.MaxPool2d(2)
        # What comes from below has the width of the skip connection at every level: the bottom is
        # as wide as the scale above it, and a level hands on half of its own.
        self.up = nn.ModuleList(nn.ConvTranspose2d(c, c // 2, 2, stride=2) for c in WIDTHS)
        self.decoder = nn.ModuleList(
            nn.Sequential(ConvBNAct(c // 2 + c, c), ConvBNAct(c, c // 2)) for c in WIDTHS
        )
        self.head = nn.Conv2d(WIDTHS[0] // 2, num_classes, 1)

    def skip(self, level: int, encoded: Tensor, upsampled: Tensor) -> Tensor:
        """What the decoder of a level gets from the encoder: here all of it."""
        return encoded

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)` of an image whose sides are multiples of 16."""
        skips: list[Tensor] = []
        for scale in self.encoder:
            x = scale(self.pool(x) if skips else x)
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.up[level](x)
            x = self.decoder[level](torch.cat((self.skip(level, skips[level], x), x), dim=1))
        return self.head(x)


@register_model(
    "unet-vgg16",
    paper="U-Net: Convolutional Networks for Biomedical Image Segmentation",
    reference="arXiv 1505.04597; encoder: arXiv 1409.1556",
    year=2015,
    tags=("chsnet-table3",),
    rows=("chsnet-table3/U-Net+VGG16",),
    params=21_689_762,
    macs=159_651_987_456,
    encoder="encoder",
    weights="torchvision VGG16_BN_Weights.IMAGENET1K_V1, BSD-3-Clause",
    divisor=16,
    notes="The row tells the encoder and a rounded size, no more; the decoder was chosen to fit, "
    "others would too.",
    published="CHS-Net prints 21.7M, as built.",
)
def unet_vgg16(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """U-Net on VGG16 with batch norm.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return VGG16UNet(in_channels, num_classes, weights)
