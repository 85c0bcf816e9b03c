"""UNETR: 88,298,754 parameters with 3 input channels and 2 classes.

Paper: Hatamizadeh et al., "UNETR: Transformers for 3D Medical Image Segmentation", WACV 2022, arXiv
2103.10504. A ViT-B (patches of 16, 12 blocks, 768 channels, 12 heads) whose maps after several
blocks go through transposed convolutions into a U-shaped decoder of 16 to 128 channels. Here in
2-D, of parts from MONAI (Apache-2.0).

MONAI's network takes images of one size. Here its position embeddings, made for 512x512, are
resized to the image's grid of patches, and normalisations that its blocks hold for a
cross-attention that isn't there are left out.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.blocks import resize
from zoo.monai_nets import from_monai
from zoo.registry import register_model

PATCH = 16
GRID = 512 // PATCH
"""Patches along each side of the image for which the position embeddings are made."""
TAPS = (3, 6, 9)
"""Blocks, counted from 0, whose outputs go to the decoder beside the last one."""


class Encoder(nn.Module):
    """The vision transformer, for images of any size.

    Args:
        vit: MONAI's, for images of 512x512.
    """

    def __init__(self, vit: Any) -> None:
        super().__init__()
        embedding = vit.patch_embedding
        self.patches = embedding.patch_embeddings
        # As an image of 768 channels, `(1, 768, 32, 32)`.
        table = embedding.position_embeddings.detach()
        self.positions = nn.Parameter(table.mT.unflatten(2, (GRID, GRID)).contiguous())
        self.blocks = vit.blocks
        for block in self.blocks:
            # Which of them exist, and with how many weights, depends on the version of MONAI.
            block.norm_cross_attn = nn.Identity()
            block.cross_attn = nn.Identity()
        self.norm = vit.norm

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Maps `(N, 768, H / 16, W / 16)` of the tapped blocks, then of the last one."""
        x = self.patches(image)
        size = (x.shape[-2], x.shape[-1])
        tokens = (x + resize(self.positions, size)).flatten(2).mT
        tapped = []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens)
            if number in TAPS:
                tapped.append(tokens)
        return tuple(
            each.mT.unflatten(2, size).contiguous() for each in (*tapped, self.norm(tokens))
        )


class UNETR(nn.Module):
    """UNETR in 2-D.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        parts = from_monai(
            lambda nets: nets.UNETR(
                in_channels=in_channels,
                out_channels=num_classes,
                img_size=GRID * PATCH,
                spatial_dims=2,
            )
        )
        self.encoder = Encoder(parts.vit)
        self.image = parts.encoder1
        # To 1/2, 1/4 and 1/8 of the image's size.
        self.skips = nn.ModuleList([parts.encoder2, parts.encoder3, parts.encoder4])
        self.decoder = nn.ModuleList(
            [parts.decoder5, parts.decoder4, parts.decoder3, parts.decoder2]
        )
        self.head = parts.out

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        *tapped, x = self.encoder(image)
        skips = [skip(each) for skip, each in zip(self.skips, tapped, strict=True)]
        largest_first = [self.image(image), *skips]
        for up, skip in zip(self.decoder, reversed(largest_first), strict=True):
            x = up(x, skip)
        return self.head(x)


@register_model(
    "unetr",
    paper="UNETR: Transformers for 3D Medical Image Segmentation",
    reference="arXiv 2103.10504",
    year=2021,
    tags=("modern",),
    params=88_298_754,
    macs=119_806_099_456,
    encoder="encoder",
    divisor=PATCH,
    requires=("monai", "einops"),
    notes="Parts of MONAI's UNETR (Apache-2.0) in 2-D; the paper's network is 3-D. Position "
    "embeddings are made for 512x512 and resized bilinearly to other sizes. As in MONAI and in the "
    "authors' code the decoder takes the outputs of blocks 4, 7 and 10, where the paper says 3, 6 "
    "and 9. MONAI's attention has no bias on queries, keys and values.",
    published="The paper prints 92.58M for 3-D volumes of 96x96x96; MONAI's 3-D network has "
    "92,784,046 for 1 channel and 14 classes without its idle normalisations. In 2-D patches and "
    "kernels are smaller, and there are 1024 positions for 216.",
)
def unetr(in_channels: int, num_classes: int) -> nn.Module:
    """UNETR in 2-D.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.

    Returns:
        The network.
    """
    return UNETR(in_channels, num_classes)
