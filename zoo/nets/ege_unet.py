"""EGE-UNet: 53,516 parameters with 3 input channels and 2 classes, 53,374 with 1 class.

Paper: Ruan et al., "EGE-UNet: an Efficient Group Enhanced UNet for skin lesion segmentation",
arXiv 2307.08473. A U-Net of six stages with 8 to 64 channels. On both ways the three deepest ones
have, instead of a 3x3 convolution, a group multi-axis Hadamard product attention (GHPA): three
groups of channels are multiplied by small learned tables that are resized to the map, one over both
axes, one over the height, one over the width. Each skip goes through a group aggregation bridge
(GAB), which joins it with the deeper skip and with the mask that the decoder predicts there. Those
five masks are the auxiliary outputs.

What the paper leaves open: tables are 8 pixels wide and start at one; group normalisation has four
groups; maps are halved by max-pooling, and doubled bilinearly with aligned corners, between
normalisation and GELU; skips are added; all convolutions have a bias.

The paper has one class, whose logit goes into the bridge. With more classes it is by how much the
best foreground class leads the background: with two, the logit of the same probability.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.channel_norm import ChannelNorm
from zoo.corners import resize_corners
from zoo.registry import register_model

WIDTHS = (8, 16, 24, 32, 48, 64)
"""Channels of the six stages; all but the last halve the size."""
ATTENTIVE = 3
"""Stages, from the deepest, of attention instead of a convolution, on both ways."""
TABLE = 8
"""Side of a learned table."""
DILATIONS = (1, 2, 5, 7)
"""Dilations of a bridge's groups."""


