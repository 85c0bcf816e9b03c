"""MedNeXt-S: 5,473,994 parameters with 3 input channels and 2 classes.

Paper: Roy et al., "MedNeXt: Transformer-driven Scaling of ConvNets for Medical Image Segmentation",
MICCAI 2023, arXiv 2303.09975. ConvNeXt blocks (depthwise convolution, normalisation of each
channel, 1x1 to twice the channels, GELU, 1x1 back, addition) in a U of five levels with 32 to 512
channels, two blocks a stage; blocks of the same kind halve and double the size. Here in 2-D, of
parts from MONAI (Apache-2.0), whose own network computes the auxiliary heads in evaluation too and
leaves their outputs small.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.blocks import resize
from zoo.errors import CovbenchError
from zoo.monai_nets import from_monai
from zoo.padding import Output
from zoo.registry import register_model

KERNELS = (3, 5)


class MedNeXt(nn.Module):
    """MedNeXt-S with deep supervision.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        kernel: Side of the depthwise kernels, odd.
        deep_supervision: Whether there are auxiliary heads, at 1/2 to 1/16 of the size.
    """

    def __init__(
        self, in_channels: int, num_classes: int, kernel: int, deep_supervision: bool
    ) -> None:
        super().__init__()
        parts = from_monai(
            lambda nets: nets.MedNeXtSmall(
                spatial_dims=2,
                in_channels=in_channels,
                out_channels=num_classes,
                kernel_size=kernel,
                deep_supervision=True,
            )
        )
        self.stem = parts.stem
        self.encoder = parts.enc_stages
        self.down = parts.down_blocks
        self.bottleneck = parts.bottleneck
        self.up = parts.up_blocks
        self.decoder = parts.dec_stages
        # Of the largest map first.
        heads = [parts.out_0, *reversed(parts.out_blocks)]
        self.heads = nn.ModuleList(heads if deep_supervision else heads[:1])

    def forward(self, image: Tensor) -> Output:
        """Logits of the image's size; in training a tuple with the auxiliary ones."""
        x = self.stem(image)
        skips = []
        for stage, down in zip(self.encoder, self.down, strict=True):
            x = stage(x)
            skips.append(x)
            x = down(x)
        maps = [self.bottleneck(x)]
        for up, stage, skip in zip(self.up, self.decoder, reversed(skips), strict=True):
            maps.append(stage(up(maps[-1]) + skip))
        heads = self.heads if self.training else self.heads[:1]
        size = (image.shape[-2], image.shape[-1])
        largest_first = maps[::-1][: len(heads)]
        logits = [resize(head(x), size) for head, x in zip(heads, largest_first, strict=True)]
        return logits[0] if len(logits) == 1 else tuple(logits)


@register_model(
    "mednext-s",
    paper="MedNeXt: Transformer-driven Scaling of ConvNets for Medical Image Segmentation",
    reference="arXiv 2303.09975",
    year=2023,
    tags=("modern",),
    params=5_473_994,
    macs=35_432_689_664,
    divisor=16,
    requires=("monai",),
    notes="Parts of MONAI's MedNeXt (Apache-2.0) in 2-D; the paper's network is 3-D, and its "
    "authors did not test it in 2-D. Kernels of 3; with kernel=5 all weights start at random, "
    "where the paper takes them from a network trained with kernels of 3. Auxiliary logits are "
    "resized to the image, and each gets the protocol's aux_weight, where the paper weighs lower "
    "resolutions less.",
    published="The paper prints 5.6M for 3-D: MONAI's 3-D network with these heads has 5,564,806 "
    "for 1 channel and 14 classes. In 2-D the depthwise kernels are smaller, 3x3 for 3x3x3.",
)
def mednext_s(
    in_channels: int, num_classes: int, *, kernel: int = 3, deep_supervision: bool = True
) -> nn.Module:
    """MedNeXt-S in 2-D.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        kernel: Side of the depthwise kernels, 3 or 5.
        deep_supervision: Whether there are auxiliary heads in training.

    Returns:
        The network.

    Raises:
        CovbenchError: The kernel is neither of the paper's two.
    """
    if kernel not in KERNELS:
        raise CovbenchError(
            f"mednext-s can't have kernels of {kernel}.", "Give one of the paper's: kernel=3 or 5."
        )
    return MedNeXt(in_channels, num_classes, kernel, deep_supervision)
