"""DeepLabv3+: 54,607,778 parameters with 3 input channels and 2 classes.

Paper: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation", arXiv 1802.02611. It stands for the row DeepLabv3+ of MiniSeg's Table III, whose
count tells the backbone: the paper's modified aligned Xception with 16 blocks in the middle, at
output stride 16, under ASPP of plain convolutions (the paper has separable ones there and in the
decoder too).

Further departures from the paper, as the row's digits tell: no batch normalisation and no ReLU
between the depthwise and the pointwise half of a separable convolution, nor around the last
separable one of the blocks that have a shortcut of 1x1. Resizing aligns corners, as the code behind
the row does.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.aspp import ASPP
from zoo.blocks import ConvBNAct
from zoo.corners import resize_corners
from zoo.pretrained import unpublished
from zoo.registry import register_model


def separable(
    in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution, nothing between them, no bias."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            in_channels,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        ),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    )


class Block(nn.Module):
    """Separable convolutions with batch normalisation, each behind a ReLU, beside a shortcut.

    Args:
        in_channels: Channels in.
        widths: Channels that each of them gives.
        end_stride: Stride of one more separable convolution behind them, which is bare, and of
            the shortcut's 1x1 convolution; None for neither.
        act_first: Whether there is a ReLU in front of the first.
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, ...],
        *,
        end_stride: int | None = None,
        act_first: bool = True,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for width in widths:
            if layers or act_first:
                # The first must leave the input as it is for the shortcut.
                layers.append(nn.ReLU(inplace=bool(layers)))
            layers += [separable(channels, width), nn.BatchNorm2d(width)]
            channels = width
        self.shortcut: nn.Module = nn.Identity()
        if end_stride is not None:
            layers.append(separable(channels, channels, stride=end_stride))
            self.shortcut = ConvBNAct(in_channels, channels, 1, stride=end_stride, act=None)
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both branches."""
        return self.branch(x) + self.shortcut(x)


class Xception(nn.Module):
    """The modified aligned Xception at output stride 16.

    Args:
        in_channels: Channels of the image.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.entry = nn.Sequential(
            ConvBNAct(in_channels, 32, stride=2),
            ConvBNAct(32, 64),
            Block(64, (128, 128), end_stride=2, act_first=False),
        )
        self.middle = nn.Sequential(
            Block(128, (256, 256), end_stride=2),
            Block(256, (728, 728), end_stride=2),
            *(Block(728, (728, 728, 728)) for _ in range(16)),
            Block(728, (728, 1024), end_stride=1),
        )
        last: list[nn.Module] = []
        for channels, width in pairwise((1024, 1536, 1536, 2048)):
            last += [
                separable(channels, width, dilation=2),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.exit = nn.Sequential(*last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The map of 128 channels at 1/4 and that of 2048 channels at 1/16."""
        low = self.entry(x)
        return low, self.exit(self.middle(low))


class DeepLabV3Plus(nn.Module):
    """Xception, ASPP of rates 6, 12 and 18, and a decoder at 1/4.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = Xception(in_channels)
        self.aspp = ASPP(2048, 256, (6, 12, 18))
        self.low = ConvBNAct(128, 48, 1)
        self.head = nn.Sequential(
            ConvBNAct(256 + 48, 256), ConvBNAct(256, 256), nn.Conv2d(256, num_classes, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        low, high = self.encoder(image)
        x = torch.cat((resize_corners(self.aspp(high), like=low), self.low(low)), dim=1)
        return resize_corners(self.head(x), like=image)


@register_model(
    "deeplabv3plus",
    paper="Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
    reference="arXiv 1802.02611",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/DeepLabv3+",),
    params=54_607_778,
    macs=82_640_150_528,
    encoder="encoder",
    weights="none published",
    batch1=False,
    notes="Modified aligned Xception at output stride 16; ASPP and decoder of plain convolutions, "
    "as the table's count tells. timm's xception65 has batch normalisation inside its separable "
    "convolutions, so that its weights don't fit.",
    published="Table III's 82.87G hold the ReLUs of the Xception's blocks twice (0.06G), as is "
    "inferred from the digits: its counter took layers that are reachable by two paths for two.",
)
def deeplabv3plus(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DeepLabv3+ on the modified aligned Xception.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: None; "imagenet" raises, since nobody has published any that fit.

    Returns:
        The network.

    Raises:
        CovbenchError: Weights are asked for.
    """
    if weights is not None:
        raise unpublished(weights, "deeplabv3plus")
    return DeepLabV3Plus(in_channels, num_classes)
