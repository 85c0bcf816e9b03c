"""MobileNet 1.0x (arXiv 1704.04861) under MiniSeg's decoder: row MobileNet of Table III.

4,274,626 parameters: 3,206,976 of the encoder (without the classifier) and 1,067,650 of the
decoder, which has one head. The table prints the size and the operations of the encoder alone.

The paper leaves open which maps are the scales; they are the last ones before each halving of the
size, the first after the block of 64 channels. Activations are its ReLU; timm's weights, which
fit, were trained with ReLU6.
"""

from __future__ import annotations

from torch import nn

from zoo.blocks import ConvBNAct
from zoo.miniseg_encoders import MiniSegOn, Scales
from zoo.pretrained import fit_channels, timm_weights
from zoo.registry import register_model

WIDTHS = ((64,), (128,) * 2, (256,) * 2, (512,) * 6, (1024,) * 2)
"""Channels of the blocks at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size."""


class MobileNetEncoder(Scales):
    """MobileNet 1.0x without its classifier.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for timm's ImageNet weights; None for random ones.
    """

    def __init__(self, in_channels: int, weights: str | None) -> None:
        channels = 32
        scales = []
        for number, widths in enumerate(WIDTHS):
            # The stem halves the size for the first scale, a block for each of the others.
            layers: list[nn.Module] = [] if number else [ConvBNAct(in_channels, channels, stride=2)]
            stride = 2 if number else 1
            for width in widths:
                layers.append(separable(channels, width, stride))
                channels, stride = width, 1
            scales.append(nn.Sequential(*layers))
        super().__init__(scales)
        if weights is not None:
            state = timm_weights(weights, "mobilenetv1_100.ra4_e3600_r224_in1k")
            state["conv_stem.weight"] = fit_channels(state["conv_stem.weight"], in_channels)
            values = [each for name, each in state.items() if not name.startswith("classifier.")]
            # Theirs come in the same order under other names.
            self.load_state_dict(dict(zip(self.state_dict(), values, strict=True)))


def separable(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """A depthwise 3x3 and a 1x1 convolution, each with batch norm and ReLU."""
    return nn.Sequential(
        ConvBNAct(in_channels, in_channels, stride=stride, groups=in_channels),
        ConvBNAct(in_channels, out_channels, 1),
    )


@register_model(
    "mobilenet-miniseg",
    paper="MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    reference="arXiv 1704.04861; decoder: arXiv 2004.09750v1",
    year=2017,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/MobileNet",),
    params=4_274_626,
    macs=6_337_200_128,
    encoder="encoder",
    weights="timm mobilenetv1_100.ra4_e3600_r224_in1k, Apache-2.0",
    min_size=33,
    notes="Under 33 pixels the deepest map is one pixel, too little for batch normalisation to "
    "train on a batch of one. The ImageNet weights were trained with ReLU6, the network has ReLU.",
    published="Table III prints 3.13M, the encoder alone (3,206,976 / 1024 / 1000); with the "
    "MiniSeg decoder (1,067,650), which the row is about, it is 4,274,626.",
)
def mobilenet_miniseg(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """MobileNet 1.0x with MiniSeg's decoder.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    channels = [widths[-1] for widths in WIDTHS]
    return MiniSegOn(MobileNetEncoder(in_channels, weights), channels, num_classes)
