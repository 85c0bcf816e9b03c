"""LEDNet, 2,313,972 parameters: row LEDNet of Table III of MiniSeg (arXiv 2004.09750v1).

LEDNet: A Lightweight Encoder-Decoder Network for Real-Time Semantic Segmentation,
arXiv 1905.02423. Residual blocks of two branches of 3x1 and 1x3 convolutions, each on half of
the channels, which are shuffled behind; 1/8 of the size at the deepest; an attention pyramid
(APN) whose maps, from 1/16, 1/32 and 1/64, weigh the encoder's; logits are resized from 1/8.

The row's count tells of a variant: the pyramid keeps the encoder's 128 channels (the paper's
network has 0.94 million parameters), and what halves the size is two strided convolutions, each
with a max-pooling of stride 1 behind, in place of a convolution beside a pooling. Convolutions
have no bias. What enters the product and the sum at the end has passed a ReLU, so the logits of
several classes are never negative; one class gets the difference of two such maps, since it needs
logits of either sign. Resizing is without aligned corners, which the paper leaves open.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

DILATIONS = (1, 2, 5, 9, 2, 5, 9, 17)
"""Dilations of the blocks at 1/8."""
WIDTH = 128
"""Channels of the encoder's last map, and of the pyramid."""


class Down(nn.Module):
    """Halves the size, rounded up: two convolutions side by side, each max-pooled at stride 1."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        # One more row and column of padding than usual, which the pooling takes off again.
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels, out_channels // 2, 3, stride=2, padding=2, bias=False),
                nn.MaxPool2d(2, stride=1),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of half the size."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def pair(channels: int, dilation: int, tall_first: bool) -> nn.Sequential:
    """A 3x1 and a 1x3 convolution with a ReLU between, then BN and ReLU.

    Args:
        channels: Channels in and out.
        dilation: Dilation of both.
        tall_first: Whether the 3x1 convolution comes first.
    """
    first, second = ((3, 1), (1, 3)) if tall_first else ((1, 3), (3, 1))
    return nn.Sequential(
        nn.Conv2d(channels, channels, first, padding="same", dilation=dilation, bias=False),
        nn.ReLU(inplace=True),
        ConvBNAct(channels, channels, second, dilation=dilation),
    )


class SSnbt(nn.Module):
    """Split-shuffle non-bottleneck: each half of the channels passes a branch of two pairs.

    Args:
        channels: Channels in and out.
        dilation: Dilation of the second pair of each branch.
    """

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(pair(channels // 2, 1, tall), pair(channels // 2, dilation, tall))
            for tall in (True, False)
        )
        self.act = nn.ReLU(inplace=True)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        halves = zip(self.branches, x.chunk(2, dim=1), strict=True)
        joined = torch.cat([branch(half) for branch, half in halves], dim=1)
        return self.shuffle(self.act(x + joined))


class APN(nn.Module):
    """Attention pyramid: coarser and coarser maps, summed up again, weigh what came in.

    Args:
        classes: Maps out.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(ConvBNAct(WIDTH, WIDTH, k, stride=2) for k in (3, 5, 7))
        self.levels = nn.ModuleList(ConvBNAct(WIDTH, classes, 1) for _ in self.down)
        self.direct = ConvBNAct(WIDTH, classes, 1)
        self.context = ConvBNAct(WIDTH, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, classes, h, w)` of the size of `x`, none of them negative."""
        maps = [x]
        for down in self.down:
            maps.append(down(maps[-1]))
        attention = self.levels[-1](maps[-1])
        for i in (2, 1):
            wider = self.levels[i - 1](maps[i])
            attention = resize(attention, (wider.shape[-2], wider.shape[-1])) + wider
        attention = resize(attention, (x.shape[-2], x.shape[-1]))
        return self.direct(x) * attention + self.context(x.mean((2, 3), keepdim=True))


class LEDNet(nn.Module):
    """LEDNet.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            Down(in_channels, 32),
            *(SSnbt(32) for _ in range(3)),
            Down(32, 64),
            *(SSnbt(64) for _ in range(2)),
            Down(64, WIDTH),
            *(SSnbt(WIDTH, dilation) for dilation in DILATIONS),
        )
        self.decoder = APN(max(num_classes, 2))
        self.binary = num_classes == 1

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        maps = self.decoder(self.encoder(image))
        logits = maps[:, 1:] - maps[:, :1] if self.binary else maps
        return resize(logits, (image.shape[-2], image.shape[-1]))


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
    overfit_steps=60,
    notes="The variant that the table counted: a pyramid of 128 channels, where the paper's "
    "network has 0.94 million parameters, and size halved by two convolutions with a pooling "
    "behind each. Logits of several classes are never negative, by design; one class is the "
    "difference of two maps. On few small images its Dice wavers in training: a batch norm sees "
    "one value per image behind the global pooling, and at 1/64.",
)
def lednet(in_channels: int, num_classes: int) -> nn.Module:
    """LEDNet of arXiv 1905.02423 with a pyramid of 128 channels: 2,313,972 parameters."""
    return LEDNet(in_channels, num_classes)
