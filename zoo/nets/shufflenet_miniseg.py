"""ShuffleNet 1.0x of three groups (arXiv 1707.01083) under MiniSeg's decoder: row ShuffleNet.

1,805,162 parameters: 916,920 of the encoder (without the classifier) and 888,242 of the decoder,
which has one head. Table III of MiniSeg prints the size and the operations of the encoder alone.

What the paper leaves open is settled by that count: every convolution has a bias, the first one
has neither batch norm nor ReLU, and the bottleneck is a quarter of a stage's width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.miniseg_encoders import MiniSegOn, Scales
from zoo.pretrained import unpublished
from zoo.registry import register_model

CHANNELS = (24, 240, 480, 960)
"""Channels of the encoder's maps at 1/4, 1/8, 1/16 and 1/32 of the input's size."""

_UNITS = (4, 8, 4)
_GROUPS = 3


class Unit(nn.Module):
    """ShuffleNet unit (figure 2 of the paper).

    Args:
        in_channels: Channels in.
        out_channels: Channels out. Where they differ, the size is halved and the pooled input is
            joined; otherwise the input is added.
        first_groups: Groups of the first 1x1.
    """

    def __init__(self, in_channels: int, out_channels: int, first_groups: int = _GROUPS) -> None:
        super().__init__()
        self.halves = in_channels != out_channels
        width = out_channels // 4
        made = out_channels - in_channels if self.halves else out_channels
        stride = 2 if self.halves else 1
        self.reduce = ConvBNAct(in_channels, width, 1, groups=first_groups, bias=True)
        self.expand = nn.Sequential(
            ConvBNAct(width, width, stride=stride, groups=width, bias=True, act=None),
            ConvBNAct(width, made, 1, groups=_GROUPS, bias=True, act=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map `out_channels` wide."""
        shuffled = self.reduce(x).unflatten(1, (_GROUPS, -1)).transpose(1, 2).flatten(1, 2)
        made = self.expand(shuffled)
        # Functions, not modules: the table's operations hold neither this pooling nor this ReLU.
        if self.halves:
            return F.relu(torch.cat([F.avg_pool2d(x, 3, stride=2, padding=1), made], dim=1))
        return F.relu(x + made)


class ShuffleNetEncoder(Scales):
    """ShuffleNet 1.0x without its classifier, in four scales `CHANNELS` wide."""

    def __init__(self, in_channels: int) -> None:
        before = CHANNELS[0]
        scales = [
            nn.Sequential(
                nn.Conv2d(in_channels, before, 3, stride=2, padding=1),
                nn.MaxPool2d(3, stride=2, padding=1),
            )
        ]
        for channels, units in zip(CHANNELS[1:], _UNITS, strict=True):
            # So few channels come into the first of all that its 1x1 is not grouped.
            groups = 1 if before == CHANNELS[0] else _GROUPS
            more = (Unit(channels, channels) for _ in range(units - 1))
            scales.append(nn.Sequential(Unit(before, channels, groups), *more))
            before = channels
        super().__init__(scales)


@register_model(
    "shufflenet-miniseg",
    paper="ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    reference="arXiv 1707.01083; decoder: arXiv 2004.09750v1",
    year=2017,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/ShuffleNet",),
    params=1_805_162,
    macs=2_266_939_392,
    encoder="encoder",
    weights="none published",
    min_size=33,
    notes="Under 33 pixels the deepest map is one pixel, too little for batch normalisation to "
    "train on a batch of one.",
    published="Table III prints 916.92K, the encoder alone; with the MiniSeg decoder (888,242), "
    "which the row is about, it is 1,805,162.",
)
def shufflenet_miniseg(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """ShuffleNet 1.0x of three groups with MiniSeg's decoder.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: A .safetensors file of the encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: Other weights are asked for; nobody has published any that fit.
    """
    if weights is not None:
        raise unpublished(weights, "shufflenet-miniseg")
    return MiniSegOn(ShuffleNetEncoder(in_channels), CHANNELS, num_classes)
