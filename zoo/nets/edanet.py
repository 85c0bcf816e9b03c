"""EDANet, 681,818 parameters: row EDANet of Table III of MiniSeg (arXiv 2004.09750v1).

Efficient Dense Modules of Asymmetric Convolution for Real-Time Semantic Segmentation,
arXiv 1809.06323. Dense blocks of modules whose 3x3 convolutions are split into 3x1 and 1x3, 1/8 of
the size at the deepest, no decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.corners import resize_corners
from zoo.registry import register_model

GROWTH = 40
BLOCK1 = (1, 1, 1, 2, 2)
BLOCK2 = (2, 2, 4, 4, 8, 8, 16, 16)
"""Dilations of the modules of each block."""


class Down(nn.Module):
    """Halves the size: a strided convolution, beside the max-pooled input where channels are added.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.beside = out_channels > in_channels
        made = out_channels - in_channels if self.beside else out_channels
        self.conv = nn.Conv2d(in_channels, made, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.post = nn.Sequential(nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Maps of half the size."""
        made = self.conv(x)
        return self.post(torch.cat([made, self.pool(x)], dim=1) if self.beside else made)


def asymmetric(dilation: int) -> nn.Sequential:
    """3x1 and 1x3 convolution with biases, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(GROWTH, GROWTH, (3, 1), padding=(dilation, 0), dilation=(dilation, 1)),
        ConvBNAct(GROWTH, GROWTH, (1, 3), dilation=dilation, bias=True),
    )


class DenseModule(nn.Module):
    """EDA module: 1x1, a plain and a dilated asymmetric pair; its 40 channels join the input's."""

    def __init__(self, in_channels: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBNAct(in_channels, GROWTH, 1, bias=True),
            asymmetric(1),
            asymmetric(dilation),
            nn.Dropout2d(0.02),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The input and 40 channels more."""
        return torch.cat([self.body(x), x], dim=1)


def dense_block(in_channels: int, dilations: tuple[int, ...]) -> nn.Sequential:
    """A module for each dilation."""
    return nn.Sequential(
        *(
            DenseModule(in_channels + index * GROWTH, dilation)
            for index, dilation in enumerate(dilations)
        )
    )


class EDANet(nn.Module):
    """EDANet; height and width of the image must be multiples of 8."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        deep = 60 + len(BLOCK1) * GROWTH
        self.body = nn.Sequential(
            Down(in_channels, 15),
            Down(15, 60),
            dense_block(60, BLOCK1),
            Down(deep, deep // 2),
            dense_block(deep // 2, BLOCK2),
        )
        self.head = nn.Conv2d(deep // 2 + len(BLOCK2) * GROWTH, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return resize_corners(self.head(self.body(image)), like=image)


@register_model(
    "edanet",
    paper="Efficient Dense Modules of Asymmetric Convolution for Real-Time Semantic Segmentation",
    reference="arXiv 1809.06323",
    year=2018,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/EDANet",),
    params=681_818,
    macs=4_385_112_064,
    divisor=8,
    published="The table's 4.43G leaves out the ReLUs, which the counted code called as functions.",
)
def edanet(in_channels: int, num_classes: int) -> nn.Module:
    """EDANet of arXiv 1809.06323: 681,818 parameters."""
    return EDANet(in_channels, num_classes)
