"""FRRN: 17,711,474 parameters with 3 input channels and 2 classes.

Paper: Pohlen et al., "Full-Resolution Residual Networks for Semantic Segmentation in Street
Scenes", arXiv 1611.08323, variant A. It stands for the row FRRN of MiniSeg's Table III. One stream
of maps is pooled and enlarged again, another keeps the full size; every unit reads both and adds
to the latter.

What the paper leaves open is as in the code behind that row: both the units, which read the
full-size stream, and the pooled stream itself take the maximum of 3x3 pixels whatever the stride;
all enlargement is bilinear with aligned corners; the 3x3 convolutions have no bias, the first 5x5
one and those of 1x1 have.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.corners import resize_corners
from zoo.pretrained import unpublished
from zoo.registry import register_model

BASE = 48
"""Channels before and after the two streams."""
LANE = 32
"""Channels of the full-size stream."""
DOWN = ((2, 96, 3), (4, 192, 4), (8, 384, 2), (16, 384, 2))
"""Stride, channels and units of the groups of the encoder."""
UP = ((8, 192, 2), (4, 192, 2), (2, 96, 2))
"""The same of the decoder."""


def pooling(stride: int) -> nn.MaxPool2d:
    """Max-pooling to `ceil(size / stride)`."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            ConvBNAct(channels, channels), ConvBNAct(channels, channels, act=None)
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return self.act(x + self.branch(x))


def residual_units() -> nn.Sequential:
    """The three residual units at full size, in front of the streams and behind them."""
    return nn.Sequential(*(ResidualUnit(BASE) for _ in range(3)))


class FullResolutionUnit(nn.Module):
    """A full-resolution residual unit (FRRU): reads both streams, writes to both.

    Args:
        in_channels: Channels of the pooled stream in.
        out_channels: Channels of the pooled stream out.
        stride: How much smaller the pooled stream is than the full-size one.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.pool = pooling(stride)
        self.convolve = nn.Sequential(
            ConvBNAct(in_channels + LANE, out_channels), ConvBNAct(out_channels, out_channels)
        )
        self.residual = nn.Conv2d(out_channels, LANE, 1)

    def forward(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The pooled stream, and the full-size one with what this unit adds to it."""
        y = self.convolve(torch.cat((y, self.pool(z)), dim=1))
        return y, z + resize_corners(self.residual(y), like=z)


class Group(nn.ModuleList):
    """Units one behind another, all of one stride."""

    def forward(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams behind the last."""
        for unit in self:
            y, z = unit(y, z)
        return y, z


def groups(in_channels: int, plan: Iterable[tuple[int, int, int]]) -> nn.ModuleList:
    """Groups of units, one a stride.

    Args:
        in_channels: Channels of the pooled stream before the first.
        plan: Stride, channels and units of each, such as `DOWN`.
    """
    built = nn.ModuleList()
    for stride, channels, units in plan:
        widths = (in_channels, *(channels,) * (units - 1))
        built.append(Group(FullResolutionUnit(w, channels, stride) for w in widths))
        in_channels = channels
    return built


class FRRNEncoder(nn.Module):
    """What stands in front of the first enlargement.

    Args:
        in_channels: Channels of the image.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvBNAct(in_channels, BASE, 5, bias=True),
            residual_units(),
        )
        self.split = nn.Conv2d(BASE, LANE, 1)
        self.pool = pooling(2)
        self.groups = groups(BASE, DOWN)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """The pooled stream after every group, shallowest first, and the full-size stream."""
        y = self.stem(x)
        z = self.split(y)
        pooled = []
        for group in self.groups:
            y, z = group(self.pool(y), z)
            pooled.append(y)
        return pooled, z


class FRRN(nn.Module):
    """FRRN, variant A.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = FRRNEncoder(in_channels)
        self.groups = groups(DOWN[-1][1], UP)
        self.merge = nn.Conv2d(UP[-1][1] + LANE, BASE, 1)
        self.tail = residual_units()
        self.head = nn.Conv2d(BASE, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        (*shallower, y), z = self.encoder(x)
        for group in self.groups:
            # Of the earlier maps only the size is wanted: the full-size stream holds the rest.
            y, z = group(resize_corners(y, like=shallower.pop()), z)
        y = resize_corners(y, like=z)
        return self.head(self.tail(self.merge(torch.cat((y, z), dim=1))))


@register_model(
    "frrn",
    paper="Full-Resolution Residual Networks for Semantic Segmentation in Street Scenes",
    reference="arXiv 1611.08323",
    year=2016,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/FRRN",),
    params=17_711_474,
    macs=236_923_650_048,
    encoder="encoder",
    weights="none published",
    notes="Variant A. Table III says that it was pretrained; nobody publishes such weights, and "
    "the paper trains from scratch.",
)
def frrn(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """FRRN, variant A.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: None; "imagenet" raises, since nobody has published any.

    Returns:
        The network.

    Raises:
        CovbenchError: Weights are asked for.
    """
    if weights is not None:
        raise unpublished(weights, "frrn")
    return FRRN(in_channels, num_classes)
