"""UNet++: 36,629,698 parameters with 3 input channels and 2 classes.

Paper: Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation", arXiv
1807.10165. It stands for the row UNet++ of MiniSeg's Table III, whose count tells the variant: the
widths of the original U-Net (64 to 1024), the whole grid of nested skip connections, bilinear
enlargement without a convolution, a single head on the last node and no deep supervision.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.nets.unet import double_conv
from zoo.registry import register_model


class UNetPP(nn.Module):
    """The grid of nodes X(i, j): scale i, j steps towards the decoder.

    Height and width must be multiples of 16.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        widths: Channels of every scale, from the full resolution down.
    """

    def __init__(
        self, in_channels: int, num_classes: int, widths: Sequence[int] = (64, 128, 256, 512, 1024)
    ) -> None:
        super().__init__()
        before = (in_channels, *widths[:-1])
        self.encoder = nn.ModuleList(
            double_conv(shallow, deep) for shallow, deep in zip(before, widths, strict=True)
        )
        # Row j - 1 holds the nodes of column j, the shallowest scale first.
        self.nodes = nn.ModuleList(
            nn.ModuleList(
                double_conv(column * widths[scale] + widths[scale + 1], widths[scale])
                for scale in range(len(widths) - column)
            )
            for column in range(1, len(widths))
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the image's size."""
        grid: list[list[Tensor]] = []  # one list a scale, its nodes from left to right
        for encode in self.encoder:
            x = encode(self.pool(x) if grid else x)
            grid.append([x])
        for column in self.nodes:
            assert isinstance(column, nn.ModuleList)
            for scale, node in enumerate(column):
                deeper = self.up(grid[scale + 1][-1])
                grid[scale].append(node(torch.cat([*grid[scale], deeper], dim=1)))
            del grid[len(column)][:]  # no later node asks for them
        return self.head(grid[0][-1])


@register_model(
    "unetpp",
    paper="UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
    reference="arXiv 1807.10165",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/UNet++",),
    params=36_629_698,
    macs=551_316_094_976,
    divisor=16,
    notes="Without the paper's deep supervision, as the row's count tells.",
)
def unetpp(in_channels: int, num_classes: int) -> nn.Module:
    """UNet++ with 64 to 1024 channels and one head."""
    return UNetPP(in_channels, num_classes)
