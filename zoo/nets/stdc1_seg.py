"""STDC1-Seg: 8,418,720 parameters with 3 input channels and 2 classes.

Paper: Fan et al., "Rethinking BiSeNet For Real-time Semantic Segmentation", arXiv 2104.13188. The
STDC1 backbone, of modules whose convolutions have ever fewer channels and are all laid beside each
other, under the context path and the feature fusion of BiSeNet. The map at an eighth of the size
takes the place of BiSeNet's spatial path.

The paper leaves open how maps are enlarged and how a module halves the size. As the released code
has it: nearest neighbours inside the network, bilinear with aligned corners at its end; a depthwise
3x3 convolution of stride 2, beside a mean of 3x3 for the first part.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.corners import resize_corners
from zoo.registry import register_model

CONTEXT = 128
"""Channels of the context path behind the backbone."""


class ShortTermDense(nn.Module):
    """The STDC module: a half, a quarter and twice an eighth of the channels, joined.

    Args:
        in_channels: Channels in.
        channels: Channels out.
        stride: 1, or 2 to halve the size.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        half, quarter, eighth = channels // 2, channels // 4, channels // 8
        self.first = ConvBNAct(in_channels, half, 1)
        self.halve: nn.Module = nn.Identity()
        self.pool: nn.Module = nn.Identity()
        if stride == 2:
            self.halve = ConvBNAct(half, half, stride=2, groups=half, act=None)
            self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.rest = nn.ModuleList(
            [ConvBNAct(half, quarter), ConvBNAct(quarter, eighth), ConvBNAct(eighth, eighth)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, channels, H / stride, W / stride)`, sizes rounded up."""
        first = self.first(x)
        parts = [self.pool(first)]
        x = self.halve(first)
        for layer in self.rest:
            x = layer(x)
            parts.append(x)
        return torch.cat(parts, dim=1)


class STDC1(nn.Module):
    """The backbone without its classifier: two modules at each of 1/8, 1/16 and 1/32.

    Args:
        in_channels: Channels of the image.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBNAct(in_channels, 32, stride=2), ConvBNAct(32, 64, stride=2))
        self.stages = nn.ModuleList(
            nn.Sequential(ShortTermDense(before, channels, 2), ShortTermDense(channels, channels))
            for before, channels in ((64, 256), (256, 512), (512, 1024))
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps of 256, 512 and 1024 channels at 1/8, 1/16 and 1/32."""
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class AttentionRefinement(nn.Module):
    """3x3 convolution whose channels are weighed by their own means.

    Args:
        in_channels: Channels in.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = ConvBNAct(in_channels, CONTEXT)
        self.weigh = nn.Sequential(ConvBNAct(CONTEXT, CONTEXT, 1, act=None), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, 128, H, W)`."""
        x = self.conv(x)
        return x * self.weigh(x.mean((2, 3), keepdim=True))


class FeatureFusion(nn.Module):
    """Joins details and context, and adds the join weighed by its channels' means.

    Args:
        in_channels: Channels of both together.
        channels: Channels out.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.join = ConvBNAct(in_channels, channels, 1)
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // 4, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """Maps `(N, channels, H, W)`."""
        x = self.join(torch.cat([detail, context], dim=1))
        return x + x * self.weigh(x.mean((2, 3), keepdim=True))


def head(in_channels: int, channels: int, num_classes: int) -> nn.Sequential:
    """Logits at the size of the maps that come in.

    Args:
        in_channels: Channels in.
        channels: Channels in between.
        num_classes: Channels of the logits.
    """
    return nn.Sequential(
        ConvBNAct(in_channels, channels), nn.Conv2d(channels, num_classes, 1, bias=False)
    )


class STDCSeg(nn.Module):
    """STDC1-Seg.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = STDC1(in_channels)
        self.whole = ConvBNAct(1024, CONTEXT, 1)
        self.attend32 = AttentionRefinement(1024)
        self.attend16 = AttentionRefinement(512)
        self.refine32 = ConvBNAct(CONTEXT, CONTEXT)
        self.refine16 = ConvBNAct(CONTEXT, CONTEXT)
        self.fuse = FeatureFusion(256 + CONTEXT, 256)
        self.head = head(256, 256, num_classes)
        self.auxiliary = nn.ModuleList(head(CONTEXT, 64, num_classes) for _ in range(2))

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of the image's size; in training also those of the two heads on the context."""
        eighth, sixteenth, deepest = self.encoder(image)
        x = self.attend32(deepest) + self.whole(deepest.mean((2, 3), keepdim=True))
        coarse = self.refine32(F.interpolate(x, size=sixteenth.shape[-2:]))
        x = self.attend16(sixteenth) + coarse
        fine = self.refine16(F.interpolate(x, size=eighth.shape[-2:]))
        logits = resize_corners(self.head(self.fuse(eighth, fine)), like=image)
        if not self.training:
            return logits
        others = zip(self.auxiliary, (fine, coarse), strict=True)
        return (logits, *(resize_corners(each(maps), like=image) for each, maps in others))


@register_model(
    "stdc1-seg",
    paper="Rethinking BiSeNet For Real-time Semantic Segmentation",
    reference="arXiv 2104.13188",
    year=2021,
    tags=("modern", "lightweight"),
    params=8_418_720,
    macs=8_413_839_360,
    encoder="encoder",
    divisor=8,
    batch1=False,
    notes="Written from the paper. No detail loss: the paper trains a head on the map at an eighth "
    "of the size, on the edges of the masks; auxiliary outputs here are trained on classes alone, "
    "so that head is left out, and results may lie below the paper's. The two auxiliary heads on "
    "the context path are as in the released code. Trained from random weights: those that the "
    "authors published are not read.",
    published="The paper prints 8.44M for the backbone with its classifier: 5,318,304 of these are "
    "in this network, the other 3.12M in the 1x1 convolution and the two linear layers that "
    "segmentation leaves out.",
)
def stdc1_seg(in_channels: int, num_classes: int) -> nn.Module:
    """STDC1-Seg of arXiv 2104.13188: 8,418,720 parameters."""
    return STDCSeg(in_channels, num_classes)
