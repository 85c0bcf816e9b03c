"""Atrous spatial pyramid pooling of DeepLabv3 (arXiv 1706.05587) and DeepLabv3+."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling with the image's own mean as one more branch.

    Args:
        in_channels: Channels in.
        channels: Channels of every branch, and out.
        rates: Dilations of the 3x3 branches.
    """

    def __init__(self, in_channels: int, channels: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                ConvBNAct(in_channels, channels, 1),
                *(ConvBNAct(in_channels, channels, dilation=rate) for rate in rates),
            ]
        )
        self.image = ConvBNAct(in_channels, channels, 1)
        self.project = nn.Sequential(
            ConvBNAct((len(rates) + 2) * channels, channels, 1), nn.Dropout(0.5)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, channels, H, W)` at the size of `x`."""
        image = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return self.project(torch.cat([*(branch(x) for branch in self.branches), image], dim=1))
