"""UNet++ with ResNet-50 as encoder: 37,656,130 parameters with 3 input channels and 2 classes.

Paper: Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation", arXiv
1807.10165; encoder: "Deep Residual Learning for Image Recognition", arXiv 1512.03385. It stands
for the row U-Net++ + ResNet50 of CHS-Net's Table 3, which prints 37.6 million and nothing else of
the network.

That total tells the decoder: it is the one that the Keras library of UNet++'s authors builds on a
ResNet-50 with transposed convolutions. Each node enlarges by a 4x4 transposed convolution and joins
all maps to its left by one 3x3 convolution; the library hands its widths 256 to 16 to the scales in
an order that leaves 16 channels for the nodes at 1/16 of the size and 32, 64, 128, 256 for the full
resolution to 1/8. With 16 to 256 in the order of the scales it would be 40.9 million. There is no
skip connection at the full resolution, and no deep supervision. The library's ResNet-50 applies
its activations before the convolutions; here it is torchvision's, with 7,549 parameters more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.backbones import ResNetEncoder, resnet
from zoo.blocks import ConvBNAct
from zoo.registry import register_model

ENCODED = (64, 256, 512, 1024, 2048)
"""Channels of the encoder's maps, from 1/2 to 1/32 of the size."""

WIDTHS = (64, 128, 256, 16)
"""Channels of the nodes behind them, from 1/2 to 1/16 of the size."""

FULL = 32
"""Channels of the only node at the full resolution."""


class Node(nn.Module):
    """Enlarges the map from below and joins it with the maps of its own scale.

    Args:
        below: Channels of the map from below.
        beside: Channels of the maps of its own scale together; 0 for none.
        width: Channels out.
    """

    def __init__(self, below: int, beside: int, width: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(below, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.join = ConvBNAct(width + beside, width)

    def forward(self, below: Tensor, beside: Sequence[Tensor] = ()) -> Tensor:
        """A map of twice the size of the one from below."""
        return self.join(torch.cat([self.up(below), *beside], dim=1))


def encoded_maps(encoder: ResNetEncoder, x: Tensor) -> list[Tensor]:
    """The maps of a ResNet at 1/2, 1/4, ... 1/32 of the size: its stem's and its stages'."""
    maps = []
    for name, child in encoder.named_children():
        x = child(x)
        if name == "relu" or name.startswith("layer"):
            maps.append(x)
    return maps


class ResNetUNetPP(nn.Module):
    """A ResNet-50 and the nested decoder; height and width must be multiples of 32.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = resnet(50, in_channels, weights)
        # Row j - 1 holds the nodes of column j, the shallowest scale first.
        self.nodes = nn.ModuleList(
            nn.ModuleList(
                Node(
                    ENCODED[scale + 1] if column == 1 else WIDTHS[scale + 1],
                    ENCODED[scale] + (column - 1) * WIDTHS[scale],
                    WIDTHS[scale],
                )
                for scale in range(len(ENCODED) - column)
            )
            for column in range(1, len(ENCODED))
        )
        self.full = Node(WIDTHS[0], 0, FULL)
        self.head = nn.Conv2d(FULL, num_classes, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        # One list a scale, its nodes from left to right.
        grid = [[encoded] for encoded in encoded_maps(self.encoder, image)]
        for column in self.nodes:
            assert isinstance(column, nn.ModuleList)
            for scale, node in enumerate(column):
                grid[scale].append(node(grid[scale + 1][-1], grid[scale]))
        return self.head(self.full(grid[0][-1]))


@register_model(
    "unetpp-resnet50",
    paper="UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
    reference="arXiv 1807.10165; encoder: arXiv 1512.03385",
    year=2018,
    tags=("chsnet-table3",),
    rows=("chsnet-table3/U-Net++ + ResNet50",),
    params=37_656_130,
    macs=129_769_930_752,
    encoder="encoder",
    weights="torchvision ResNet50_Weights.IMAGENET1K_V1, BSD-3-Clause",
    divisor=32,
    min_size=64,
    notes="The row tells the encoder and a rounded size, no more; the decoder, with its narrow "
    "nodes at 1/16 of the size, is the one whose count fits. Under 64 pixels the deepest map is "
    "one pixel, too little for batch normalisation to train on a batch of one.",
    published="CHS-Net prints 37.6M: 37,648,292 with one class and a ResNet-50 whose activations "
    "come before its convolutions (7,549 fewer), where this one is torchvision's.",
)
def unetpp_resnet50(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """UNet++ on ResNet-50.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return ResNetUNetPP(in_channels, num_classes, weights)
