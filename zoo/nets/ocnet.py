"""OCNet: 52,859,970 parameters with 3 input channels and 2 classes.

Paper: Yuan and Wang, "OCNet: Object Context Network for Scene Parsing", arXiv 1809.00916. It
stands for the row OCNet of MiniSeg's Table III, whose counts tell the variant: ResNet-101 at output
stride 8 under the plain object context of one scale (Base-OC; the pyramid would give 57.7 million,
ASP-OC 83.5), without an auxiliary head. One transform makes both queries and keys, 256 wide, so
that the affinities are symmetric before they are normalised; they are scaled by 1 / sqrt(256).
Context is concatenated in front of the map itself.

Left open by the paper: the convolution back to 512 channels starts at the usual random values, not
at zero, and all of the module's 1x1 convolutions have a bias, as the count tells.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model


class ObjectContext(nn.Module):
    """For each pixel the mean over all others, weighted by likeness (self-attention).

    Args:
        channels: Channels in, and out.
        width: Channels in which pixels are compared and averaged.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.compare = ConvBNAct(channels, width, 1, bias=True)
        self.value = nn.Conv2d(channels, width, 1)
        self.out = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The context `(N, channels, H, W)` of a map of that shape."""
        key = self.compare(x).flatten(2).mT
        value = self.value(x).flatten(2).mT
        context = functional.scaled_dot_product_attention(key, key, value)
        return self.out(context.mT.unflatten(2, x.shape[-2:]))


class BaseOC(nn.Module):
    """Object context beside the map itself, fused by a 1x1 convolution.

    Args:
        channels: Channels in, and out.
        width: Channels of the attention.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.context = ObjectContext(channels, width)
        self.fuse = nn.Sequential(
            ConvBNAct(2 * channels, channels, 1, bias=True), nn.Dropout2d(0.05)
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return self.fuse(torch.cat([self.context(x), x], dim=1))


class OCNet(nn.Module):
    """ResNet-101 of output stride 8 under object context.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = resnet(101, in_channels, weights, output_stride=8)
        self.head = nn.Sequential(
            ConvBNAct(2048, 512), BaseOC(512, 256), nn.Conv2d(512, num_classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        return resize(self.head(self.encoder(x)), (x.shape[-2], x.shape[-1]))


@register_model(
    "ocnet",
    paper="OCNet: Object Context Network for Scene Parsing",
    reference="arXiv 1809.00916",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/OCNet",),
    params=52_859_970,
    macs=228_254_023_680,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="Base-OC, no auxiliary head. Attention is between all pixels at 1/8 of the size: its "
    "share of time grows with the fourth power of the image's side.",
    published="The table's operations run the transform that queries and keys share once for each: "
    "220.69G, of which 0.54G are spared here.",
)
def ocnet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """OCNet (Base-OC) on ResNet-101 at output stride 8.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return OCNet(in_channels, num_classes, weights)
