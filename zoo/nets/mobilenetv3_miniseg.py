"""MobileNetV3-Small 1.0x (arXiv 1905.02244) under MiniSeg's decoder: row MobileNetv3 of Table III.

997,050 parameters: 918,808 of the encoder (with the last 1x1 of 96 to 576 channels, without the
classifier) and 78,242 of the decoder, which has one head. The table prints 1.90M, which counts a
classifier that is never used (907,010) and is the only such number whose M is a million.

The table's count tells what differs from torchvision's network, whose ImageNet weights hence do
not fit: the squeeze is a quarter of the expanded width in layers without bias, and the first
bottleneck keeps its 1x1 of 16 to 16 channels. The scales are the last maps before each halving of
the size, and the map after the last 1x1. The attention follows the activation.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from zoo.blocks import Activation, ConvBNAct, relu
from zoo.miniseg_encoders import MiniSegOn, Scales
from zoo.registry import register_model

CHANNELS = (16, 24, 48, 96, 576)
"""Channels of the encoder's maps at 1/4, 1/8, 1/16, 1/32 and 1/32 of the input's size."""


def hard_swish(channels: int) -> nn.Module:
    """A hard swish, as an `Activation`."""
    return nn.Hardswish()


class Shape(NamedTuple):
    """One row of the paper's table 2."""

    kernel: int
    expanded: int
    out: int
    attention: bool
    act: Activation
    stride: int = 1


# One tuple for each scale.
_BOTTLENECKS = (
    (Shape(3, 16, 16, True, relu, 2),),
    (Shape(3, 72, 24, False, relu, 2), Shape(3, 88, 24, False, relu)),
    (
        Shape(5, 96, 40, True, hard_swish, 2),
        Shape(5, 240, 40, True, hard_swish),
        Shape(5, 240, 40, True, hard_swish),
        Shape(5, 120, 48, True, hard_swish),
        Shape(5, 144, 48, True, hard_swish),
    ),
    (
        Shape(5, 288, 96, True, hard_swish, 2),
        Shape(5, 576, 96, True, hard_swish),
        Shape(5, 576, 96, True, hard_swish),
    ),
)


class SqueezeExcite(nn.Module):
    """Weighs each channel by the means of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(channels, channels // 4, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channels // 4, channels, bias=False),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return x * self.weigh(x.mean((2, 3)))[:, :, None, None]


class Bottleneck(nn.Sequential):
    """Inverted residual: 1x1 up, depthwise, attention, 1x1 down; added where the shape stays."""

    def __init__(self, in_channels: int, shape: Shape) -> None:
        wide = shape.expanded
        super().__init__(
            ConvBNAct(in_channels, wide, 1, act=shape.act),
            ConvBNAct(wide, wide, shape.kernel, stride=shape.stride, groups=wide, act=shape.act),
            SqueezeExcite(wide) if shape.attention else nn.Identity(),
            ConvBNAct(wide, shape.out, 1, act=None),
        )
        self.adds = shape.stride == 1 and in_channels == shape.out

    def forward(self, x: Tensor) -> Tensor:
        """A map `out` wide, smaller by the stride."""
        out: Tensor = super().forward(x)
        return x + out if self.adds else out


class MobileNetV3Encoder(Scales):
    """MobileNetV3-Small 1.0x without its classifier, in five scales `CHANNELS` wide."""

    def __init__(self, in_channels: int) -> None:
        channels = 16
        scales = []
        for number, shapes in enumerate(_BOTTLENECKS):
            layers: list[nn.Module] = []
            if number == 0:
                layers.append(ConvBNAct(in_channels, channels, stride=2, act=hard_swish))
            for shape in shapes:
                layers.append(Bottleneck(channels, shape))
                channels = shape.out
            scales.append(nn.Sequential(*layers))
        scales.append(ConvBNAct(channels, CHANNELS[-1], 1, act=hard_swish))
        super().__init__(scales)


@register_model(
    "mobilenetv3-miniseg",
    paper="Searching for MobileNetV3",
    reference="arXiv 1905.02244; decoder: arXiv 2004.09750v1",
    year=2019,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/MobileNetv3",),
    params=997_050,
    macs=351_136_288,
    encoder="encoder",
    min_size=33,
    notes="Under 33 pixels the deepest map is one pixel, too little for batch normalisation to "
    "train on a batch of one.",
    published="Table III prints 1.90M, which is in millions, unlike its other rows, and holds a "
    "classifier of 907,010 parameters that is never used; without it the network has 997,050.",
)
def mobilenetv3_miniseg(in_channels: int, num_classes: int) -> nn.Module:
    """MobileNetV3-Small 1.0x with MiniSeg's decoder.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.

    Returns:
        The network.
    """
    return MiniSegOn(MobileNetV3Encoder(in_channels), CHANNELS, num_classes)
