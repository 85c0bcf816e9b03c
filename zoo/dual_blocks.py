"""Parts that the networks with a fine and a coarse branch share: DDRNet and PIDNet.

No convolution in front of a batch normalisation has a bias. Where a stage ends, its sum is left
without a ReLU, since the branches exchange maps there and rectify what they got.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import ConvBNAct


class Residual(nn.Module):
    """A branch beside a shortcut, summed.

    Args:
        branch: Gives maps of the block's channels and size.
        in_channels: Channels in.
        out_channels: Channels out.
        stride: What the branch divides the size by. The shortcut is a 1x1 convolution where it
            must change the channels or the size.
        act: Whether the sum is rectified.
    """

    def __init__(
        self, branch: nn.Module, in_channels: int, out_channels: int, stride: int, act: bool
    ) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = ConvBNAct(in_channels, out_channels, 1, stride=stride, act=None)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, H / stride, W / stride)`, sizes rounded up."""
        total = self.branch(x) + self.shortcut(x)
        return F.relu(total) if self.act else total


def basic(in_channels: int, channels: int, *, stride: int = 1, act: bool = False) -> Residual:
    """A residual block of two 3x3 convolutions.

    Args:
        in_channels: Channels in.
        channels: Channels out.
        stride: Stride of the first convolution.
        act: Whether the sum is rectified.
    """
    branch = nn.Sequential(
        ConvBNAct(in_channels, channels, stride=stride),
        ConvBNAct(channels, channels, act=None),
    )
    return Residual(branch, in_channels, channels, stride, act)


def bottleneck(in_channels: int, channels: int, *, stride: int = 1) -> Residual:
    """A residual block of a 1x1, a 3x3 and a 1x1 convolution; its sum is not rectified.

    Args:
        in_channels: Channels in.
        channels: Channels of the 3x3 convolution; twice as many come out.
        stride: Stride of the 3x3 convolution.
    """
    branch = nn.Sequential(
        ConvBNAct(in_channels, channels, 1),
        ConvBNAct(channels, channels, stride=stride),
        ConvBNAct(channels, 2 * channels, 1, act=None),
    )
    return Residual(branch, in_channels, 2 * channels, stride, act=False)


def stage(in_channels: int, channels: int, blocks: int, *, stride: int = 1) -> nn.Sequential:
    """Basic blocks in a row, all but the last one rectified.

    Args:
        in_channels: Channels in.
        channels: Channels out.
        blocks: How many blocks.
        stride: Stride of the first block.
    """
    layers = [
        basic(
            channels if index else in_channels,
            channels,
            stride=1 if index else stride,
            act=index < blocks - 1,
        )
        for index in range(blocks)
    ]
    return nn.Sequential(*layers)


def stem(in_channels: int, channels: int) -> nn.Sequential:
    """Image to twice as many channels at an eighth of the size, rectified.

    Args:
        in_channels: Channels of the image.
        channels: Channels at a quarter of the size.
    """
    return nn.Sequential(
        ConvBNAct(in_channels, channels, stride=2),
        ConvBNAct(channels, channels, stride=2),
        stage(channels, channels, 2),
        nn.ReLU(),
        stage(channels, 2 * channels, 2, stride=2),
    )


def act_conv(in_channels: int, channels: int, kernel: int = 1, *, groups: int = 1) -> nn.Sequential:
    """Batch normalisation, ReLU and a convolution of the same size, in this order.

    Args:
        in_channels: Channels in.
        channels: Channels out.
        kernel: Kernel size, odd.
        groups: Groups of the convolution.
    """
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, groups=groups, bias=False),
    )


def head(in_channels: int, channels: int, num_classes: int) -> nn.Sequential:
    """Logits from maps that are not rectified, at their size.

    Args:
        in_channels: Channels in.
        channels: Channels in between.
        num_classes: Channels of the logits.
    """
    return nn.Sequential(
        act_conv(in_channels, channels, 3),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, num_classes, 1),
    )


def pools(in_channels: int, channels: int) -> nn.ModuleList:
    """Means over windows of 5, 9 and 17 pixels, every 2, 4 and 8, and over the whole map.

    Args:
        in_channels: Channels in.
        channels: Channels that each gives.
    """
    windows: list[nn.Module] = [
        nn.AvgPool2d(2 * 2**level + 1, stride=2**level, padding=2**level) for level in (1, 2, 3)
    ]
    windows.append(nn.AdaptiveAvgPool2d(1))
    return nn.ModuleList(nn.Sequential(each, act_conv(in_channels, channels)) for each in windows)
