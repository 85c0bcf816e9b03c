"""TransUNet: 105,276,066 parameters with 3 input channels and 2 classes.

Paper: Chen et al., "TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation",
arXiv 2102.04306, with its default encoder R50-ViT-B/16: a ResNet-50 down to a 16th of the size,
each of whose pixels becomes a token for a ViT-B. The ResNet and the blocks of the ViT are those of
timm (Apache-2.0), the rest is written from the paper.

What the paper leaves open: the ResNet is the one of ViT's hybrid, with group normalisation,
standardised filters and 3, 4 and 9 blocks; the decoder has 512 channels at a 16th and 256, 128, 64
and 16 behind, two 3x3 convolutions with batch normalisation at each scale, none of them joined to
the image itself. There is no class token; dropout of 0.1 stands where ViT has it. Positions are
those of an image of 224 pixels and are interpolated to any other, where the authors have as many
positions as their images have tokens.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.pretrained import fit_channels, timm_weights
from zoo.registry import register_model

STAGES = (3, 4, 9)
DIM = 768
DEPTH = 12
HEADS = 12
DROPOUT = 0.1
GRID = 14
"""Tokens along a side of the image that the positions are made for."""
SKIPS = (512, 256, 64, 0)
"""Channels that the ResNet gives at 1/8, 1/4 and 1/2 of the size; none at full size."""
WIDTHS = (256, 128, 64, 16)
"""Channels of the decoder there."""


class HybridEncoder(nn.Module):
    """R50-ViT-B/16; height and width of the image must be multiples of 16.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for those of ImageNet-21k, None for random ones.
    """

    def __init__(self, in_channels: int, weights: str | None) -> None:
        super().__init__()
        from timm.layers.std_conv import StdConv2dSame
        from timm.models.resnetv2 import ResNetV2
        from timm.models.vision_transformer import Block

        self.backbone: Any = ResNetV2(
            layers=list(STAGES),
            in_chans=in_channels,
            num_classes=0,
            global_pool="",
            preact=False,
            stem_type="same",
            conv_layer=partial(StdConv2dSame, eps=1e-8),
        )
        self.project = nn.Conv2d(1024, DIM, 1)
        self.positions = nn.Parameter(torch.empty(1, GRID * GRID, DIM))
        self.dropout = nn.Dropout(DROPOUT)
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        self.blocks = nn.Sequential(
            *(
                Block(DIM, HEADS, qkv_bias=True, proj_drop=DROPOUT, norm_layer=norm)
                for _ in range(DEPTH)
            )
        )
        self.norm = norm(DIM)
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.blocks.apply(_init_linear)
        if weights is not None:
            self.load(timm_weights(weights, "vit_base_r50_s16_224.orig_in21k"), in_channels)

    def load(self, given: dict[str, Tensor], in_channels: int) -> None:
        """Take timm's weights of the whole network, without class token and classifier."""
        ours = {"patch_embed.backbone.": "backbone.", "patch_embed.proj.": "project."}
        state = {}
        for name, value in given.items():
            for theirs, mine in ours.items():
                name = name.replace(theirs, mine)
            state[name] = value
        first = "backbone.stem.conv.weight"
        state[first] = fit_channels(state[first], in_channels)
        state["positions"] = state["pos_embed"][:, 1:]
        self.load_state_dict({name: state[name] for name in self.state_dict()})

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps at 1/2, 1/4 and 1/8 of the size, and what the transformer gives at 1/16."""
        stem = self.backbone.stem
        x = stem.norm(stem.conv(image))
        maps = [x]
        x = stem.pool(x)
        for stage in self.backbone.stages:
            x = stage(x)
            maps.append(x)
        tokens = self.project(maps.pop())
        height, width = int(tokens.shape[-2]), int(tokens.shape[-1])
        x = tokens.flatten(2).mT + self.positions_for(height, width)
        x = self.norm(self.blocks(self.dropout(x)))
        return [*maps, x.mT.unflatten(2, (height, width))]

    def positions_for(self, height: int, width: int) -> Tensor:
        """The positions of a grid of tokens, `(1, height width, DIM)`."""
        if (height, width) == (GRID, GRID):
            return self.positions
        grid = self.positions.mT.unflatten(2, (GRID, GRID))
        grid = F.interpolate(grid, (height, width), mode="bicubic", align_corners=False)
        return grid.flatten(2).mT


def _init_linear(module: nn.Module) -> None:
    """First weights of a ViT: a truncated normal of 0.02, no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class Up(nn.Module):
    """Doubles the size, joins the ResNet's map, and convolves twice.

    Args:
        in_channels: Channels in.
        skip: Channels of the ResNet's map; 0 for none.
        width: Channels out.
    """

    def __init__(self, in_channels: int, skip: int, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(ConvBNAct(in_channels + skip, width), ConvBNAct(width, width))

    def forward(self, x: Tensor, *skip: Tensor) -> Tensor:
        """The map at twice the size."""
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        return self.convs(torch.cat([x, *skip], dim=1))


class TransUNet(nn.Module):
    """TransUNet; height and width of the image must be multiples of 16.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = HybridEncoder(in_channels, weights)
        self.bridge = ConvBNAct(DIM, 512)
        inputs = (512, *WIDTHS[:-1])
        self.decoder = nn.ModuleList(Up(*each) for each in zip(inputs, SKIPS, WIDTHS, strict=True))
        self.head = nn.Conv2d(WIDTHS[-1], num_classes, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        *skips, x = self.encoder(image)
        x = self.bridge(x)
        *joined, last = self.decoder
        for up, skip in zip(joined, reversed(skips), strict=True):
            x = up(x, skip)
        return self.head(last(x))


@register_model(
    "transunet",
    paper="TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation",
    reference="arXiv 2102.04306",
    year=2021,
    tags=("modern",),
    params=105_276_066,
    macs=168_195_784_704,
    encoder="encoder",
    weights="timm vit_base_r50_s16_224.orig_in21k (Google's, of ImageNet-21k, Apache-2.0), as in "
    "the paper; they expect images normalised by a mean and a deviation of 0.5",
    divisor=16,
    notes="ResNet and ViT blocks are timm's (Apache-2.0), the rest is written from the paper. "
    "Positions are those of a 224-pixel image, interpolated to others.",
    published="105,277,081 with 9 classes, as for Synapse: the 105M by which the network is known.",
)
def transunet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """TransUNet on R50-ViT-B/16.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return TransUNet(in_channels, num_classes, weights)
