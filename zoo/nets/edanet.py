"""EDANet, 681,818 parameters: row EDANet of Table III of MiniSeg (arXiv 2004.09750v1).

Efficient Dense Modules of Asymmetric Convolution for Real-Time Semantic Segmentation,
arXiv 1809.06323. Modules of a 1x1 convolution and two pairs of 3x1 and 1x3 ones, the second pair
dilated, each adding 40 maps to what it was given, as in DenseNet; 1/8 of the size at the deepest;
no decoder: logits are resized from 1/8, with aligned corners.

What the paper leaves open: all convolutions have a bias, as the table's count tells. An odd size
is rounded up where it is halved, so that any size will do. The ReLUs are functions, not modules:
the row's operations have none of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.corners import resize_corners
from zoo.registry import register_model

GROWTH = 40
"""Maps that each module adds."""
DILATIONS2 = (1, 1, 1, 2, 2)
DILATIONS3 = (2, 2, 4, 4, 8, 8, 16, 16)


class Down(nn.Module):
    """Halves the size: a strided convolution beside the max-pooled input, then BN and ReLU.

    Args:
        in_channels: Channels in.
        out_channels: Channels out; the convolution alone gives them if there are no more than in.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        widens = out_channels > in_channels
        width = out_channels - in_channels if widens else out_channels
        self.conv = nn.Conv2d(in_channels, width, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if widens else None
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """A map of half the size, rounded up."""
        out = self.conv(x)
        if self.pool is not None:
            out = torch.cat([out, self.pool(x)], dim=1)
        return F.relu(self.norm(out))


def asymmetric(channels: int, dilation: int) -> nn.Sequential:
    """A 3x1 and a 1x3 convolution, both dilated, then BN."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, (3, 1), padding="same", dilation=dilation),
        ConvBNAct(channels, channels, (1, 3), dilation=dilation, bias=True, act=None),
    )


class EDA(nn.Module):
    """Efficient dense module: joins `GROWTH` new maps to its input.

    Args:
        in_channels: Channels in.
        dilation: Dilation of the second pair of convolutions.
        dropout: Rate at which new maps are dropped.
    """

    def __init__(self, in_channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reduce = ConvBNAct(in_channels, GROWTH, 1, bias=True, act=None)
        self.plain = asymmetric(GROWTH, 1)
        self.dilated = asymmetric(GROWTH, dilation)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same size with `GROWTH` more channels, the new ones first."""
        new = F.relu(self.reduce(x))
        new = F.relu(self.dilated(F.relu(self.plain(new))))
        return torch.cat([self.dropout(new), x], dim=1)


def dense(in_channels: int, dilations: Iterable[int], dropout: float) -> nn.Sequential:
    """Modules one behind the other, one for each dilation."""
    return nn.Sequential(
        *(EDA(in_channels + i * GROWTH, d, dropout) for i, d in enumerate(dilations))
    )


class EDANet(nn.Module):
    """EDANet.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        dropout: Rate at which each module drops new maps.
    """

    def __init__(self, in_channels: int, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            Down(in_channels, 15),
            Down(15, 60),
            dense(60, DILATIONS2, dropout),
            Down(260, 130),
            dense(130, DILATIONS3, dropout),
        )
        self.head = nn.Conv2d(450, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return resize_corners(self.head(self.encoder(image)), like=image)


@register_model(
    "edanet",
    paper="Efficient Dense Modules of Asymmetric Convolution for Real-Time Semantic Segmentation",
    reference="arXiv 1809.06323",
    year=2018,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/EDANet",),
    params=681_818,
    macs=4_385_112_064,
    encoder="encoder",
    notes="An image of other than 3 channels changes the first convolution, so that the block "
    "keeps its 15; with 15 or more it is no longer pooled beside the convolution.",
)
def edanet(in_channels: int, num_classes: int, *, dropout: float = 0.02) -> nn.Module:
    """EDANet of arXiv 1809.06323: 681,818 parameters.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        dropout: Rate at which each module drops new maps.

    Returns:
        The network.
    """
    return EDANet(in_channels, num_classes, dropout=dropout)
