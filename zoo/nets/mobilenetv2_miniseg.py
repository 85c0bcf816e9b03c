"""MobileNetV2 1.0x (arXiv 1801.04381) under MiniSeg's decoder: row MobileNetv2 of Table III.

2,366,114 parameters: 2,223,872 of the encoder (torchvision's, with the last 1x1 of 320 to 1280
channels, without the classifier) and 142,242 of the decoder, which has one head.

The paper says that such encoders were given MiniSeg's decoder, but prints the size (2.17M =
2,223,872 / 1024 / 1000) and the operations of the encoder alone.
"""

from __future__ import annotations

from torch import nn

from zoo.miniseg_encoders import MiniSegOn, Scales
from zoo.pretrained import fit_channels, imagenet_weights
from zoo.registry import register_model

CHANNELS = (16, 24, 32, 96, 1280)
"""Channels of the encoder's maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size."""

_STARTS = (0, 2, 4, 7, 14)
"""Where the layers of each of those scales start in torchvision's `features`."""


class MobileNetV2Encoder(Scales):
    """torchvision's MobileNetV2 1.0x without its classifier, in five scales `CHANNELS` wide.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for torchvision's first ImageNet weights; None for random ones.
    """

    def __init__(self, in_channels: int, weights: str | None) -> None:
        from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

        network = mobilenet_v2()
        if weights is not None:
            state = imagenet_weights(weights, MobileNet_V2_Weights.IMAGENET1K_V1)
            network.load_state_dict(state)
        layers = network.features
        if in_channels != 3:
            stem = layers[0][0]
            layers[0][0] = nn.Conv2d(in_channels, stem.out_channels, 3, 2, 1, bias=False)
            if weights is not None:
                filters = fit_channels(stem.weight.detach(), in_channels)
                layers[0][0].weight = nn.Parameter(filters)
        ends = (*_STARTS[1:], len(layers))
        super().__init__(layers[start:end] for start, end in zip(_STARTS, ends, strict=True))


@register_model(
    "mobilenetv2-miniseg",
    paper="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    reference="arXiv 1801.04381; decoder: arXiv 2004.09750v1",
    year=2018,
    tags=("demo", "miniseg-table3", "lightweight"),
    rows=("miniseg-table3/MobileNetv2",),
    params=2_366_114,
    macs=1_812_889_600,
    encoder="encoder",
    weights="torchvision MobileNet_V2_Weights.IMAGENET1K_V1, BSD-3-Clause",
    min_size=33,
    notes="Under 33 pixels the deepest map is one pixel, too little for batch normalisation to "
    "train on a batch of one.",
    published="Table III prints 2.17M, the encoder alone (2,223,872 / 1024 / 1000); with the "
    "MiniSeg decoder (142,242), which the row is about, it is 2,366,114.",
)
def mobilenetv2_miniseg(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """MobileNetV2 1.0x with MiniSeg's decoder: 2,366,114 parameters."""
    return MiniSegOn(MobileNetV2Encoder(in_channels, weights), CHANNELS, num_classes)
