"""PSPNet: 65,571,395 parameters with 3 input channels and 2 classes.

Paper: Zhao et al., "Pyramid Scene Parsing Network", arXiv 1612.01105. It stands for the row PSPNet
of MiniSeg's Table III, whose count tells the variant: a ResNet-101 with the stride in the first
1x1 of a block, pooling that rounds up, output stride 8 by dilation in every block of the last two
stages, a head whose 3x3 has a bias, no padding and a PReLU of one parameter behind it, no
auxiliary head.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from zoo.backbones import ResNetEncoder, load_resnet
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

BINS = (1, 2, 3, 6)
STAGES = ((64, 3, 1, 1), (128, 4, 2, 1), (256, 23, 1, 2), (512, 3, 1, 4))
"""Inner channels, blocks, stride and dilation of each stage."""


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut, the stride in the first; layers are named as torchvision's.

    Args:
        in_channels: Channels in.
        inner: Channels of the 3x3; four times as many come out.
        stride: Stride of the first 1x1 and of the shortcut.
        dilation: Dilation of the 3x3.
    """

    def __init__(self, in_channels: int, inner: int, stride: int, dilation: int) -> None:
        super().__init__()
        out = 4 * inner
        self.conv1 = nn.Conv2d(in_channels, inner, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            ConvBNAct(in_channels, out, 1, stride=stride, act=None)
            if stride > 1 or in_channels != out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps of four times the inner channels."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


def early_stride_resnet101(in_channels: int, weights: str | None) -> ResNetEncoder:
    """A ResNet-101 of output stride 8 whose blocks have their stride in the first 1x1.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for torchvision's weights, which have the same shapes but were trained
            with the stride in the 3x3; None for random ones.
    """
    children: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)),
        ("bn1", nn.BatchNorm2d(64)),
        ("relu", nn.ReLU(inplace=True)),
        ("maxpool", nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
    ]
    before = 64
    for number, (inner, count, stride, dilation) in enumerate(STAGES, 1):
        blocks = []
        for index in range(count):
            blocks.append(Bottleneck(before, inner, 1 if index else stride, dilation))
            before = 4 * inner
        children.append((f"layer{number}", nn.Sequential(*blocks)))
    encoder = ResNetEncoder(OrderedDict(children))
    if weights is not None:
        load_resnet(encoder, 101, weights, in_channels)
    return encoder


class PyramidPooling(nn.Module):
    """The map beside its means over grids of 1, 4, 9 and 36 cells, each through a 1x1."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), nn.Conv2d(2048, 512, 1, bias=False))
            for bins in BINS
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, 4096, H, W)`."""
        size = (x.shape[-2], x.shape[-1])
        return torch.cat([x, *(resize(branch(x), size) for branch in self.branches)], dim=1)


class PSPNet(nn.Module):
    """ResNet-101, pyramid pooling, a 3x3 convolution."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = early_stride_resnet101(in_channels, weights)
        self.head = nn.Sequential(
            PyramidPooling(),
            nn.Conv2d(4096, 512, 3),
            nn.BatchNorm2d(512),
            nn.PReLU(),
            nn.Dropout2d(0.1),
            nn.Conv2d(512, num_classes, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return resize(self.head(self.encoder(image)), (image.shape[-2], image.shape[-1]))


@register_model(
    "pspnet",
    paper="Pyramid Scene Parsing Network",
    reference="arXiv 1612.01105",
    year=2017,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/PSPNet",),
    overfit_steps=120,
    params=65_571_395,
    macs=257_308_279_808,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="The code behind the row kept 105,344 parameters of the batch norms fixed; here they are "
    "trained like all others. ImageNet weights are those of a ResNet-101 with the stride in its "
    "3x3, as no others are published; the code behind the row took a ResNet-50's.",
)
def pspnet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """PSPNet on ResNet-101 at output stride 8, without an auxiliary head."""
    return PSPNet(in_channels, num_classes, weights)
