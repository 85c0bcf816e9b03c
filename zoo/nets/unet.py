"""U-Net: 34,527,106 parameters with 3 input channels and 2 classes.

Paper: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", arXiv 1505.04597. It stands for the row U-Net of MiniSeg's Table III. That row's
count is met by a common variant of the paper's network: padded convolutions with batch
normalisation, and an upsampling by nearest neighbours followed by a 3x3 convolution where the
paper has a 2x2 one (a transposed convolution would give 31.04 million).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.registry import register_model


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions with bias, batch normalisation and ReLU."""
    return nn.Sequential(
        ConvBNAct(in_channels, out_channels, bias=True),
        ConvBNAct(out_channels, out_channels, bias=True),
    )


class UNet(nn.Module):
    """The encoder and decoder that U-Net and Attention U-Net share.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        widths: Channels of every level, from the full resolution down.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
    ) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            double_conv(shallow, deep) for shallow, deep in pairwise((in_channels, *widths))
        )
        self.pool = nn.MaxPool2d(2)
        levels = list(pairwise(widths))
        self.up = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), ConvBNAct(deep, shallow, bias=True))
            for shallow, deep in levels
        )
        self.decoder = nn.ModuleList(double_conv(2 * shallow, shallow) for shallow, _ in levels)
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def skip(self, level: int, encoded: Tensor, upsampled: Tensor) -> Tensor:
        """What the decoder of a level gets from the encoder: here all of it."""
        return encoded

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)` of an image whose sides are multiples of 16."""
        skips: list[Tensor] = []
        for encode in self.encoder:
            x = encode(self.pool(x) if skips else x)
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.up[level](x)
            x = self.decoder[level](torch.cat((self.skip(level, skips[level], x), x), dim=1))
        return self.head(x)


@register_model(
    "unet",
    paper="U-Net: Convolutional Networks for Biomedical Image Segmentation",
    reference="arXiv 1505.04597",
    year=2015,
    tags=("demo", "miniseg-table3"),
    rows=("miniseg-table3/U-Net",),
    params=34_527_106,
    macs=261_405_802_496,
    divisor=16,
    notes="Padded convolutions with batch normalisation; nearest x2 and a 3x3 convolution up, "
    "as the table's count tells.",
)
def unet(in_channels: int, num_classes: int) -> nn.Module:
    """U-Net with 64 to 1024 channels."""
    return UNet(in_channels, num_classes)
