"""SegNet: 29,444,162 parameters with 3 input channels and 2 classes.

Paper: Badrinarayanan, Kendall, Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture
for Image Segmentation", arXiv 1511.00561. It stands for the row SegNet of MiniSeg's Table III. The
encoder is the thirteen convolutions of VGG16 with batch normalisation; the decoder mirrors them and
puts values back where the encoder's max-pooling took them. Its last convolution, which the paper
leaves open, is a plain one that gives the logits, as the row's count tells.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.backbones import vgg16_scales
from zoo.blocks import ConvBNAct
from zoo.registry import register_model
from zoo.unpool import max_unpool

DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))
"""Channels that the decoder's convolutions give, a tuple a scale, deepest first."""


class SegNet(nn.Module):
    """SegNet on VGG16.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = vgg16_scales(in_channels, weights)
        self.decoder = nn.ModuleList()
        channels = 512
        for widths in DECODER:
            layers = []
            for width in widths:
                layers.append(ConvBNAct(channels, width, bias=True))
                channels = width
            self.decoder.append(nn.Sequential(*layers))
        self.head = nn.Conv2d(channels, num_classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        poolings: list[tuple[Tensor, tuple[int, int]]] = []
        for encode in self.encoder:
            x = encode(x)
            size = (x.shape[-2], x.shape[-1])
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            poolings.append((indices, size))
        for decode in self.decoder:
            x = decode(max_unpool(x, *poolings.pop()))
        return self.head(x)


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
    weights="torchvision VGG16_BN_Weights.IMAGENET1K_V1, BSD-3-Clause",
    published="The table's 160.44G leaves out the ReLUs, which the counted code called as "
    "functions.",
    notes="Max-unpooling is a scatter, so that the network can be traced.",
)
def segnet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """SegNet on VGG16.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return SegNet(in_channels, num_classes, weights)
