"""ESPNet, 345,573 parameters: row ESPNet of Table III of MiniSeg (arXiv 2004.09750v1).

ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation,
arXiv 1803.06815. Blocks (ESP) reduce the channels and pass them through five dilated
convolutions, whose maps are summed up one after the other against gridding; 1/8 of the size at
the deepest; the pooled image is fed in again at 1/2 and 1/4; the decoder is as wide as there are
classes and doubles the size three times by transposed convolutions.

What the paper leaves open: the number of blocks is its parameter, here alpha2 = 2 and alpha3 = 8.
An ESP block in the decoder would be left without branches by so few classes; as the count tells,
a 1x1 convolution with a bias stands in its place. Batch norms have the epsilon 1e-3 of the
authors' code. The encoder alone, with its 1x1 convolution to the classes, is ESPNet-C: 344,841.
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.light_blocks import halving, norm_act
from zoo.registry import register_model

EPS = 1e-3
DILATIONS = (1, 2, 4, 8, 16)
"""Dilations of the parallel convolutions of an ESP."""

Layer = partial(ConvBNAct, act=nn.PReLU, eps=EPS)
NormAct = partial(norm_act, eps=EPS)


class ESP(nn.Module):
    """Efficient spatial pyramid: reduce, five dilated convolutions, sums, BN and PReLU.

    Args:
        in_channels: Channels in.
        out_channels: Channels out; a fifth of them, rounded down, is the width inside, and the
            first branch gives what is left over.
        down: Whether it halves the size, by its reduction; otherwise its input is added at the end.
    """

    def __init__(self, in_channels: int, out_channels: int, *, down: bool = False) -> None:
        super().__init__()
        width = out_channels // len(DILATIONS)
        rest = out_channels - width * (len(DILATIONS) - 1)
        self.down = down
        self.reduce = (
            nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
            if down
            else nn.Conv2d(in_channels, width, 1, bias=False)
        )
        self.branches = nn.ModuleList(
            nn.Conv2d(width, width if i else rest, 3, padding=d, dilation=d, bias=False)
            for i, d in enumerate(DILATIONS)
        )
        self.post = NormAct(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """A map of `out_channels`, at half the size, rounded up, where it is to be halved."""
        reduced = self.reduce(x)
        first, *others = (branch(reduced) for branch in self.branches)
        out = torch.cat([first, *accumulate(others)], dim=1)
        return self.post(out if self.down else out + x)


class Stage(nn.Module):
    """An ESP that halves the size, and further ones behind it."""

    def __init__(self, in_channels: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.down = ESP(in_channels, channels, down=True)
        self.blocks = nn.Sequential(*(ESP(channels, channels) for _ in range(blocks)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maps after the last and after the first block."""
        first = self.down(x)
        return self.blocks(first), first


class ESPNet(nn.Module):
    """ESPNet; height and width of the image must be multiples of 8.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        blocks2: Blocks at 1/4 beside the one that halves the size.
        blocks3: The same at 1/8.
    """

    def __init__(self, in_channels: int, num_classes: int, *, blocks2: int, blocks3: int) -> None:
        super().__init__()
        width1, width2 = 16 + in_channels, 2 * 64 + in_channels
        # Pooled from the image for each of the two, as the table's count has it.
        self.pool2 = halving()
        self.pool4 = halving(2)
        self.stem = Layer(in_channels, 16, stride=2)
        self.post1 = NormAct(width1)
        self.stage2 = Stage(width1, 64, blocks2)
        self.post2 = NormAct(width2)
        self.stage3 = Stage(width2, 128, blocks3)
        self.post3 = NormAct(2 * 128)

        up = partial(nn.ConvTranspose2d, num_classes, num_classes, 2, stride=2, bias=False)
        self.classes3 = nn.Sequential(
            nn.Conv2d(2 * 128, num_classes, 1, bias=False),
            nn.BatchNorm2d(num_classes, eps=EPS),
            up(),
        )
        self.classes2 = nn.Conv2d(width2, num_classes, 1, bias=False)
        self.merge2 = nn.Sequential(
            NormAct(2 * num_classes),
            nn.Conv2d(2 * num_classes, num_classes, 1),
            NormAct(num_classes),
            up(),
            NormAct(num_classes),
        )
        self.merge1 = nn.Sequential(Layer(width1 + num_classes, num_classes), up())

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        x1 = self.post1(torch.cat([self.stem(image), self.pool2(image)], dim=1))
        x2 = self.post2(torch.cat([*self.stage2(x1), self.pool4(image)], dim=1))
        x3 = self.post3(torch.cat(self.stage3(x2), dim=1))
        x = self.merge2(torch.cat([self.classes2(x2), self.classes3(x3)], dim=1))
        return self.merge1(torch.cat([x, x1], dim=1))


@register_model(
    "espnet",
    paper="ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation",
    reference="arXiv 1803.06815",
    year=2018,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/ESPNet",),
    params=345_573,
    macs=1_746_776_064,
    divisor=8,
    overfit_steps=120,
    notes="blocks2 and blocks3 are the paper's alpha2 and alpha3, the block that halves the size "
    "not included; the defaults 2 and 8 are those of the table row. Slow to begin with: all "
    "that the encoder finds passes through a decoder as wide as there are classes.",
)
def espnet(in_channels: int, num_classes: int, *, blocks2: int = 2, blocks3: int = 8) -> nn.Module:
    """ESPNet of arXiv 1803.06815, with its decoder: 345,573 parameters.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        blocks2: Blocks at 1/4 beside the one that halves the size.
        blocks3: The same at 1/8.

    Returns:
        The network.
    """
    return ESPNet(in_channels, num_classes, blocks2=blocks2, blocks3=blocks3)