class Table(nn.Module):
    """What a group is multiplied by: a learned table, resized and then convolved.

    Args:
        channels: Channels of the group.
        height: Height of the table; 1 for one that does not vary with it.
        width: Width of the table, likewise.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.ones(1, channels, height, width))
        kernel = (3 if height > 1 else 1, 3 if width > 1 else 1)
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convolve = nn.Sequential(
            nn.Conv2d(channels, channels, kernel, padding=padding, groups=channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, height: int, width: int) -> Tensor:
        """Factors `(1, channels, height, width)`."""
        size = (height, width)
        resized = functional.interpolate(self.values, size, mode="bilinear", align_corners=True)
        return self.convolve(resized)


class Hadamard(nn.Module):
    """Group multi-axis Hadamard product attention, GHPA (section 2 of the paper).

    Args:
        in_channels: Channels in, a multiple of 4.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        part = in_channels // 4
        self.before = ChannelNorm(in_channels)
        self.plane = Table(part, TABLE, TABLE)
        self.rows = Table(part, TABLE, 1)
        self.columns = Table(part, 1, TABLE)
        self.local = nn.Sequential(
            nn.Conv2d(part, part, 1), nn.GELU(), nn.Conv2d(part, part, 3, padding=1, groups=part)
        )
        self.after = nn.Sequential(
            ChannelNorm(in_channels),
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels),
            nn.GELU(),
            nn.Conv2d(in_channels, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same size, `out_channels` wide."""
        both, high, wide, local = self.before(x).chunk(4, dim=1)
        height, width = x.shape[-2:]
        groups = (
            both * self.plane(height, width),
            high * self.rows(height, 1),
            wide * self.columns(1, width),
            self.local(local),
        )
        return self.after(torch.cat(groups, dim=1))


class Bridge(nn.Module):
    """Group aggregation bridge, GAB (section 2 of the paper).

    Args:
        deep: Channels of the deeper skip.
        own: Channels of the skip itself, a multiple of 4, and out.
    """

    def __init__(self, deep: int, own: int) -> None:
        super().__init__()
        width = own // 2 + 1
        self.project = nn.Conv2d(deep, own, 1)
        self.groups = nn.ModuleList(
            nn.Sequential(
                ChannelNorm(width),
                nn.Conv2d(width, width, 3, padding=rate, dilation=rate, groups=width),
            )
            for rate in DILATIONS
        )
        self.fuse = nn.Sequential(
            ChannelNorm(len(DILATIONS) * width), nn.Conv2d(len(DILATIONS) * width, own, 1)
        )

    def forward(self, deep: Tensor, own: Tensor, mask: Tensor) -> Tensor:
        """The skip that the decoder is given.

        Args:
            deep: What the bridge of the next deeper scale gave, at half the size or the same.
            own: The encoder's map.
            mask: One logit for each pixel of `own`.
        """
        deeper = resize_corners(self.project(deep), like=own).chunk(len(DILATIONS), dim=1)
        parts = own.chunk(len(DILATIONS), dim=1)
        joined = [
            group(torch.cat((*quarters, mask), dim=1))
            for group, *quarters in zip(self.groups, deeper, parts, strict=True)
        ]
        return self.fuse(torch.cat(joined, dim=1))


def lead(logits: Tensor) -> Tensor:
    """By how much the best foreground class leads the background: `(N, 1, H, W)`.

    Args:
        logits: `(N, K, H, W)`; with K = 1 the lead itself.
    """
    if logits.shape[1] == 1:
        return logits
    return logits[:, 1:].amax(dim=1, keepdim=True) - logits[:, :1]


def convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class EGEUNet(nn.Module):
    """EGE-UNet; height and width of the image must be multiples of 32.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        shallow = len(WIDTHS) - ATTENTIVE
        pairs = list(zip((in_channels, *WIDTHS), WIDTHS, strict=False))
        layers = [convolution] * shallow + [Hadamard] * ATTENTIVE
        self.encoder = nn.ModuleList(
            layer(*pair) for layer, pair in zip(layers, pairs, strict=True)
        )
        self.encoder_norms = nn.ModuleList(nn.GroupNorm(4, width) for width in WIDTHS[:-1])
        # Deepest first from here on.
        self.decoder = nn.ModuleList(
            layer(wide, narrow)
            for layer, (narrow, wide) in zip(layers[:0:-1], pairs[:0:-1], strict=True)
        )
        self.decoder_norms = nn.ModuleList(nn.GroupNorm(4, width) for width in WIDTHS[-2::-1])
        self.masks = nn.ModuleList(nn.Conv2d(w, num_classes, 1) for w in WIDTHS[-2::-1])
        self.bridges = nn.ModuleList(Bridge(wide, narrow) for narrow, wide in pairs[:0:-1])
        self.head = nn.Conv2d(WIDTHS[0], num_classes, 1)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of the image's size; in training with those of the five masks, finest first."""
        skips = self.encode(image)
        x = deep = skips.pop()
        masks: list[Tensor] = []
        for layer, norm, predict, bridge in zip(
            self.decoder, self.decoder_norms, self.masks, self.bridges, strict=True
        ):
            skip = skips.pop()
            # The deepest skip is of the size of what lies below it.
            x = functional.gelu(resize_corners(norm(layer(x)), like=skip))
            masks.append(predict(x))
            deep = bridge(deep, skip, lead(masks[-1]))
            x = x + deep
        output = resize_corners(self.head(x), like=image)
        if not self.training:
            return output
        return (output, *(resize_corners(mask, like=image) for mask in reversed(masks)))

    def encode(self, image: Tensor) -> list[Tensor]:
        """The encoder's six maps, from 1/2 to 1/32 of the size, the last two at 1/32."""
        x = image
        maps: list[Tensor] = []
        for layer, norm in zip(self.encoder[:-1], self.encoder_norms, strict=True):
            x = functional.gelu(functional.max_pool2d(norm(layer(x)), 2))
            maps.append(x)
        return [*maps, functional.gelu(self.encoder[-1](x))]


@register_model(
    "ege-unet",
    paper="EGE-UNet: an Efficient Group Enhanced UNet for skin lesion segmentation",
    reference="arXiv 2307.08473",
    year=2023,
    tags=("modern", "lightweight"),
    params=53_516,
    macs=289_799_680,
    divisor=32,
    notes="Written from the paper. What goes into a bridge with two classes or more is by how much "
    "the best foreground class leads the background; with one it is the logit, as in the paper. "
    "The protocol weighs the five auxiliary outputs; the paper weighs them 0.5 to 0.1, deeper ones "
    "less.",
    published="The paper prints 0.053M and 0.072G at 256x256 for one class; with one class this "
    "network has 53,374 parameters and 72,096,256 multiply-adds there.",
)
def ege_unet(in_channels: int, num_classes: int) -> nn.Module:
    """EGE-UNet of arXiv 2307.08473."""
    return EGEUNet(in_channels, num_classes)
