"""SegNet on VGG16: 29,444,162 parameters with 3 input channels and 2 classes.

Paper: Badrinarayanan, Kendall, Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture
for Image Segmentation", arXiv 1511.00561. It stands for the row SegNet+VGG16 of Table 3 of CHS-Net
(arXiv 2012.07079). That paper names the encoder and prints 29.4M and no more; the SegNet of
`zoo.nets.segnet`, whose encoder is VGG16 already, has that size, so the two rows are one network.
"""

from __future__ import annotations

from torch import nn

from zoo.nets.segnet import SegNet
from zoo.registry import register_model


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
    weights="torchvision VGG16_BN_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="The network of segnet under the name of its row in CHS-Net's table. Its count rounds to "
    "the 29.4M printed there, with one class (29,443,585) as with two; whether that paper's had "
    "batch normalisation, which makes no difference to the printed digits, it does not say.",
)
def segnet_vgg16(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
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
