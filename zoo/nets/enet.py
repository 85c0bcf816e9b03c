"""ENet, 363,197 parameters: row ENet of Table III of MiniSeg (arXiv 2004.09750v1).

ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation, arXiv 1606.02147.
Bottlenecks around a convolution that is plain, dilated or split into 5x1 and 1x5; 1/8 of the
size at the deepest; the decoder puts values back where the encoder's max-pooling took them.

What the paper leaves open: it does not say what the added maps pass through (here ReLU, as the
count of the table row asks), and it drops feature maps while training, which the code behind
the table row declares but never applies (here left out).
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import Activation, ConvBNAct, relu
from zoo.errors import CovbenchError
from zoo.registry import register_model
from zoo.unpool import max_unpool

EPS = 1e-3
INITIAL = 16
"""Channels of the initial block, pooled image included."""
CYCLE = ("plain", 2, "asymmetric", 4, "plain", 8, "asymmetric", 16)
"""Middle convolutions of a stage at 1/8, gone through twice: a number is a dilation."""

Layer = partial(ConvBNAct, eps=EPS)


class Initial(nn.Module):
    """Halves the size: a convolution with BN and PReLU beside the max-pooled image."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.conv = Layer(in_channels, INITIAL - in_channels, stride=2, bias=True, act=nn.PReLU)

    def forward(self, image: Tensor) -> Tensor:
        """Maps of half the image's size, the pooled image last."""
        return torch.cat([self.conv(image), self.pool(image)], dim=1)


def middle(channels: int, kind: str | int, act: Activation) -> nn.Module:
    """The convolution in the middle of a bottleneck, with BN and activation.

    Args:
        channels: Channels in and out.
        kind: `plain`, `asymmetric`, or a dilation.
        act: Builds the activation.
    """
    if kind == "asymmetric":
        return nn.Sequential(
            nn.Conv2d(channels, channels, (5, 1), padding=(2, 0), bias=False),
            Layer(channels, channels, (1, 5), bias=True, act=act),
        )
    dilation = kind if isinstance(kind, int) else 1
    return Layer(channels, channels, dilation=dilation, bias=True, act=act)


class Bottleneck(nn.Module):
    """Bottleneck of constant size: 1x1 to a quarter of the channels, `middle`, 1x1, addition."""

    def __init__(
        self, channels: int, kind: str | int = "plain", act: Activation = nn.PReLU
    ) -> None:
        super().__init__()
        inner = channels // 4
        self.branch = nn.Sequential(
            Layer(channels, inner, 1, act=act),
            middle(inner, kind, act),
            Layer(inner, channels, 1, act=act),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return F.relu(x + self.branch(x))


class Down(nn.Module):
    """Bottleneck that halves the size; the shortcut is max-pooled and padded with zero maps."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inner = out_channels // 4
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.extra = out_channels - in_channels
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, inner, 2, stride=2, bias=False),
            nn.BatchNorm2d(inner, eps=EPS),
            nn.PReLU(inner),
            middle(inner, "plain", nn.PReLU),
            Layer(inner, out_channels, 1, act=nn.PReLU),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The map at half the size, and the places that the pooling took its values from."""
        pooled, indices = self.pool(x)
        shortcut = F.pad(pooled, (0, 0, 0, 0, 0, self.extra))
        return F.relu(shortcut + self.branch(x)), indices


class Up(nn.Module):
    """Bottleneck that doubles the size; the shortcut is unpooled to the encoder's places."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inner = out_channels // 4
        self.shortcut = Layer(in_channels, out_channels, 1, act=None)
        self.branch = nn.Sequential(
            Layer(in_channels, inner, 1),
            nn.ConvTranspose2d(inner, inner, 3, stride=2, padding=1, output_padding=1),
            nn.BatchNorm2d(inner, eps=EPS),
            nn.ReLU(inplace=True),
            Layer(inner, out_channels, 1),
        )

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """The map at twice the size.

        Args:
            x: The map.
            indices: What `Down` gave at this width, `(N, out_channels, h, w)`.
        """
        branch = self.branch(x)
        height, width = branch.shape[-2:]
        return F.relu(max_unpool(self.shortcut(x), indices, (height, width)) + branch)


class ENet(nn.Module):
    """ENet; height and width of the image must be multiples of 8.

    Args:
        in_channels: Channels of the image, at most 15.
        num_classes: Channels of the logits.

    Raises:
        CovbenchError: The image has more channels than the initial block has room for.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        if in_channels >= INITIAL:
            raise CovbenchError(
                f"enet can't take {in_channels} channels.",
                f"Its initial block has {INITIAL}, the image among them: give it fewer.",
            )
        self.initial = Initial(in_channels)
        self.down1 = Down(INITIAL, 64)
        self.stage1 = nn.Sequential(*(Bottleneck(64) for _ in range(4)))
        self.down2 = Down(64, 128)
        self.stage2 = nn.Sequential(*(Bottleneck(128, kind) for kind in CYCLE * 2))
        self.up2 = Up(128, 64)
        self.refine2 = nn.Sequential(*(Bottleneck(64, act=relu) for _ in range(2)))
        self.up1 = Up(64, INITIAL)
        self.refine1 = Bottleneck(INITIAL, act=relu)
        self.head = nn.ConvTranspose2d(INITIAL, num_classes, 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        x, places1 = self.down1(self.initial(image))
        x, places2 = self.down2(self.stage1(x))
        x = self.refine2(self.up2(self.stage2(x), places2))
        return self.head(self.refine1(self.up1(x, places1)))


@register_model(
    "enet",
    paper="ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation",
    reference="arXiv 1606.02147",
    year=2016,
    tags=("demo", "miniseg-table3", "lightweight"),
    rows=("miniseg-table3/ENet",),
    overfit_steps=80,
    params=363_197,
    macs=1_889_730_560,
    divisor=8,
    notes="Without the paper's spatial dropout: the code behind the table row declares it but "
    "never applies it. Max-unpooling is a scatter, so that the network can be traced. An image "
    "of other than 3 channels changes the initial convolution, so that the block keeps its 16.",
)
def enet(in_channels: int, num_classes: int) -> nn.Module:
    """ENet of arXiv 1606.02147: 363,197 parameters."""
    return ENet(in_channels, num_classes)
