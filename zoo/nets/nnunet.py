"""nnU-Net in 2-D, plain (46,313,004 parameters) and with a residual encoder (47,278,668).

Paper: Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image
segmentation", Nature Methods 18, 2021 (arXiv 1904.08128). The network is what nnU-Net v2 plans for
slices of 512x512: it halves them until their sides are 4, hence 8 stages; 32 channels, doubled at
each stage up to 512; two 3x3 convolutions a stage, each before an instance normalisation and a
leaky ReLU of slope 0.01; strided convolutions down, transposed ones of 2x2 up.

The parts come from MONAI's DynUNet (Apache-2.0). They are joined here, since DynUNet computes its
heads in evaluation too, keeps their outputs between calls, and stacks all outputs into one tensor.
Counts are with 3 input channels and 2 classes, all heads included.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.blocks import resize
from zoo.monai_nets import from_monai
from zoo.padding import Output, pad_to_divisor
from zoo.registry import register_model

STAGES = 8
DIVISOR = 2 ** (STAGES - 1)
HEADS = 5
"""Auxiliary heads: nnU-Net gives that of the lowest resolution, at 1/64, no weight in the loss."""


class NNUNet(nn.Module):
    """The network that nnU-Net v2 plans for slices of 512x512.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        residual: Whether each stage of the encoder has a shortcut around its two convolutions.
        deep_supervision: Whether there are auxiliary heads, at 1/2 to 1/32 of the size.
    """

    def __init__(
        self, in_channels: int, num_classes: int, residual: bool, deep_supervision: bool
    ) -> None:
        super().__init__()
        parts = from_monai(
            lambda nets: nets.DynUNet(
                spatial_dims=2,
                in_channels=in_channels,
                out_channels=num_classes,
                kernel_size=[3] * STAGES,
                strides=[1] + [2] * (STAGES - 1),
                upsample_kernel_size=[2] * (STAGES - 1),
                res_block=residual,
                deep_supervision=True,
                deep_supr_num=HEADS,
            )
        )
        self.encoder = nn.ModuleList([parts.input_block, *parts.downsamples, parts.bottleneck])
        self.decoder = parts.upsamples
        heads = [parts.output_block, *parts.deep_supervision_heads]
        self.heads = nn.ModuleList(heads if deep_supervision else heads[:1])

    def forward(self, image: Tensor) -> Output:
        """Logits of the image's size; in training a tuple with the auxiliary ones."""
        # A smaller image would be one pixel at the deepest stage, where no instance
        # normalisation is possible.
        x, crop = pad_to_divisor(image, DIVISOR, 2 * DIVISOR)
        size = (x.shape[-2], x.shape[-1])
        maps = []
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        decoded = []
        for up, skip in zip(self.decoder, reversed(maps[:-1]), strict=True):
            x = up(x, skip)
            decoded.append(x)
        heads = self.heads if self.training else self.heads[:1]
        # The map of the largest size was decoded last.
        largest_first = decoded[::-1][: len(heads)]
        logits = [resize(head(x), size) for head, x in zip(heads, largest_first, strict=True)]
        return crop(logits[0] if len(logits) == 1 else tuple(logits))


_NOTES = (
    "The network alone: nnU-Net's own preparation, augmentation, loss and ensemble are not part of "
    "it. The plan is that for 512x512, whatever the size of the images: nnU-Net would plan fewer "
    "stages for smaller ones. Images are padded to 256 at least, since the deepest stage must have "
    "more than one pixel for its instance normalisation. Auxiliary logits are resized to the "
    "image; nnU-Net makes the masks smaller instead, and weighs outputs by 1, 1/2, 1/4, ... where "
    "covbench gives all of them the protocol's aux_weight. "
)


@register_model(
    "nnunet",
    paper="nnU-Net: a self-configuring method for deep learning-based biomedical image "
    "segmentation",
    reference="doi 10.1038/s41592-020-01008-z",
    year=2021,
    tags=("modern",),
    params=46_313_004,
    macs=59_743_666_176,
    divisor=DIVISOR,
    min_size=DIVISOR,
    requires=("monai",),
    notes=_NOTES + "Parts of MONAI's DynUNet (Apache-2.0).",
    published="The paper prints no count, as there is a plan for every dataset. nnU-Net v2's own "
    "PlainConvUNet of this plan has 46,325,134: 11,104 biases of convolutions that an "
    "instance normalisation or the next convolution follows, and 1,026 in a head at 1/64.",
)
def nnunet(in_channels: int, num_classes: int, *, deep_supervision: bool = True) -> nn.Module:
    """nnU-Net as planned for slices of 512x512.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        deep_supervision: Whether there are auxiliary heads in training.

    Returns:
        The network.
    """
    return NNUNet(in_channels, num_classes, False, deep_supervision)


@register_model(
    "nnunet-residual",
    paper="nnU-Net: a self-configuring method for deep learning-based biomedical image "
    "segmentation",
    reference="doi 10.1038/s41592-020-01008-z",
    year=2021,
    tags=("modern",),
    params=47_278_668,
    macs=60_393_783_296,
    divisor=DIVISOR,
    min_size=DIVISOR,
    requires=("monai",),
    notes="One residual block of two convolutions in each stage of the encoder, as MONAI's DynUNet "
    "has it (Apache-2.0). This is not one of the presets ResEnc M, L or XL of nnU-Net v2 "
    "(arXiv 2404.09556), whose stages have up to six blocks and whose decoder has one convolution "
    "a stage. " + _NOTES.rstrip(),
    published="The paper prints no count.",
)
def nnunet_residual(
    in_channels: int, num_classes: int, *, deep_supervision: bool = True
) -> nn.Module:
    """nnU-Net as planned for slices of 512x512, with a residual encoder.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        deep_supervision: Whether there are auxiliary heads in training.

    Returns:
        The network.
    """
    return NNUNet(in_channels, num_classes, True, deep_supervision)
