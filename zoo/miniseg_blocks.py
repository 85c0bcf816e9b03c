"""The parts of MiniSeg (arXiv 2004.09750): AHSP, Downsampler Block, Feature Fusion Module, decoder.

The decoder also serves the five classification encoders that the paper's Table III compares
with; the two reductions of AHSP are those of the ablation in its Table I. No convolution has a
bias unless it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from math import gcd

import torch
from torch import Tensor, nn

from zoo.blocks import Activation, ConvBNAct, resize

Block = Callable[..., nn.Module]
"""Builds a block from channels in and channels out; some take a stride, by its name."""

BRANCHES = 4
"""Dilated branches of an AHSP block (K in the paper), of dilation 1, 2, 4 and 8."""


def _depthwise(width: int, dilations: Iterable[int], stride: int = 1) -> nn.ModuleList:
    """A depthwise 3x3 convolution for every dilation, side by side."""
    return nn.ModuleList(
        nn.Conv2d(width, width, 3, stride, padding=d, dilation=d, groups=width, bias=False)
        for d in dilations
    )


def _pyramid(width: int, stride: int) -> nn.ModuleList:
    """The dilated branches of a block."""
    return _depthwise(width, (2**k for k in range(BRANCHES)), stride)


class AHSP(nn.Module):
    """Attentive Hierarchical Spatial Pyramid (equations 1 to 8).

    A 1x1 convolution to a quarter of the output width; an average pooling and four dilated
    depthwise convolutions, each added to the sum of those before it; attention, one map a
    branch; a 1x1 convolution that fuses each branch by itself.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, a multiple of 4.
        stride: Stride of the pooling and of the dilated convolutions.
        act: Builds the activation at the end.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        act: Activation = nn.PReLU,
    ) -> None:
        super().__init__()
        width = out_channels // BRANCHES
        self.reduce = nn.Conv2d(in_channels, width, 1, bias=False)
        self.pool = nn.AvgPool2d(3, stride=stride, padding=1)
        self.branches = _pyramid(width, stride)
        self.attention = nn.Conv2d(out_channels, BRANCHES, 1, groups=BRANCHES, bias=False)
        self.fuse = ConvBNAct(out_channels, out_channels, 1, groups=BRANCHES, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, ceil(H / stride), ceil(W / stride))`."""
        x = self.reduce(x)
        sums = accumulate((branch(x) for branch in self.branches), initial=self.pool(x))
        pyramid = torch.cat(list(sums)[1:], dim=1)
        attention = torch.sigmoid(self.attention(pyramid)).unsqueeze(2)
        by_branch = pyramid.unflatten(1, (BRANCHES, -1))
        return self.fuse((by_branch * (1 + attention)).flatten(1, 2))


class MultiBranch(nn.Module):
    """AHSP without hierarchy and attention: the dilated branches as they are, then the fusion.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, a multiple of 4.
        stride: Stride of the dilated convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        width = out_channels // BRANCHES
        self.reduce = nn.Conv2d(in_channels, width, 1, bias=False)
        self.branches = _pyramid(width, stride)
        self.fuse = ConvBNAct(out_channels, out_channels, 1, groups=BRANCHES, act=nn.PReLU)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, ceil(H / stride), ceil(W / stride))`."""
        x = self.reduce(x)
        return self.fuse(torch.cat([branch(x) for branch in self.branches], dim=1))


class SingleBranch(nn.Sequential):
    """AHSP with the branch of dilation 1 alone, and nothing to fuse: 1x1, depthwise 3x3, 1x1.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, a multiple of 4.
        stride: Stride of the depthwise convolution.
        grouped: Whether the last 1x1 has groups: four, as the fusion of AHSP has, or as many as
            a quarter of the width can have.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, *, grouped: bool = True
    ) -> None:
        width = out_channels // BRANCHES
        groups = gcd(BRANCHES, width) if grouped else 1
        super().__init__(
            nn.Conv2d(in_channels, width, 1, bias=False),
            *_depthwise(width, (1,), stride),
            ConvBNAct(width, out_channels, 1, groups=groups, act=nn.PReLU),
        )


class DownsamplerBlock(nn.Module):
    """Downsampler Block, one step of MiniSeg's second path (equation 9).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: Stride of the second convolution; 1 keeps the size.
        kernel: Its kernel size.
        depthwise: Whether it is depthwise; otherwise it mixes the channels.
        act: Builds the activation at the end.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 2,
        *,
        kernel: int = 5,
        depthwise: bool = True,
        act: Activation = nn.PReLU,
    ) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.spatial = ConvBNAct(
            out_channels,
            out_channels,
            kernel,
            stride=stride,
            groups=out_channels if depthwise else 1,
            act=act,
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
        self.depthwise = _depthwise(out_channels, (1, 2))
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
        fuse: Builds what fuses the deeper map, from channels in and out.
        act: Builds the activation at the end.
    """

    def __init__(
        self,
        deeper: int,
        lateral: int,
        *,
        lateral_bias: bool,
        fuse: Block = FeatureFusion,
        act: Activation = nn.PReLU,
    ) -> None:
        super().__init__()
        self.fuse = fuse(deeper, lateral)
        self.lateral = ConvBNAct(lateral, lateral, 1, bias=lateral_bias, act=None)
        self.act = act(lateral)

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
        fuse: Builds what fuses a deeper map, from channels in and out.
        act: Builds the activation of every step.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        *,
        heads: int = 1,
        lateral_bias: bool = True,
        dropout: float = 0.1,
        fuse: Block = FeatureFusion,
        act: Activation = nn.PReLU,
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            DecoderStep(deeper, lateral, lateral_bias=lateral_bias, fuse=fuse, act=act)
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
