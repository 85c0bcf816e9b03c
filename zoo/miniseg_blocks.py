"""The parts of MiniSeg (arXiv 2004.09750): AHSP, Downsampler Block, Feature Fusion Module, decoder.

The decoder also serves the five classification encoders that the paper's Table III compares
with. No convolution has a bias unless it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize

BRANCHES = 4
"""Dilated branches of an AHSP block (K in the paper), of dilation 1, 2, 4 and 8."""


class AHSP(nn.Module):
    """Attentive Hierarchical Spatial Pyramid (equations 1 to 8).

    A 1x1 convolution to a quarter of the output width; an average pooling and four dilated
    depthwise convolutions, each added to the sum of those before it; attention, one map a
    branch; a 1x1 convolution that fuses each branch by itself.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, a multiple of 4.
        stride: Stride of the pooling and of the dilated convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        width = out_channels // BRANCHES
        self.reduce = nn.Conv2d(in_channels, width, 1, bias=False)
        self.pool = nn.AvgPool2d(3, stride=stride, padding=1)
        self.branches = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride, padding=d, dilation=d, groups=width, bias=False)
            for d in (2**k for k in range(BRANCHES))
        )
        self.attention = nn.Conv2d(out_channels, BRANCHES, 1, groups=BRANCHES, bias=False)
        self.fuse = ConvBNAct(out_channels, out_channels, 1, groups=BRANCHES, act=nn.PReLU)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, ceil(H / stride), ceil(W / stride))`."""
        x = self.reduce(x)
        sums = accumulate((branch(x) for branch in self.branches), initial=self.pool(x))
        pyramid = torch.cat(list(sums)[1:], dim=1)
        attention = torch.sigmoid(self.attention(pyramid)).unsqueeze(2)
        by_branch = pyramid.unflatten(1, (BRANCHES, -1))
        return self.fuse((by_branch * (1 + attention)).flatten(1, 2))


class DownsamplerBlock(nn.Module):
    """Downsampler Block, one step of MiniSeg's second path (equation 9).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: Stride of the second convolution; 1 keeps the size.
        kernel: Its kernel size.
        depthwise: Whether it is depthwise; otherwise it mixes the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 2,
        *,
        kernel: int = 5,
        depthwise: bool = True,
    ) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.spatial = ConvBNAct(
            out_channels,
            out_channels,
            kernel,
            stride=stride,
            groups=out_channels if depthwise else 1,
            act=nn.PReLU,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, ceil(H / stride), ceil(W / stride))`."""
        return self.spatial(self.pointwise(x))


class FeatureFusion(nn.Module):
    """Feature Fusion Module: 1x1, the sum of two depthwise 3x3 (dilation 1 and 2), one BN.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.depthwise = nn.ModuleList(
            nn.Conv2d(
                out_channels,
                out_channels,
                3,
                padding=d,
                dilation=d,
                groups=out_channels,
                bias=False,
            )
            for d in (1, 2)
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, H, W)`, without activation."""
        x = self.pointwise(x)
        near, wide = self.depthwise
        return self.bn(near(x) + wide(x))


class DecoderStep(nn.Module):
    """One step up: PReLU(FFM(deeper map, enlarged) + BN(1x1(encoder's map))).

    Args:
        deeper: Channels of the deeper map.
        lateral: Channels of the encoder's map, and of what comes out.
        lateral_bias: Whether the 1x1 of the encoder's map has a bias.
    """

    def __init__(self, deeper: int, lateral: int, *, lateral_bias: bool) -> None:
        super().__init__()
        self.fuse = FeatureFusion(deeper, lateral)
        self.lateral = ConvBNAct(lateral, lateral, 1, bias=lateral_bias, act=None)
        self.act = nn.PReLU(lateral)

    def forward(self, deeper: Tensor, lateral: Tensor) -> Tensor:
        """A map of the shape of `lateral`; `deeper` may have any size."""
        height, width = lateral.shape[-2:]
        # The 1x1 of the FFM could come before the enlargement; the published costs are
        # those of this order.
        return self.act(self.fuse(resize(deeper, (height, width))) + self.lateral(lateral))


class MiniSegDecoder(nn.Module):
    """MiniSeg's decoder with its prediction heads, for any encoder.

    Args:
        channels: Channels of the encoder's maps, shallowest first.
        num_classes: Channels of the logits.
        heads: How many of the decoder's maps, from the shallowest, predict.
        lateral_bias: Whether the 1x1 of each encoder map has a bias.
        dropout: Probability of dropping a channel before a prediction.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        *,
        heads: int = 1,
        lateral_bias: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            DecoderStep(deeper, lateral, lateral_bias=lateral_bias)
            for lateral, deeper in pairwise(channels)
        )
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(width, num_classes, 1))
            for width in channels[:heads]
        )

    def forward(
        self, features: Sequence[Tensor], size: tuple[int, int]
    ) -> Tensor | tuple[Tensor, ...]:
        """Logits `(N, num_classes, *size)`; in training one for each head, shallowest first.

        Args:
            features: The encoder's maps, shallowest first.
            size: Height and width of the network's input.
        """
        maps = [features[-1]]
        for step, lateral in zip(reversed(self.steps), reversed(features[:-1]), strict=True):
            maps.insert(0, step(maps[0], lateral))
        if not self.training or len(self.heads) == 1:
            return resize(self.heads[0](maps[0]), size)
        return tuple(resize(head(x), size) for head, x in zip(self.heads, maps, strict=False))
