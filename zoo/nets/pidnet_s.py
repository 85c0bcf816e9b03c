"""PIDNet-S: 7,697,828 parameters with 3 input channels and 2 classes.

Paper: Xu et al., "PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers",
arXiv 2206.02066. Three branches: P keeps details at an eighth of the size, I gathers context down
to a sixty-fourth, D is meant for boundaries. P takes from I what resembles it (Pag), a pyramid of
parallel scales ends I (PAPPM), and D decides pixel by pixel how P and I are mixed (Light-Bag).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.dual_blocks import act_conv, basic, bottleneck, head, pools, stage, stem
from zoo.registry import register_model

WIDTH = 32
"""Channels at a quarter of the size; 64 in the P branch, up to 512 in the I branch."""


class Pag(nn.Module):
    """Pixel-attention-guided fusion: a mean of both maps, weighted by how alike they are.

    Args:
        channels: Channels of both maps, and out.
        inner: Channels in which they are compared.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.key = ConvBNAct(channels, inner, 1, act=None)
        self.query = ConvBNAct(channels, inner, 1, act=None)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """A map at the size of `detail`; `context` may be smaller."""
        size = (detail.shape[-2], detail.shape[-1])
        likeness = self.key(detail) * resize(self.query(context), size)
        weight = likeness.sum(dim=1, keepdim=True).sigmoid()
        return weight * resize(context, size) + (1 - weight) * detail


class PAPPM(nn.Module):
    """Parallel aggregation pyramid pooling: all scales are fused at once, each by itself.

    Args:
        in_channels: Channels in.
        channels: Channels of every scale.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int) -> None:
        super().__init__()
        self.own = act_conv(in_channels, channels)
        self.pools = pools(in_channels, channels)
        scales = len(self.pools)
        self.fuse = act_conv(scales * channels, scales * channels, 3, groups=scales)
        self.compress = act_conv((scales + 1) * channels, out_channels)
        self.shortcut = act_conv(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, out_channels, H, W)` at the size of `x`."""
        size = (x.shape[-2], x.shape[-1])
        own = self.own(x)
        scales = torch.cat([resize(pool(x), size) + own for pool in self.pools], dim=1)
        return self.compress(torch.cat([own, self.fuse(scales)], dim=1)) + self.shortcut(x)


class LightBag(nn.Module):
    """Boundary-attention-guided fusion: details where D sees a boundary, context elsewhere.

    Args:
        channels: Channels of all three maps, and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.detail = ConvBNAct(channels, channels, 1, act=None)
        self.context = ConvBNAct(channels, channels, 1, act=None)

    def forward(self, detail: Tensor, context: Tensor, boundary: Tensor) -> Tensor:
        """A map of the same shape."""
        edge = boundary.sigmoid()
        return self.detail(detail + (1 - edge) * context) + self.context(context + edge * detail)


class PIDNet(nn.Module):
    """PIDNet-S.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        fine = 2 * WIDTH
        self.stem = stem(in_channels, WIDTH)
        self.i3 = stage(fine, 4 * WIDTH, 3, stride=2)
        self.i4 = stage(4 * WIDTH, 8 * WIDTH, 3, stride=2)
        self.i5 = nn.Sequential(
            bottleneck(8 * WIDTH, 8 * WIDTH, stride=2), bottleneck(16 * WIDTH, 8 * WIDTH)
        )
        self.pyramid = PAPPM(16 * WIDTH, 96, 4 * WIDTH)
        self.p3 = stage(fine, fine, 2)
        self.p4 = stage(fine, fine, 2)
        self.p5 = bottleneck(fine, fine)
        self.compress3 = ConvBNAct(4 * WIDTH, fine, 1, act=None)
        self.compress4 = ConvBNAct(8 * WIDTH, fine, 1, act=None)
        self.pag3 = Pag(fine, WIDTH)
        self.pag4 = Pag(fine, WIDTH)
        self.d3 = basic(fine, WIDTH)
        self.d4 = bottleneck(WIDTH, WIDTH)
        self.d5 = bottleneck(fine, fine)
        self.edge3 = ConvBNAct(4 * WIDTH, WIDTH, act=None)
        self.edge4 = ConvBNAct(8 * WIDTH, fine, act=None)
        self.bag = LightBag(4 * WIDTH)
        self.head = head(4 * WIDTH, 128, num_classes)
        self.auxiliary = head(fine, 128, num_classes)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits of the image's size; in training also those of the head on the P branch."""
        x = F.relu(self.stem(image))
        size = (x.shape[-2], x.shape[-1])
        i3 = F.relu(self.i3(x))
        p3 = self.pag3(self.p3(x), self.compress3(i3))
        d3 = self.d3(x) + resize(self.edge3(i3), size)
        i4 = F.relu(self.i4(i3))
        p4 = self.pag4(self.p4(F.relu(p3)), self.compress4(i4))
        d4 = self.d4(F.relu(d3)) + resize(self.edge4(i4), size)
        context = resize(self.pyramid(self.i5(i4)), size)
        x = self.bag(self.p5(F.relu(p4)), context, self.d5(F.relu(d4)))
        full = (image.shape[-2], image.shape[-1])
        logits = resize(self.head(x), full)
        return (logits, resize(self.auxiliary(p3), full)) if self.training else logits


@register_model(
    "pidnet-s",
    paper="PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers",
    reference="arXiv 2206.02066",
    year=2022,
    tags=("modern", "lightweight"),
    params=7_697_828,
    macs=5_890_408_448,
    divisor=8,
    batch1=False,
    notes="Written from the paper. No boundary loss: the paper trains the D branch by a head of "
    "its own on the edges of the masks, and the main output once more where D is sure of an edge; "
    "auxiliary outputs here are trained on classes alone. So that head is left out, D learns from "
    "the main loss through Light-Bag alone, and results may lie below the paper's. The head on "
    "the P branch is as in the paper. Trained from random weights: those that the authors "
    "published are not read.",
    published="The paper prints 7.6M and 47.6G for 2048x1024 and 19 classes. With 19 classes this "
    "network has 7,625,651 parameters without its auxiliary head, and 47.19G, normalisation and "
    "pooling not counted.",
)
def pidnet_s(in_channels: int, num_classes: int) -> nn.Module:
    """PIDNet-S of arXiv 2206.02066: 7,697,828 parameters."""
    return PIDNet(in_channels, num_classes)
