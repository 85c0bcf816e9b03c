"""SegNet: 29,444,162 parameters with 3 input channels and 2 classes.

Paper: Badrinarayanan, Kendall, Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture
for Image Segmentation", arXiv 1511.00561. It stands for the row SegNet of MiniSeg's Table III, and
for SegNet+VGG16 of CHS-Net's Table 3: its encoder is VGG16's thirteen convolutions with batch
norm, its decoder their mirror image behind max-unpooling, its last layer a 3x3 convolution to the
classes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.backbones import vgg16_scales
from zoo.blocks import ConvBNAct
from zoo.registry import register_model
from zoo.unpool import max_unpool

DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))
"""Channels out of the decoder's convolutions, the deepest scale first; the classes come after."""


class SegNetEncoder(nn.Module):
    """VGG16 that remembers where its poolings took their values from.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for pretrained convolutions, None for random ones.
    """

    def __init__(self, in_channels: int, weights: str | None) -> None:
        super().__init__()
        self.scales = vgg16_scales(in_channels, weights)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The map at 1/32 of the size, and the places of each pooling, the first one first."""
        places = []
        for scale in self.scales:
            x, indices = F.max_pool2d(scale(x), 2, return_indices=True)
            places.append(indices)
        return x, places


class SegNet(nn.Module):
    """Encoder, max-unpooling decoder; height and width must be multiples of 32."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = SegNetEncoder(in_channels, weights)
        scales, before = [], 512
        for widths in DECODER:
            layers: list[nn.Module] = []
            for width in widths:
                layers.append(ConvBNAct(before, width, bias=True))
                before = width
            scales.append(nn.Sequential(*layers))
        self.decoder = nn.ModuleList(scales)
        self.head = nn.Conv2d(before, num_classes, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        x, places = self.encoder(image)
        for scale, indices in zip(self.decoder, reversed(places), strict=True):
            size = (2 * x.shape[-2], 2 * x.shape[-1])
            x = scale(max_unpool(x, indices, size))
        return self.head(x)


WEIGHTS = "torchvision VGG16_BN_Weights.IMAGENET1K_V1, BSD-3-Clause"


@register_model(
    "segnet",
    paper="SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    reference="arXiv 1511.00561",
    year=2015,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/SegNet",),
    params=29_444_162,
    macs=160_205_635_584,
    encoder="encoder",
    weights=WEIGHTS,
    divisor=32,
    min_size=64,
    published="The table's 160.44G leaves out the ReLUs, which the counted code called as "
    "functions.",
    notes="Max-unpooling is a scatter, so that the network can be traced. Under 64 pixels the "
    "deepest map is one pixel, too little for batch normalisation to train on a batch of one.",
)
def segnet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """SegNet on VGG16 with batch norm: 29,444,162 parameters."""
    return SegNet(in_channels, num_classes, weights)


@register_model(
    "segnet-vgg16",
    paper="SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    reference="arXiv 1511.00561",
    year=2015,
    tags=("chsnet-table3",),
    rows=("chsnet-table3/SegNet+VGG16",),
    params=29_444_162,
    macs=160_205_635_584,
    encoder="encoder",
    weights=WEIGHTS,
    divisor=32,
    min_size=64,
    notes="The same network as segnet, whose encoder is VGG16's, under the name of its row.",
    published="CHS-Net prints 29.4M, as built.",
)
def segnet_vgg16(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """SegNet on VGG16, as CHS-Net's Table 3 names it."""
    return SegNet(in_channels, num_classes, weights)
