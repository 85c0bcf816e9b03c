"""UPerNet on Swin-T: 58,942,140 parameters with 3 input channels and 2 classes.

Papers: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", arXiv 1807.10221; Liu et
al., "Swin Transformer", arXiv 2103.14030. The decoder is that of segmentation-models-pytorch (MIT)
at the 512 channels with which the paper of the encoder uses it; the encoder is `zoo.swin`, which
takes images of any size.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.blocks import resize
from zoo.encoders import smp
from zoo.registry import register_model
from zoo.swin import Swin

CHANNELS = (96, 192, 384, 768)
WIDTH = 512
"""Channels of the decoder."""


class UPerNetSwin(nn.Module):
    """Swin-T and UPerNet's decoder; height and width of the image must be multiples of 32.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = Swin(in_channels, weights)
        # The library counts a map of full size and one of half, which this encoder hasn't.
        self.decoder = smp().decoders.upernet.decoder.UPerNetDecoder(
            (in_channels, 0, *CHANNELS), decoder_channels=WIDTH
        )
        self.head = nn.Conv2d(WIDTH, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        maps = [each.permute(0, 3, 1, 2) for each in self.encoder(image)]
        height, width = image.shape[-2:]
        return resize(self.head(self.decoder([image, image, *maps])), (height, width))


@register_model(
    "upernet-swin-tiny",
    paper="Unified Perceptual Parsing for Scene Understanding",
    reference="arXiv 1807.10221; encoder: arXiv 2103.14030",
    year=2018,
    tags=("modern",),
    params=58_942_140,
    macs=235_623_278_464,
    encoder="encoder",
    weights="timm swin_tiny_patch4_window7_224.ms_in1k (Microsoft's, MIT); they expect images "
    "normalised by ImageNet's mean and deviation",
    divisor=32,
    batch1=False,
    notes="The decoder is that of segmentation-models-pytorch (MIT) with 512 channels; "
    "smp:upernet/tu-swin_tiny_patch4_window7_224 is another network, with 256. Maps are padded to "
    "whole windows of 7 inside, unseen by attention; timm's, in that other network, lets opposite "
    "borders see each other where it pads.",
    published="The Swin paper prints 60M with 150 classes: 59,018,064 here, and an auxiliary head "
    "of about 0.9M that its training adds.",
)
def upernet_swin_tiny(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """UPerNet on Swin-T.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return UPerNetSwin(in_channels, num_classes, weights)
