"""DFN: 42,520,940 parameters with 3 input channels and 2 classes.

Paper: Yu et al., "Learning a Discriminative Feature Network for Semantic Segmentation", arXiv
1804.09337. It stands for the row DFN of MiniSeg's Table III, whose count tells the variant: a
plain ResNet-101, and refinement and attention blocks as wide as there are classes (the paper has
512 channels). The row counts 2,049,000 parameters more, ImageNet's classifier, which is never
used, and the ResNet's operations twice. Auxiliary head: the border network, trained on the mask as
the code behind the row does (the paper trains it on the mask's outline).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

CHANNELS = (256, 512, 1024, 2048)
"""Channels of the ResNet's maps at 1/4, 1/8, 1/16 and 1/32 of the size."""


class RefinementResidual(nn.Module):
    """1x1 to the wanted channels, then two 3x3 around which that is added (RRB)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.unify = nn.Conv2d(in_channels, out_channels, 1)
        self.body = nn.Sequential(
            ConvBNAct(out_channels, out_channels, bias=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the wanted channels."""
        x = self.unify(x)
        return self.act(self.body(x) + x)


class ChannelAttention(nn.Module):
    """Weighs a map's channels by the means of it and of the deeper one, and adds that (CAB)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor, deeper: Tensor) -> Tensor:
        """A map of the shape of both."""
        means = torch.cat([x, deeper], dim=1).mean((2, 3), keepdim=True)
        return x * self.weigh(means) + deeper


class DFN(nn.Module):
    """ResNet-101, the smooth network, and the border network that only training asks."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        width = num_classes
        self.encoder = resnet(101, in_channels, weights)
        self.whole = nn.Conv2d(CHANNELS[-1], width, 1)
        self.before = nn.ModuleList(RefinementResidual(each, width) for each in CHANNELS)
        self.attention = nn.ModuleList(ChannelAttention(width) for _ in CHANNELS)
        self.after = nn.ModuleList(RefinementResidual(width, width) for _ in CHANNELS)
        self.border = nn.ModuleList(RefinementResidual(each, width) for each in CHANNELS)
        self.border_after = nn.ModuleList(
            RefinementResidual(width, width) for _ in pairwise(CHANNELS)
        )

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits of the image's size; in training those of the border network after them."""
        size = (image.shape[-2], image.shape[-1])
        maps = self.encoder.maps(image)
        # The mean of the deepest map begins; every step joins it with a shallower map.
        x = self.whole(maps[-1].mean((2, 3), keepdim=True))
        for i in reversed(range(len(maps))):
            own = self.before[i](maps[i])
            x = self.after[i](self.attention[i](own, resize(x, (own.shape[-2], own.shape[-1]))))
        if not self.training:
            return resize(x, size)
        border = self.border[0](maps[0])
        for i, step in enumerate(self.border_after, 1):
            deeper = self.border[i](maps[i])
            border = step(border + resize(deeper, (border.shape[-2], border.shape[-1])))
        return resize(x, size), resize(border, size)


@register_model(
    "dfn",
    paper="Learning a Discriminative Feature Network for Semantic Segmentation",
    reference="arXiv 1804.09337",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/DFN",),
    overfit_steps=120,
    params=42_520_940,
    macs=40_766_616_624,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    published="The row counts 2,049,000 parameters of ImageNet's classifier, which is never used, "
    "and the operations of the ResNet twice, whose layers are registered twice.",
    notes="Blocks as wide as there are classes, as the row's count tells. The border network is "
    "the auxiliary head, trained on the mask.",
)
def dfn(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DFN on ResNet-101, its blocks as wide as there are classes."""
    return DFN(in_channels, num_classes, weights)
