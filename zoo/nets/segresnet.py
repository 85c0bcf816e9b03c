"""SegResNet: 6,299,106 parameters with 3 input channels and 2 classes.

Paper: Myronenko, "3D MRI brain tumor segmentation using autoencoder regularization", arXiv
1810.11654, which won BraTS 2018. A residual encoder of 1, 2, 2 and 4 blocks with 32 to 256
channels, group normalisation before each convolution, and a slim decoder of one block a level that
adds the encoder's maps. Here in 2-D, from MONAI (Apache-2.0). As in MONAI's SegResNet the
variational branch, which only serves to regularise the encoder, is left out.
"""

from __future__ import annotations

from torch import nn

from zoo.errors import CovbenchError
from zoo.monai_nets import from_monai
from zoo.registry import register_model

GROUPS = 8


@register_model(
    "segresnet",
    paper="3D MRI brain tumor segmentation using autoencoder regularization",
    reference="arXiv 1810.11654",
    year=2018,
    tags=("modern",),
    params=6_299_106,
    macs=62_251_859_968,
    divisor=8,
    overfit_steps=80,
    requires=("monai",),
    notes="MONAI's SegResNet (Apache-2.0) in 2-D, without the paper's variational branch, with its "
    "32 filters (MONAI's default is 8, the option filters) and its dropout of whole channels at a "
    "rate of 0.2 behind the first convolution. The paper's network is 3-D.",
    published="The paper prints no count.",
)
def segresnet(
    in_channels: int, num_classes: int, *, filters: int = 32, dropout: float = 0.2
) -> nn.Module:
    """SegResNet in 2-D.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        filters: Channels of the first level, a multiple of 8; each level doubles them.
        dropout: Rate at which channels behind the first convolution are dropped in training.

    Returns:
        The network.

    Raises:
        CovbenchError: The filters can't be grouped, or the rate is none.
    """
    if filters < GROUPS or filters % GROUPS:
        raise CovbenchError(
            f"segresnet can't have {filters} filters.",
            f"Its normalisation has {GROUPS} groups: give a multiple, such as filters=16.",
        )
    if not 0 <= dropout < 1:
        raise CovbenchError(
            f"segresnet can't drop channels at a rate of {dropout}.",
            "Give a number from 0 up to, not including, 1, such as dropout=0.2.",
        )
    network: nn.Module = from_monai(
        lambda nets: nets.SegResNet(
            spatial_dims=2,
            init_filters=filters,
            in_channels=in_channels,
            out_channels=num_classes,
            dropout_prob=dropout,
            norm=("GROUP", {"num_groups": GROUPS}),
            blocks_down=(1, 2, 2, 4),
            blocks_up=(1, 1, 1),
        )
    )
    return network
