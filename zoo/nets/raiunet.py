"""RAIU-Net: 4,157,428 parameters with 3 input channels and 2 classes, 4,157,099 with 1 and 1.

Paper: Punn, Agarwal, "CHS-Net: A Deep learning approach for hierarchical segmentation of COVID-19
infected CT images", arXiv 2012.07079. It stands for the row RAIU-Net of that paper's Table III,
one of the two networks of CHS-Net (`zoo.nets.chsnet`), and for the last row of its ablation, Table
IV; the other rows are in `zoo.nets.chsnet_ablations`.

What the paper leaves open, and the choice made here:

- Widths. 20 to 320, doubling as the shapes of eqs. 10-12 do, give the 4.2 million parameters that
  are printed; the text's "increase by 50%" contradicts those equations. The authors' other
  networks start at 16, `widths=(16, 32, 64, 128, 256)`.
- Convolutions have biases. In a separable one only the pointwise part has it.
- Hybrid pooling without a change of size: full-band spectral pooling is the identity.
- Global spectral pooling keeps one coefficient, the mean of the map.
- Eq. 11 has as many filters as the deeper map has channels, its result one: their mean is taken.
  The text names a ReLU, the symbol a sigmoid; `attention` selects. The ReLU's bias starts at 1,
  as it would start half of the filters closed at 0.
- That result is enlarged to the skip by nearest neighbours.
- An upsampled map whose skip is one pixel larger, at odd sizes, is resized to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import Activation, ConvBNAct, relu, resize
from zoo.errors import CovbenchError, unknown
from zoo.registry import register_model
from zoo.spectral import spectral_pool

Attention = Literal["relu", "sigmoid", "none"]
Pooling = Literal["hybrid", "max"]
WIDTHS = "20-40-80-160-320"


class HybridPool(nn.Module):
    """Max and spectral pooling side by side, mixed by a 1x1 convolution.

    Args:
        channels: Channels in and out.
        halve: Whether height and width are halved, rounded down, or kept.
    """

    def __init__(self, channels: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.mix = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The pooled map, `(N, channels, H // 2, W // 2)` or `(N, channels, H, W)`."""
        if self.halve:
            maximum = F.max_pool2d(x, 2)
            height, width = maximum.shape[-2:]
            spectral = spectral_pool(x, (int(height), int(width)))
        else:
            maximum, spectral = F.max_pool2d(x, 3, stride=1, padding=1), x
        return self.mix(torch.cat((maximum, spectral), dim=1))


def _separable(
    in_channels: int, out_channels: int, kernel: int, act: Activation | None = relu
) -> nn.Sequential:
    """Depthwise and pointwise convolution, batch normalisation and activation."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels, in_channels, kernel, padding=kernel // 2, groups=in_channels, bias=False
        ),
        ConvBNAct(in_channels, out_channels, 1, bias=True, act=act),
    )


class Inception(nn.Module):
    """Branches of 1x1, 3x3, 5x5 and pooling, put together by a 1x1 convolution.

    Args:
        in_channels: Channels in.
        out_channels: Channels of every convolution branch, and out.
        pooling: "hybrid", or "max" for the ablation.
    """

    def __init__(self, in_channels: int, out_channels: int, pooling: Pooling) -> None:
        super().__init__()
        pool = (
            HybridPool(in_channels, halve=False)
            if pooling == "hybrid"
            else nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(in_channels, in_channels, 1))
        )
        self.branches = nn.ModuleList(
            [
                ConvBNAct(in_channels, out_channels, 1, bias=True),
                _separable(in_channels, out_channels, 3),
                _separable(in_channels, out_channels, 5),
                nn.Sequential(pool, nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True)),
            ]
        )
        self.join = ConvBNAct(3 * out_channels + in_channels, out_channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, H, W)`."""
        return self.join(torch.cat([branch(x) for branch in self.branches], dim=1))


