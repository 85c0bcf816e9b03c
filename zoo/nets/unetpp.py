"""UNet++: 36,629,698 parameters with 3 input channels and 2 classes.

Paper: Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation", arXiv
1807.10165. It stands for the row UNet++ of MiniSeg's Table III, whose count tells that its widths
are 64 to 1024 (twice the paper's), that convolutions are followed by batch normalisation, that
upsampling (bilinear, with aligned corners) has no convolution, and that the one head is on the last
node, without deep supervision.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.corners import resize_corners
from zoo.nets.unet import double_conv
from zoo.registry import register_model


class UNetPlusPlus(nn.Module):
    """U-Net whose skip connections are dense rows of nodes.

    Node j of level i sees the j nodes before it in its row and, enlarged, node j-1 of the level
    below (the paper's equation 1).

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        widths: Channels of every level, from the full resolution down.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
    ) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            double_conv(shallow, deep) for shallow, deep in pairwise((in_channels, *widths))
        )
        self.pool = nn.MaxPool2d(2)
        # columns[j - 1][i] is node j of level i.
        self.columns = nn.ModuleList(
            nn.ModuleList(
                double_conv(j * widths[i] + widths[i + 1], widths[i])
                for i in range(len(widths) - j)
            )
            for j in range(1, len(widths))
        )
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        rows: list[list[Tensor]] = []
        for encode in self.encoder:
            x = encode(self.pool(x) if rows else x)
            rows.append([x])
        for j, column in enumerate(self.columns, start=1):
            assert isinstance(column, nn.ModuleList)
            for i, node in enumerate(column):
                below = resize_corners(rows[i + 1][j - 1], like=rows[i][0])
                rows[i].append(node(torch.cat((*rows[i], below), dim=1)))
        return self.head(rows[0][-1])


@register_model(
    "unetpp",
    paper="UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
    reference="arXiv 1807.10165",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/UNet++",),
    params=36_629_698,
    macs=551_316_094_976,
    notes="Twice the paper's widths, batch normalisation, bilinear upsampling without a "
    "convolution and no deep supervision, as the table's count tells.",
)
def unetpp(in_channels: int, num_classes: int) -> nn.Module:
    """UNet++ with 64 to 1024 channels and one head."""
    return UNetPlusPlus(in_channels, num_classes)
