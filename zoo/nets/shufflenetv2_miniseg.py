"""ShuffleNet V2 1.0x (arXiv 1807.11164) under MiniSeg's decoder: row ShuffleNetv2 of Table III.

1,597,702 parameters: 1,253,604 of the encoder (torchvision's, with the last 1x1 of 464 to 1024
channels, without the classifier) and 344,098 of the decoder, which has one head. The table prints
the size and the operations of the encoder alone.

The paper leaves open where the last 1x1 stands; it belongs to the deepest scale, as the decoder's
count tells.
"""

from __future__ import annotations

from torch import nn

from zoo.miniseg_encoders import MiniSegOn, Scales
from zoo.pretrained import fit_channels, imagenet_weights
from zoo.registry import register_model

CHANNELS = (24, 116, 232, 1024)
"""Channels of the encoder's maps at 1/4, 1/8, 1/16 and 1/32 of the input's size."""


class ShuffleNetV2Encoder(Scales):
    """torchvision's ShuffleNet V2 1.0x without its classifier, in four scales `CHANNELS` wide.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for torchvision's ImageNet weights; None for random ones.
    """

    def __init__(self, in_channels: int, weights: str | None) -> None:
        from torchvision.models import ShuffleNet_V2_X1_0_Weights, shufflenet_v2_x1_0

        network = shufflenet_v2_x1_0()
        if in_channels != 3:
            network.conv1[0] = nn.Conv2d(in_channels, 24, 3, stride=2, padding=1, bias=False)
        if weights is not None:
            state = imagenet_weights(weights, ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1)
            state["conv1.0.weight"] = fit_channels(state["conv1.0.weight"], in_channels)
            network.load_state_dict(state)
        super().__init__(
            [
                nn.Sequential(network.conv1, network.maxpool),
                network.stage2,
                network.stage3,
                nn.Sequential(network.stage4, network.conv5),
            ]
        )


@register_model(
    "shufflenetv2-miniseg",
    paper="ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
    reference="arXiv 1807.11164; decoder: arXiv 2004.09750v1",
    year=2018,
    tags=("miniseg-table3", "lightweight"),
    rows=("miniseg-table3/ShuffleNetv2",),
    params=1_597_702,
    macs=1_291_196_416,
    encoder="encoder",
    weights="torchvision ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1, BSD-3-Clause",
    min_size=33,
    notes="Under 33 pixels the deepest map is one pixel, too little for batch normalisation to "
    "train on a batch of one.",
    published="Table III prints 1.22M, the encoder alone (1,253,604 / 1024 / 1000); with the "
    "MiniSeg decoder (344,098), which the row is about, it is 1,597,702.",
)
def shufflenetv2_miniseg(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """ShuffleNet V2 1.0x with MiniSeg's decoder.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return MiniSegOn(ShuffleNetV2Encoder(in_channels, weights), CHANNELS, num_classes)
