"""DFN: 42,520,940 parameters with 3 input channels and 2 classes.

Paper: Yu et al., "Learning a Discriminative Feature Network for Semantic Segmentation",
arXiv 1804.09337. It stands for the row DFN of MiniSeg's Table III, whose counts tell the backbone,
ResNet-101 at output stride 32, and that all blocks of both branches are as wide as there are
classes (512 in the paper). The smooth branch goes from the deepest map to the shallowest and gives
the logits; the border branch goes the other way and is an auxiliary head that only training runs.

What was chosen here: both branches end in a block whose last ReLU is left out, since a logit that
can't be negative would make a single class certain everywhere; and a single class is the
difference of two channels, since blocks of one channel die. Blocks start as plain projections
without a correction. Maps are resized to the size of those they meet.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

CHANNELS = (256, 512, 1024, 2048)
"""Channels of the backbone's maps at 1/4, 1/8, 1/16 and 1/32 of the input's size."""


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of maps."""
    return x.shape[-2], x.shape[-1]


def projection(in_channels: int, channels: int) -> nn.Conv2d:
    """A 1x1 convolution whose output starts positive nearly everywhere.

    No channel of so few may start negative, since no gradient would wake it behind a ReLU. Where
    the width stays it is the identity; otherwise its filters have a mean of zero, so that the level
    of the backbone's maps, which are positive, doesn't matter, and its bias is one.
    """
    layer = nn.Conv2d(in_channels, channels, 1)
    with torch.no_grad():
        if in_channels == channels:
            nn.init.dirac_(layer.weight)
        else:
            layer.weight -= layer.weight.mean(1, keepdim=True)
        assert layer.bias is not None
        layer.bias.fill_(in_channels != channels)
    return layer


class RefinementResidual(nn.Module):
    """RRB: a 1x1 convolution to another width, and two 3x3 ones that correct it (section 3.3).

    Args:
        in_channels: Channels in.
        channels: Channels out.
        last: Whether what comes out are logits, which no ReLU follows.
    """

    def __init__(self, in_channels: int, channels: int, *, last: bool = False) -> None:
        super().__init__()
        self.project = projection(in_channels, channels)
        self.inner = ConvBNAct(channels, channels, bias=True)
        self.outer = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.Identity() if last else nn.ReLU(inplace=True)
        assert self.outer.bias is not None
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, channels, H, W)` at the size of `x`."""
        x = self.project(x)
        return self.act(x + self.outer(self.inner(x)))


class ChannelAttention(nn.Module):
    """CAB: a deeper map and a shallower one, whose channels both weigh (section 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """A map of the shape of both, which are alike in shape."""
        means = torch.cat([shallow, deep], dim=1).mean((2, 3), keepdim=True)
        return shallow * self.weigh(means) + deep


class SmoothBranch(nn.Module):
    """From the mean of the whole image to 1/4 of its size: one class over all of an object.

    Args:
        width: Channels of all its blocks.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.context = projection(CHANNELS[-1], width)
        self.enter = nn.ModuleList(RefinementResidual(channels, width) for channels in CHANNELS)
        self.attend = nn.ModuleList(ChannelAttention(width) for _ in CHANNELS)
        self.leave = nn.ModuleList(
            RefinementResidual(width, width, last=level == 0) for level in range(len(CHANNELS))
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits `(N, width, H / 4, W / 4)` from the maps of the backbone."""
        x = self.context(maps[-1]).mean((2, 3), keepdim=True)
        for level in reversed(range(len(maps))):
            shallow = self.enter[level](maps[level])
            x = resize(x, size_of(shallow))
            x = self.leave[level](self.attend[level](shallow, x))
        return x


class BorderBranch(nn.Module):
    """From the shallowest map to the deepest, all at 1/4 of the image's size: sharp borders.

    Args:
        width: Channels of all its blocks.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList(RefinementResidual(channels, width) for channels in CHANNELS)
        deeper = len(CHANNELS) - 1
        self.leave = nn.ModuleList(
            RefinementResidual(width, width, last=level == deeper - 1) for level in range(deeper)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits `(N, width, H / 4, W / 4)` from the maps of the backbone."""
        x = self.enter[0](maps[0])
        for enter, leave, deep in zip(self.enter[1:], self.leave, maps[1:], strict=True):
            x = leave(x + resize(enter(deep), size_of(x)))
        return x


class DFN(nn.Module):
    """ResNet-101 of output stride 32 under a smooth and a border branch.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = resnet(101, in_channels, weights)
        self.smooth = SmoothBranch(max(2, num_classes))
        self.border = BorderBranch(max(2, num_classes))

    def logits(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """What a branch gives, at the image's size; a single class as a difference of two."""
        if self.num_classes == 1:
            x = x[:, 1:] - x[:, :1]
        return resize(x, size)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits `(N, num_classes, H, W)`; in training those of the border branch as well."""
        maps = self.encoder.maps(x)
        smooth = self.logits(self.smooth(maps), size_of(x))
        if not self.training:
            return smooth
        return smooth, self.logits(self.border(maps), size_of(x))


@register_model(
    "dfn",
    paper="Learning a Discriminative Feature Network for Semantic Segmentation",
    reference="arXiv 1804.09337",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/DFN",),
    overfit_steps=120,
    params=42_520_940,
    macs=40_767_661_104,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    min_size=33,
    notes="All blocks of the branches are as wide as there are classes. The border branch learns "
    "the mask itself, not the border of it as in the paper. Under 33 pixels the deepest map is one "
    "pixel, too little for batch normalisation to train on a batch of one.",
    published="Table III prints 43.53M and 81.88G: it counted the classifier of the ResNet, which "
    "is never run (2,049,000 parameters), and the operations of the ResNet twice, since its stages "
    "were registered twice; its operations include the border branch.",
)
def dfn(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DFN on ResNet-101.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return DFN(in_channels, num_classes, weights)
