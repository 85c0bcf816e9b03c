"""Small parts that CGNet, ESPNet and ESPNetv2 share."""

from __future__ import annotations

from torch import nn


def norm_act(channels: int, eps: float = 1e-5) -> nn.Sequential:
    """Batch normalisation and PReLU.

    Args:
        channels: Channels in and out.
        eps: Epsilon of the batch normalisation.
    """
    return nn.Sequential(nn.BatchNorm2d(channels, eps=eps), nn.PReLU(channels))


def halving(times: int = 1) -> nn.Sequential:
    """Average-pooling to half the size, rounded up, done once or more; without parameters."""
    return nn.Sequential(*(nn.AvgPool2d(3, stride=2, padding=1) for _ in range(times)))
