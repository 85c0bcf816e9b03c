"""Attention U-Net with VGG16 as encoder: 21,954,254 parameters with 3 input channels and 2 classes.

Paper: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", arXiv 1804.03999;
encoder: "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv 1409.1556. It
stands for the row AU-Net+VGG16 of CHS-Net's Table 3, which prints 22 million and nothing else of
the network. It is `zoo.nets.unet_vgg16` with the gate of `zoo.nets.attention_unet` on each of the
four skip connections; the gates add 0.26 million.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.nets.attention_unet import AttentionGate
from zoo.nets.unet_vgg16 import WIDTHS, VGG16UNet
from zoo.registry import register_model


class VGG16AttentionUNet(VGG16UNet):
    """U-Net on VGG16 whose skip connections pass additive attention gates."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__(in_channels, num_classes, weights)
        self.gates = nn.ModuleList(AttentionGate(c, c // 2) for c in WIDTHS)

    def skip(self, level: int, encoded: Tensor, upsampled: Tensor) -> Tensor:
        """The skip connection of a level, gated by the upsampled map of the decoder."""
        return self.gates[level](encoded, upsampled)


@register_model(
    "attention-unet-vgg16",
    paper="Attention U-Net: Learning Where to Look for the Pancreas",
    reference="arXiv 1804.03999; encoder: arXiv 1409.1556",
    year=2018,
    tags=("chsnet-table3",),
    rows=("chsnet-table3/AU-Net+VGG16",),
    params=21_954_254,
    macs=162_888_941_568,
    encoder="encoder",
    weights="torchvision VGG16_BN_Weights.IMAGENET1K_V1, BSD-3-Clause",
    divisor=16,
    notes="The row tells the encoder and a rounded size, no more; the decoder is that of "
    "unet-vgg16. The gate's signal is the decoder's map after its upsampling.",
    published="CHS-Net prints 22M, as built.",
)
def attention_unet_vgg16(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """Attention U-Net on VGG16 with batch norm.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return VGG16AttentionUNet(in_channels, num_classes, weights)
