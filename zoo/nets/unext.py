"""UNeXt: 1,471,938 parameters with 3 input channels and 2 classes.

Paper: Valanarasu and Patel, "UNeXt: MLP-based Rapid Medical Image Segmentation Network",
arXiv 2203.04967. A U-Net with three convolutions and two tokenised MLPs on the way down, to 1/32 of
the size, and as many on the way up. An MLP sees tokens from near by because five groups of channels
are shifted by -2 to 2 pixels before each of its layers, first along the width, then the height.

What the paper leaves open: tokens are made by a 3x3 convolution, strided on the way down; the
residual sum goes around the whole MLP, with one layer normalisation in front of it and one at the
end of the stage; zeros come in from the border; an MLP is as wide inside as outside; skips are
added; on the way up the size is doubled between batch norm and ReLU, and the last convolution has
no batch norm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.blocks import ConvBNAct
from zoo.channel_norm import ChannelNorm
from zoo.registry import register_model

WIDTHS = (16, 32, 128, 160, 256)
"""Channels at 1/2 to 1/32 of the size; the last two are those of the tokens."""
GROUPS = 5
"""Groups of channels that are shifted by different distances."""
HEIGHT, WIDTH = 2, 3


def shift(x: Tensor, axis: int) -> Tensor:
    """Move groups of channels against each other; zeros come in from the border.

    Args:
        x: The map, `(N, C, H, W)`.
        axis: `HEIGHT` or `WIDTH`.

    Returns:
        A map of the same shape: the first of `GROUPS` groups moved by two pixels towards larger
        coordinates, the last by two towards smaller ones.
    """
    reach = GROUPS // 2
    size = x.shape[axis]
    padded = functional.pad(x, (reach, reach) if axis == WIDTH else (0, 0, reach, reach))
    groups = padded.chunk(GROUPS, dim=1)
    return torch.cat([each.narrow(axis, i, size) for i, each in enumerate(groups)], dim=1)


class ShiftedMLP(nn.Module):
    """A shifted MLP around a depthwise convolution, added to its input (figure 2 of the paper).

    Its layers are linear in the channels of a token, that is, 1x1 convolutions of the map.

    Args:
        channels: Channels in, inside and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.across = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.along = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        inner = self.across(shift(self.norm(x), WIDTH))
        inner = functional.gelu(self.depthwise(inner))
        return x + self.along(shift(inner, HEIGHT))


def convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """One convolutional stage on the way down: half the size."""
    return nn.Sequential(ConvBNAct(in_channels, out_channels, bias=True), nn.MaxPool2d(2))


def tokens(in_channels: int, out_channels: int) -> nn.Sequential:
    """One stage of tokens on the way down: half the size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1),
        ChannelNorm(out_channels),
        ShiftedMLP(out_channels),
        ChannelNorm(out_channels),
    )


def up(in_channels: int, out_channels: int, *, norm: bool = True) -> nn.Sequential:
    """A convolution on the way up, then twice the size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels) if norm else nn.Identity(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ReLU(inplace=True),
    )


class UNeXt(nn.Module):
    """UNeXt; height and width of the image must be multiples of 32.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        one, two, three, four, five = WIDTHS
        self.encoder = nn.ModuleList(
            (
                convolution(in_channels, one),
                convolution(one, two),
                convolution(two, three),
                tokens(three, four),
                tokens(four, five),
            )
        )
        self.up = nn.ModuleList((up(five, four), up(four, three), up(three, two), up(two, one)))
        # Behind the sum with the skip.
        self.mix = nn.ModuleList(
            (
                nn.Sequential(ShiftedMLP(four), ChannelNorm(four)),
                nn.Sequential(ShiftedMLP(three), ChannelNorm(three)),
                nn.Identity(),
                nn.Identity(),
            )
        )
        self.last = up(one, one, norm=False)
        self.head = nn.Conv2d(one, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        maps = [image]
        for stage in self.encoder:
            maps.append(stage(maps[-1]))
        x = maps.pop()
        for enlarge, mix in zip(self.up, self.mix, strict=True):
            x = mix(enlarge(x) + maps.pop())
        return self.head(self.last(x))


@register_model(
    "unext",
    paper="UNeXt: MLP-based Rapid Medical Image Segmentation Network",
    reference="arXiv 2203.04967",
    year=2022,
    tags=("modern", "lightweight"),
    params=1_471_938,
    macs=2_252_210_176,
    encoder="encoder",
    divisor=32,
    min_size=96,
    notes="Written from the paper; the larger of its networks, with 16 to 256 channels. Under 96 "
    "pixels the deepest map is at most two pixels wide, and a shift by two would empty its outer "
    "groups.",
    published="The paper prints 1.47M and 0.57G at 256x256. With one class this network has "
    "1,471,921 and, there, 562,003,968 multiply-adds; by the rules of MiniSeg's Table III, which "
    "add normalisation, activation and resizing, it has 0.573G.",
)
def unext(in_channels: int, num_classes: int) -> nn.Module:
    """UNeXt of arXiv 2203.04967."""
    return UNeXt(in_channels, num_classes)
