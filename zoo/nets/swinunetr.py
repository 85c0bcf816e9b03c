"""Swin UNETR: 25,139,324 parameters with 3 input channels and 2 classes.

Paper: Hatamizadeh et al., "Swin UNETR: Swin Transformers for Semantic Segmentation of Brain Tumors
in MRI Images", arXiv 2201.01266. A Swin transformer on patches of 2x2 (four stages of two blocks,
windows of 7, 3 to 24 heads, 48 channels doubled at each stage) under a U-shaped decoder of residual
blocks with instance normalisation. Here in 2-D, from MONAI (Apache-2.0).
"""

from __future__ import annotations

from torch import nn

from zoo.errors import CovbenchError
from zoo.monai_nets import from_monai
from zoo.registry import register_model


@register_model(
    "swinunetr",
    paper="Swin UNETR: Swin Transformers for Semantic Segmentation of Brain Tumors in MRI Images",
    reference="arXiv 2201.01266",
    year=2022,
    tags=("modern",),
    params=25_139_324,
    macs=71_133_536_832,
    encoder="swinViT",
    divisor=32,
    min_size=64,
    requires=("monai", "einops"),
    notes="MONAI's SwinUNETR (Apache-2.0) in 2-D, with the paper's 48 channels (MONAI's default "
    "is 24, the option feature_size). The paper's network is 3-D, and the weights that its "
    "authors pretrained on CT don't fit. At the edges, windows hold zeros where the map does not "
    "fill them, and attend to them. On images under 112 pixels the last map is smaller than a "
    "window, and MONAI then looks up the biases of the wrong distances.",
    published="The paper prints 61.98M for 3-D; MONAI's 3-D network has 62,191,941 for 4 channels "
    "and 3 classes. In 2-D kernels, patches and windows lose one axis.",
)
def swinunetr(in_channels: int, num_classes: int, *, feature_size: int = 48) -> nn.Module:
    """Swin UNETR in 2-D.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        feature_size: Channels of the first stage, a multiple of 12.

    Returns:
        The network.

    Raises:
        CovbenchError: The channels can't be split into heads.
    """
    if feature_size < 12 or feature_size % 12:
        raise CovbenchError(
            f"swinunetr can't have a feature_size of {feature_size}.",
            "Give a multiple of 12, such as feature_size=24.",
        )
    network: nn.Module = from_monai(
        lambda nets: nets.SwinUNETR(
            in_channels=in_channels,
            out_channels=num_classes,
            spatial_dims=2,
            depths=(2, 2, 2, 2),
            num_heads=(3, 6, 12, 24),
            window_size=7,
            feature_size=feature_size,
        )
    )
    return network
