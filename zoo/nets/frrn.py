"""FRRN-A: 17,711,474 parameters with 3 input channels and 2 classes.

Paper: Pohlen et al., "Full-Resolution Residual Networks for Semantic Segmentation in Street
Scenes", arXiv 1611.08323. It stands for the row FRRN of MiniSeg's Table III, whose count is that
of variant A. Two streams: a narrow residual one that stays at the full resolution, and one that is
pooled and enlarged again; every unit reads from both and adds to the first.

What the paper leaves open, and the count tells: which convolutions have biases (the first and the
1x1 ones), and that poolings overlap (3x3, stride 2).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.pretrained import unpublished
from zoo.registry import register_model

WIDTH = 48
"""Channels before the streams part and after they are joined."""

RESIDUAL = 32
"""Channels of the residual stream."""

ENCODER = ((3, 96, 2), (4, 192, 4), (2, 384, 8), (2, 384, 16))
DECODER = ((2, 192, 8), (2, 192, 4), (2, 96, 2))
"""Units, channels, and how much smaller than the image the pooled stream is."""


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions with batch norm around which the input is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBNAct(channels, channels), ConvBNAct(channels, channels, act=None)
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return self.act(self.body(x) + x)


def enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map at another size, bilinear with aligned corners."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class FullResolutionUnit(nn.Module):
    """A unit of both streams (FRRU).

    Args:
        in_channels: Channels of the pooled stream that come in.
        out_channels: Channels of it that go out.
        factor: How much smaller it is than the residual stream.
    """

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride=factor, padding=1)
        self.body = nn.Sequential(
            ConvBNAct(in_channels + RESIDUAL, out_channels), ConvBNAct(out_channels, out_channels)
        )
        self.residual = nn.Conv2d(out_channels, RESIDUAL, 1)

    def forward(self, pooled: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams, in and out."""
        pooled = self.body(torch.cat([pooled, self.pool(residual)], dim=1))
        height, width = residual.shape[-2:]
        return pooled, residual + enlarge(self.residual(pooled), (height, width))


class FRRN(nn.Module):
    """FRRN-A; height and width of the image must be multiples of 16."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvBNAct(in_channels, WIDTH, 5, bias=True), *(ResidualUnit(WIDTH) for _ in range(3))
        )
        self.split = nn.Conv2d(WIDTH, RESIDUAL, 1)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        before = WIDTH
        groups = []
        for count, width, factor in (*ENCODER, *DECODER):
            units = []
            for _ in range(count):
                units.append(FullResolutionUnit(before, width, factor))
                before = width
            groups.append(nn.ModuleList(units))
        self.groups = nn.ModuleList(groups)
        self.join = nn.Conv2d(before + RESIDUAL, WIDTH, 1)
        self.refine = nn.Sequential(*(ResidualUnit(WIDTH) for _ in range(3)))
        self.head = nn.Conv2d(WIDTH, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        height, width = image.shape[-2:]
        pooled = self.stem(image)
        residual = self.split(pooled)
        for index, group in enumerate(self.groups):
            if index < len(ENCODER):
                pooled = self.pool(pooled)
            else:
                factor = DECODER[index - len(ENCODER)][2]
                pooled = enlarge(pooled, (height // factor, width // factor))
            assert isinstance(group, nn.ModuleList)
            for unit in group:
                pooled, residual = unit(pooled, residual)
        joined = torch.cat([enlarge(pooled, (height, width)), residual], dim=1)
        return self.head(self.refine(self.join(joined)))


@register_model(
    "frrn",
    paper="Full-Resolution Residual Networks for Semantic Segmentation in Street Scenes",
    reference="arXiv 1611.08323",
    year=2017,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/FRRN",),
    params=17_711_474,
    macs=236_923_650_048,
    weights="none published",
    divisor=16,
    notes="The row says that it started from ImageNet; nobody has published such weights.",
)
def frrn(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """FRRN-A: 17,711,474 parameters."""
    if weights is not None:
        raise unpublished(weights, "frrn")
    return FRRN(in_channels, num_classes)
