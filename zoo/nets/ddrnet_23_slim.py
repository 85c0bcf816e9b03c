"""DDRNet-23-slim: 5,732,068 parameters with 3 input channels and 2 classes.

Paper: Hong et al., "Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation
of Road Scenes", arXiv 2101.06085. One branch stays at an eighth of the size, the other goes down
to a sixty-fourth; they exchange maps twice. Behind the deep one stands DAPPM, whose scales are
added to each other from the finest to the whole image. In training a second head reads the fine
branch after the first exchange.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.dual_blocks import act_conv, bottleneck, head, pools, stage, stem
from zoo.registry import register_model

WIDTH = 32
"""Channels at a quarter of the size; 64 in the fine branch, up to 512 in the deep one."""


class DAPPM(nn.Module):
    """Deep aggregation pyramid pooling: every scale is fused with the finer one before it.

    Args:
        in_channels: Channels in.
        channels: Channels of every scale.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int) -> None:
        super().__init__()
        self.own = act_conv(in_channels, channels)
        self.pools = pools(in_channels, channels)
        self.fuse = nn.ModuleList(act_conv(channels, channels, 3) for _ in self.pools)
        self.compress = act_conv((len(self.pools) + 1) * channels, out_channels)
        self.shortcut = act_conv(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, H, W)` at the size of `x`."""
        size = (x.shape[-2], x.shape[-1])
        scales = [self.own(x)]
        for pool, fuse in zip(self.pools, self.fuse, strict=True):
            scales.append(fuse(resize(pool(x), size) + scales[-1]))
        return self.compress(torch.cat(scales, dim=1)) + self.shortcut(x)


class DDRNet(nn.Module):
    """DDRNet-23-slim.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        fine = 2 * WIDTH
        self.stem = stem(in_channels, WIDTH)
        self.deep3 = stage(fine, 4 * WIDTH, 2, stride=2)
        self.deep4 = stage(4 * WIDTH, 8 * WIDTH, 2, stride=2)
        self.deep5 = bottleneck(8 * WIDTH, 8 * WIDTH, stride=2)
        self.fine3 = stage(fine, fine, 2)
        self.fine4 = stage(fine, fine, 2)
        self.fine5 = bottleneck(fine, fine)
        self.up3 = ConvBNAct(4 * WIDTH, fine, 1, act=None)
        self.up4 = ConvBNAct(8 * WIDTH, fine, 1, act=None)
        self.down3 = ConvBNAct(fine, 4 * WIDTH, stride=2, act=None)
        self.down4 = nn.Sequential(
            ConvBNAct(fine, 4 * WIDTH, stride=2),
            ConvBNAct(4 * WIDTH, 8 * WIDTH, stride=2, act=None),
        )
        self.pyramid = DAPPM(16 * WIDTH, 128, 4 * WIDTH)
        self.head = head(4 * WIDTH, 64, num_classes)
        self.auxiliary = head(fine, 64, num_classes)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits of the image's size; in training also those of the auxiliary head."""
        x = F.relu(self.stem(image))
        size = (x.shape[-2], x.shape[-1])
        deep, fine = self.deep3(x), self.fine3(x)
        # Both sides of an exchange take the other's map as it was before.
        deep, first = (
            F.relu(deep + self.down3(F.relu(fine))),
            fine + resize(self.up3(F.relu(deep)), size),
        )
        deep, fine = self.deep4(deep), self.fine4(F.relu(first))
        deep, fine = (
            F.relu(deep + self.down4(F.relu(fine))),
            F.relu(fine + resize(self.up4(F.relu(deep)), size)),
        )
        x = self.fine5(fine) + resize(self.pyramid(self.deep5(deep)), size)
        full = (image.shape[-2], image.shape[-1])
        logits = resize(self.head(x), full)
        return (logits, resize(self.auxiliary(first), full)) if self.training else logits


@register_model(
    "ddrnet-23-slim",
    paper="Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation of Road "
    "Scenes",
    reference="arXiv 2101.06085",
    year=2021,
    tags=("modern", "lightweight"),
    params=5_732_068,
    macs=4_530_765_824,
    divisor=8,
    batch1=False,
    notes="Written from the paper. Trained from random weights: those that the authors published "
    "are not read. In training a second head of the same width, 64, reads the fine branch after "
    "the first exchange, as in the paper; the protocol gives its loss the weight.",
    published="The paper prints 5.7M and 36.3G for 2048x1024 and 19 classes. With 19 classes this "
    "network has 5,695,923 parameters without its auxiliary head, and 36.28G.",
)
def ddrnet_23_slim(in_channels: int, num_classes: int) -> nn.Module:
    """DDRNet-23-slim of arXiv 2101.06085: 5,732,068 parameters."""
    return DDRNet(in_channels, num_classes)
