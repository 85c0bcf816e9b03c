"""DeepLabv3+: 54,607,778 parameters with 3 input channels and 2 classes.

Paper: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation", arXiv 1802.02611. It stands for the row DeepLabv3+ of MiniSeg's Table III, whose
count tells the backbone: the paper's modified aligned Xception with sixteen middle blocks, at
output stride 16, without an auxiliary head.

What the paper leaves open, and the count tells: no batch norm between the depthwise and the
pointwise part of a separable convolution, and neither ReLU nor batch norm around the last one of
an entry or exit block.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.aspp import ASPP
from zoo.blocks import ConvBNAct
from zoo.pretrained import unpublished
from zoo.registry import register_model

LOW_LEVEL = 128
"""Channels of the map at a quarter of the size that the decoder reads."""


def separable(
    in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Depthwise 3x3 and pointwise convolution, without biases and normalisation."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            in_channels,
            3,
            stride,
            padding=dilation,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        ),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    )


class XceptionBlock(nn.Module):
    """Two or three separable convolutions with batch norm, and a shortcut around them.

    Args:
        in_channels: Channels in.
        widths: Channels out of each convolution.
        last: Stride of one more separable convolution at the end, without ReLU and batch norm; 0
            for none.
        relu_first: Whether the block begins with a ReLU.
    """

    def __init__(
        self, in_channels: int, widths: Sequence[int], last: int = 0, *, relu_first: bool = True
    ) -> None:
        super().__init__()
        act = nn.ReLU()
        layers: list[nn.Module] = []
        before = in_channels
        for index, width in enumerate(widths):
            if index or relu_first:
                layers.append(act)
            layers += [separable(before, width), nn.BatchNorm2d(width)]
            before = width
        if last:
            layers.append(separable(before, before, last))
        self.body = nn.Sequential(*layers)
        stride = max(last, 1)
        self.shortcut: nn.Module = (
            nn.Identity()
            if in_channels == before and stride == 1
            else ConvBNAct(in_channels, before, 1, stride=stride, act=None)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the last width, without activation."""
        return self.body(x) + self.shortcut(x)


class Xception(nn.Module):
    """The modified aligned Xception at output stride 16."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBNAct(in_channels, 32, stride=2), ConvBNAct(32, 64))
        self.low = XceptionBlock(64, (128, 128), 2, relu_first=False)
        self.entry = nn.Sequential(
            XceptionBlock(128, (256, 256), 2), XceptionBlock(256, (728, 728), 2)
        )
        self.middle = nn.Sequential(*(XceptionBlock(728, (728, 728, 728)) for _ in range(16)))
        self.exit = XceptionBlock(728, (728, 1024), 1)
        layers: list[nn.Module] = []
        for before, width in ((1024, 1536), (1536, 1536), (1536, 2048)):
            layers += [
                separable(before, width, dilation=2),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.last = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The low-level map at a quarter of the size, and the last one at a sixteenth."""
        low = self.low(self.stem(x))
        return low, self.last(self.exit(self.middle(self.entry(low))))


class DeepLabV3Plus(nn.Module):
    """Xception, ASPP of rates 6, 12 and 18, a decoder at a quarter of the size."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = Xception(in_channels)
        self.aspp = ASPP(2048, 256, (6, 12, 18))
        self.low = ConvBNAct(LOW_LEVEL, 48, 1)
        self.head = nn.Sequential(
            ConvBNAct(256 + 48, 256),
            nn.Dropout(0.5),
            ConvBNAct(256, 256),
            nn.Dropout(0.1),
            nn.Conv2d(256, num_classes, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        low, x = self.encoder(image)
        x = _enlarge(self.aspp(x), low)
        return _enlarge(self.head(torch.cat([x, self.low(low)], dim=1)), image)


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    """A map at the size of another, bilinear with aligned corners."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)


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
    published="The table's 82.87G counts the ReLUs of each Xception block twice.",
    notes="The row says that it started from ImageNet; the weights that timm has for its "
    "xception65 belong to another wiring (batch norm inside the separable convolutions).",
)
def deeplabv3plus(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DeepLabv3+ on the modified aligned Xception at output stride 16."""
    if weights is not None:
        raise unpublished(weights, "deeplabv3plus")
    return DeepLabV3Plus(in_channels, num_classes)