class ResidualInception(nn.Module):
    """Two inception blocks and a separable shortcut around both, added without a ReLU (eq. 3).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        pooling: The pooling inside the blocks.
    """

    def __init__(self, in_channels: int, out_channels: int, pooling: Pooling) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Inception(in_channels, out_channels, pooling),
            Inception(out_channels, out_channels, pooling),
        )
        self.shortcut = _separable(in_channels, out_channels, 3, act=None)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, H, W)`."""
        return self.body(x) + self.shortcut(x)


class SSDAttention(nn.Module):
    """Spectral spatial and depth attention on a skip, guided by the next deeper map (section 3.2).

    Args:
        channels: Channels of the skip.
        deeper: Channels of the encoder's map one level deeper.
        act: The activation of the spatial attention.
    """

    def __init__(self, channels: int, deeper: int, act: Attention) -> None:
        super().__init__()
        self.depth = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // 2, channels, 1),
            nn.ReLU(inplace=True),
        )
        self.recalibrate = ConvBNAct(channels, channels, 1, bias=True)
        self.reduce = nn.Conv2d(channels, deeper, 2, stride=2)
        self.guide = nn.Conv2d(deeper, deeper, 1)
        self.norm = nn.BatchNorm2d(deeper)
        self.spatial = nn.Conv2d(deeper, deeper, 1)
        self.act = torch.sigmoid if act == "sigmoid" else torch.relu
        if act == "relu" and self.spatial.bias is not None:
            nn.init.ones_(self.spatial.bias)
        self.out = ConvBNAct(channels, channels, 1, bias=True, act=None)

    def forward(self, skip: Tensor, deeper: Tensor) -> Tensor:
        """The skip `(N, channels, H, W)`, weighted by channel and by place."""
        weighted = self.recalibrate(self.depth(skip.mean((2, 3), keepdim=True)) * skip)
        guided = torch.relu(self.norm(self.reduce(weighted) + self.guide(deeper)))
        spatial = self.act(self.spatial(guided)).mean(dim=1, keepdim=True)
        return self.out(F.interpolate(spatial, size=weighted.shape[-2:]) * weighted)


class RAIUNet(nn.Module):
    """The residual attention inception U-Net; its options are those of `raiunet`."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        widths: Sequence[int],
        attention: Attention,
        inception_pooling: Pooling,
        pooling: Pooling,
    ) -> None:
        super().__init__()
        levels = list(pairwise(widths))
        self.encoder = nn.ModuleList(
            ResidualInception(shallow, deep, inception_pooling)
            for shallow, deep in pairwise((in_channels, *widths))
        )
        self.pools = nn.ModuleList(
            HybridPool(shallow, halve=True) if pooling == "hybrid" else nn.MaxPool2d(2)
            for shallow, _ in levels
        )
        self.attention = (
            nn.ModuleList(SSDAttention(shallow, deep, attention) for shallow, deep in levels)
            if attention != "none"
            else None
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(deep, shallow, 2, stride=2) for shallow, deep in levels
        )
        self.decoder = nn.ModuleList(
            ResidualInception(2 * shallow, shallow, inception_pooling) for shallow, _ in levels
        )
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        maps = [self.encoder[0](x)]
        for pool, encode in zip(self.pools, self.encoder[1:], strict=True):
            maps.append(encode(pool(maps[-1])))
        x = maps[-1]
        for level in reversed(range(len(self.decoder))):
            skip = maps[level]
            if self.attention is not None:
                skip = self.attention[level](skip, maps[level + 1])
            x = resize(self.up[level](x), (skip.shape[-2], skip.shape[-1]))
            x = self.decoder[level](torch.cat((skip, x), dim=1))
        return self.head(x)


def parse_widths(widths: str) -> list[int]:
    """The channels of every level from an option such as 20-40-80.

    Args:
        widths: Numbers joined by hyphens.

    Returns:
        The numbers, two or more.

    Raises:
        CovbenchError: They are fewer, or one is no number from 2 on.
    """
    channels = [int(width) if width.strip().isdecimal() else 0 for width in widths.split("-")]
    if len(channels) < 2 or min(channels) < 2:
        raise CovbenchError(
            f"widths={widths} make no U-Net.",
            "Give at least two numbers of channels, each 2 or more, such as 20-40-80-160-320.",
        )
    return channels


@register_model(
    "raiunet",
    paper="CHS-Net: A Deep learning approach for hierarchical segmentation of COVID-19 infected "
    "CT images",
    reference="arXiv 2012.07079",
    year=2020,
    tags=("demo", "chsnet-table3", "chsnet-table4"),
    rows=("chsnet-table3/RAIU-Net",),
    params=4_157_428,
    macs=26_793_149_648,
    notes="The paper prints no widths: 20 to 320 meet its 4.2 million parameters. Eq. 11 is taken "
    "with all its filters, averaged; attention=relu is the text's word, sigmoid its symbol. "
    "Full-band spectral pooling is the identity, global spectral pooling the mean. "
    "The rows of the ablation are chsnet-bu, chsnet-bu-rib and chsnet-bu-rib-hp.",
)
def raiunet(
    in_channels: int,
    num_classes: int,
    *,
    widths: str = WIDTHS,
    attention: Attention = "relu",
    inception_pooling: Pooling = "hybrid",
    pooling: Pooling = "hybrid",
) -> nn.Module:
    """RAIU-Net.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        widths: Channels of every level, from the full resolution down, joined by hyphens; at
            least two levels.
        attention: Activation of the spatial attention on the skips, "relu" or "sigmoid"; "none"
            for plain skips.
        inception_pooling: "hybrid" or "max", inside the inception blocks.
        pooling: "hybrid" or "max", between the levels.

    Returns:
        The network.

    Raises:
        CovbenchError: An option has a value that it can't have.
    """
    for option, value, known in (
        ("attention", attention, ("relu", "sigmoid", "none")),
        ("inception_pooling", inception_pooling, ("hybrid", "max")),
        ("pooling", pooling, ("hybrid", "max")),
    ):
        if value not in known:
            raise unknown(f"value of {option}", str(value), known, ", ".join(known))
    channels = parse_widths(widths)
    return RAIUNet(in_channels, num_classes, channels, attention, inception_pooling, pooling)
