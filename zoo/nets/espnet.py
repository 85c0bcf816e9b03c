"""ESPNet, 345,573 parameters: row ESPNet of Table III of MiniSeg (arXiv 2004.09750v1).

ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation, arXiv
1803.06815, with two blocks at a quarter and eight at an eighth of the size (p = 2, q = 8) and its
decoder of two channels.
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.registry import register_model

BRANCHES = 5
"""Dilated convolutions of a block, of dilation 1, 2, 4, 8 and 16."""


def norm_act(channels: int) -> nn.Sequential:
    """Batch normalisation and PReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))


class ESP(nn.Module):
    """Reduce, dilate in parallel, sum hierarchically, join.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        down: Whether it halves the size, by a strided 3x3 in place of the 1x1; nothing is added
            then.
    """

    def __init__(self, in_channels: int, out_channels: int, *, down: bool = False) -> None:
        super().__init__()
        width = out_channels // BRANCHES
        widths = (out_channels - (BRANCHES - 1) * width, *[width] * (BRANCHES - 1))
        self.down = down
        self.reduce = (
            nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
            if down
            else nn.Conv2d(in_channels, width, 1, bias=False)
        )
        self.branches = nn.ModuleList(
            nn.Conv2d(width, out, 3, padding=2**k, dilation=2**k, bias=False)
            for k, out in enumerate(widths)
        )
        self.post = norm_act(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of `out_channels`."""
        reduced = self.reduce(x)
        first, *others = (branch(reduced) for branch in self.branches)
        joined = torch.cat([first, *accumulate(others)], dim=1)
        return self.post(joined if self.down else joined + x)


def enlarge(channels: int) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles the size."""
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


class ESPNet(nn.Module):
    """ESPNet with decoder; height and width of the image must be multiples of 8."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.stem = ConvBNAct(in_channels, 16, stride=2, act=nn.PReLU)
        first = 16 + in_channels
        self.post1 = norm_act(first)
        self.down2 = ESP(first, 64, down=True)
        self.level2 = nn.Sequential(ESP(64, 64), ESP(64, 64))
        second = 2 * 64 + in_channels
        self.post2 = norm_act(second)
        self.down3 = ESP(second, 128, down=True)
        self.level3 = nn.Sequential(*(ESP(128, 128) for _ in range(8)))
        self.post3 = norm_act(2 * 128)

        self.classes3 = nn.Sequential(
            nn.Conv2d(2 * 128, num_classes, 1, bias=False),
            nn.BatchNorm2d(num_classes),
            enlarge(num_classes),
        )
        self.classes2 = nn.Conv2d(second, num_classes, 1, bias=False)
        self.merge2 = nn.Sequential(
            norm_act(2 * num_classes),
            nn.Conv2d(2 * num_classes, num_classes, 1),
            norm_act(num_classes),
            enlarge(num_classes),
            norm_act(num_classes),
        )
        self.merge1 = nn.Sequential(
            ConvBNAct(first + num_classes, num_classes, act=nn.PReLU), enlarge(num_classes)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        half = self.pool(image)
        x1 = self.post1(torch.cat([self.stem(image), half], dim=1))
        down = self.down2(x1)
        x2 = self.post2(torch.cat([self.level2(down), down, self.pool(half)], dim=1))
        down = self.down3(x2)
        x3 = self.classes3(self.post3(torch.cat([self.level3(down), down], dim=1)))
        x2 = self.merge2(torch.cat([self.classes2(x2), x3], dim=1))
        return self.merge1(torch.cat([x2, x1], dim=1))


@register_model(
    "espnet",
    paper="ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation",
    reference="arXiv 1803.06815",
    year=2018,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/ESPNet",),
    overfit_steps=120,
    params=345_573,
    macs=1_746_776_064,
    divisor=8,
)
def espnet(in_channels: int, num_classes: int) -> nn.Module:
    """ESPNet of arXiv 1803.06815 with its decoder: 345,573 parameters."""
    return ESPNet(in_channels, num_classes)
