"""LEDNet, 2,313,972 parameters: row LEDNet of Table III of MiniSeg (arXiv 2004.09750v1).

LEDNet: A Lightweight Encoder-Decoder Network for Real-Time Semantic Segmentation, arXiv
1905.02423. Split and shuffled residual units, 1/8 of the size; an attention pyramid weighs the
logits.

The paper's network has 0.94 million parameters. The row's count tells a pyramid of 128 channels,
and downsampling by two strided convolutions side by side, each behind it max-pooled, without batch
norm. Its logits are products and sums of ReLUs, hence never negative. Its operations tell a ReLU
behind every pair of convolutions, the last one too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

WIDTH = 128
DILATIONS = (1, 2, 5, 9, 2, 5, 9, 17)
"""Of the units at 1/8 of the size."""


class Down(nn.Module):
    """Two strided convolutions side by side, each max-pooled at stride 1; half the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels, out_channels // 2, 3, stride=2, padding=2, bias=False),
                nn.MaxPool2d(2, stride=1),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps of half the size."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def factorised(channels: int, dilation: int, *, upright: bool) -> nn.Sequential:
    """A 3x1 and a 1x3 convolution, or the other way round; ReLU, batch norm and ReLU behind."""
    first, second = ((3, 1), (1, 3)) if upright else ((1, 3), (3, 1))
    padding = (dilation * (first[0] // 2), dilation * (first[1] // 2))
    return nn.Sequential(
        nn.Conv2d(channels, channels, first, padding=padding, dilation=dilation, bias=False),
        nn.ReLU(inplace=True),
        ConvBNAct(channels, channels, second, dilation=dilation),
    )


class SplitShuffleUnit(nn.Module):
    """SS-nbt: halves of the channels through factorised convolutions, addition, shuffle."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                factorised(channels // 2, 1, upright=upright),
                factorised(channels // 2, dilation, upright=upright),
            )
            for upright in (True, False)
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        halves = zip(self.branches, x.chunk(2, dim=1), strict=True)
        x = self.act(x + torch.cat([branch(half) for branch, half in halves], dim=1))
        return x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


class AttentionPyramid(nn.Module):
    """Logits of a map, weighed by a pyramid of ever smaller maps, plus those of its mean."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(ConvBNAct(WIDTH, WIDTH, k, stride=2) for k in (3, 5, 7))
        self.levels = nn.ModuleList(ConvBNAct(WIDTH, num_classes, 1) for _ in self.down)
        self.own = ConvBNAct(WIDTH, num_classes, 1)
        self.whole = ConvBNAct(WIDTH, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits at the size of the map."""
        sizes, maps, deeper = [], [], x
        for down, level in zip(self.down, self.levels, strict=True):
            sizes.append((deeper.shape[-2], deeper.shape[-1]))
            deeper = down(deeper)
            maps.append(level(deeper))
        weight = resize(maps[-1], sizes[-1])
        for size, level_map in zip(reversed(sizes[:-1]), reversed(maps[:-1]), strict=True):
            weight = resize(weight + level_map, size)
        return weight * self.own(x) + self.whole(x.mean((2, 3), keepdim=True))


class LEDNet(nn.Module):
    """LEDNet as the row counts it."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            Down(in_channels, 32),
            *(SplitShuffleUnit(32, 1) for _ in range(3)),
            Down(32, 64),
            *(SplitShuffleUnit(64, 1) for _ in range(2)),
            Down(64, WIDTH),
            *(SplitShuffleUnit(WIDTH, dilation) for dilation in DILATIONS),
        )
        self.decoder = AttentionPyramid(num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return resize(self.decoder(self.encoder(image)), (image.shape[-2], image.shape[-1]))


@register_model(
    "lednet",
    paper="LEDNet: A Lightweight Encoder-Decoder Network for Real-Time Semantic Segmentation",
    reference="arXiv 1905.02423",
    year=2019,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/LEDNet",),
    params=2_313_972,
    macs=6_218_411_104,
    encoder="encoder",
    batch1=False,
    published="The paper's own network has 0.94 million parameters; the row's has wider kernels of "
    "128 channels in its pyramid.",
)
def lednet(in_channels: int, num_classes: int) -> nn.Module:
    """LEDNet as the table counts it: 2,313,972 parameters."""
    return LEDNet(in_channels, num_classes)
