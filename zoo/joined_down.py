"""Halving the size by a strided convolution beside max-pooling, as ERFNet and DABNet do it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.blocks import Activation


class JoinedDown(nn.Module):
    """A strided 3x3 convolution, joined with the max-pooled input; then BN and activation.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, more than in; the convolution gives what pooling does not.
        act: Builds the activation.
        bias: Whether the convolution has a bias.
        eps: Epsilon of the batch normalisation.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, act: Activation, bias: bool, eps: float
    ) -> None:
        super().__init__()
        width = out_channels - in_channels
        self.conv = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=bias)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.after = nn.Sequential(nn.BatchNorm2d(out_channels, eps=eps), act(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """A map of half the size, rounded up; the pooled channels last."""
        return self.after(torch.cat([self.conv(x), self.pool(x)], dim=1))
