"""DANet: 66,426,564 parameters with 3 input channels and 2 classes.

Paper: Fu et al., "Dual Attention Network for Scene Segmentation", arXiv 1809.02983. It stands for
the row DANet of MiniSeg's Table III, whose counts tell the backbone, ResNet-101 at output stride 8,
and that neither of the two attentions has a head of its own. Queries and keys of the positions are
512 / 8 = 64 wide, their products are not scaled, and both attentions start at a weight of zero.

The paper normalises the likeness of two channels by a softmax as it is. Here, as in the network
that the row counted, it is first subtracted from the row's largest, so that a channel takes most
from those unlike it: a channel's product with itself is so much larger than all others that the
softmax of the likeness itself would give back the channel alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.precision import no_autocast
from zoo.registry import register_model


class PositionAttention(nn.Module):
    """Adds to each pixel a mean over all pixels, weighted by likeness (section 3.2).

    Args:
        channels: Channels in, and out.
        reduction: How many times fewer channels queries and keys have.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // reduction, 1)
        self.key = nn.Conv2d(channels, channels // reduction, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        query, key, value = (layer(x).flatten(2).mT for layer in (self.query, self.key, self.value))
        context = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.alpha * context.mT.unflatten(2, x.shape[-2:])


class ChannelAttention(nn.Module):
    """Adds to each channel a mean over all channels, weighted by unlikeness (section 3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        # Sums over the whole map stand in an exponent: bfloat16 would round them by whole units.
        with no_autocast(x.device.type):
            rows = x.float().flatten(2)
            likeness = rows @ rows.mT
            weights = (likeness.amax(2, keepdim=True) - likeness).softmax(dim=2)
            context = weights @ rows
        return x + self.beta * context.to(x.dtype).view_as(x)


class DualAttention(nn.Module):
    """Position and channel attention side by side, each between 3x3 convolutions, summed.

    Args:
        in_channels: Channels in.
        channels: Channels of both branches, and out.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                ConvBNAct(in_channels, channels), attention, ConvBNAct(channels, channels)
            )
            for attention in (PositionAttention(channels), ChannelAttention())
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, channels, H, W)` at the size of `x`."""
        position, channel = (branch(x) for branch in self.branches)
        return position + channel


class DANet(nn.Module):
    """ResNet-101 of output stride 8 under two attentions.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = resnet(101, in_channels, weights, output_stride=8)
        self.head = nn.Sequential(
            DualAttention(2048, 512), nn.Dropout(0.1), nn.Conv2d(512, num_classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        return resize(self.head(self.encoder(x)), (x.shape[-2], x.shape[-1]))


@register_model(
    "danet",
    paper="Dual Attention Network for Scene Segmentation",
    reference="arXiv 1809.02983",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/DANet",),
    params=66_426_564,
    macs=287_041_388_544,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="No heads on the single attentions. Both attentions start at a weight of zero, so that "
    "in the first step only those two weights learn from them. Attention is between all pixels at "
    "1/8 of the size: its share of time grows with the fourth power of the image's side.",
)
def danet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DANet on ResNet-101 at output stride 8.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return DANet(in_channels, num_classes, weights)
