"""DABNet: 752,240 parameters with 3 input channels and 2 classes.

Paper: Li et al., "DABNet: Depth-wise Asymmetric Bottleneck for Real-time Semantic Segmentation",
arXiv 1907.11357. Bottlenecks with two depthwise branches of 3x1 and 1x3 convolutions, one of them
dilated; 1/8 of the size at the deepest; the pooled image is joined in at every scale; no decoder:
logits are resized from 1/8.

What the paper leaves open: no convolution has a bias, epsilon of the batch norms is 1e-3, and batch
norm and PReLU stand behind every convolution but a module's last and the classifier. The halving
to 1/8 is a convolution alone, since its input is wider than its output. An odd size is rounded up
where it is halved, so that any size will do.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.errors import CovbenchError
from zoo.joined_down import JoinedDown
from zoo.light_blocks import halving, norm_act
from zoo.registry import register_model

EPS = 1e-3
DILATIONS1 = (2, 2, 2)
"""Dilations of the modules at 1/4."""
DILATIONS2 = (4, 4, 8, 8, 16, 16)
"""Dilations of the modules at 1/8."""
MOST_CHANNELS = 31
"""Channels of the image: of the second halving's 64, 32 are the map's and one must be its own."""

Layer = partial(ConvBNAct, act=nn.PReLU, eps=EPS)


def asymmetric(channels: int, dilation: int) -> nn.Sequential:
    """Depthwise 3x1 and 1x3 convolutions, both dilated, each with batch norm and PReLU."""
    return nn.Sequential(
        Layer(channels, channels, (3, 1), dilation=dilation, groups=channels),
        Layer(channels, channels, (1, 3), dilation=dilation, groups=channels),
    )


class DAB(nn.Module):
    """Depthwise asymmetric bottleneck: adds to its input what half as many channels find.

    Args:
        channels: Channels in and out.
        dilation: Dilation of the second branch.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        half = channels // 2
        self.reduce = nn.Sequential(norm_act(channels, EPS), Layer(channels, half))
        self.plain = asymmetric(half, 1)
        self.dilated = asymmetric(half, dilation)
        # Neither batch norm nor activation follows the last convolution.
        self.expand = nn.Sequential(norm_act(half, EPS), nn.Conv2d(half, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        reduced = self.reduce(x)
        return x + self.expand(self.plain(reduced) + self.dilated(reduced))


def modules(channels: int, dilations: Iterable[int]) -> nn.Sequential:
    """Bottlenecks one behind the other, one for each dilation."""
    return nn.Sequential(*(DAB(channels, dilation) for dilation in dilations))


class DABNet(nn.Module):
    """DABNet.

    Args:
        in_channels: Channels of the image, at most `MOST_CHANNELS`.
        num_classes: Channels of the logits.

    Raises:
        CovbenchError: The image has more channels than the second halving has room for.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        if in_channels > MOST_CHANNELS:
            raise CovbenchError(
                f"dabnet can't take {in_channels} channels.",
                f"Its second halving has room for {MOST_CHANNELS} of the image: give it fewer.",
            )
        self.halve = halving()
        self.stem = nn.Sequential(Layer(in_channels, 32, stride=2), Layer(32, 32), Layer(32, 32))
        self.join1 = norm_act(32 + in_channels, EPS)
        self.down1 = JoinedDown(32 + in_channels, 64, act=nn.PReLU, bias=False, eps=EPS)
        self.block1 = modules(64, DILATIONS1)
        self.join2 = norm_act(2 * 64 + in_channels, EPS)
        self.down2 = Layer(2 * 64 + in_channels, 128, stride=2)
        self.block2 = modules(128, DILATIONS2)
        self.join3 = norm_act(2 * 128 + in_channels, EPS)
        self.head = nn.Conv2d(2 * 128 + in_channels, num_classes, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        half = self.halve(image)
        quarter = self.halve(half)
        eighth = self.halve(quarter)
        x = self.join1(torch.cat([self.stem(image), half], dim=1))
        first = self.down1(x)
        x = self.join2(torch.cat([self.block1(first), first, quarter], dim=1))
        first = self.down2(x)
        x = self.join3(torch.cat([self.block2(first), first, eighth], dim=1))
        return resize(self.head(x), (image.shape[-2], image.shape[-1]))


@register_model(
    "dabnet",
    paper="DABNet: Depth-wise Asymmetric Bottleneck for Real-time Semantic Segmentation",
    reference="arXiv 1907.11357",
    year=2019,
    tags=("modern", "lightweight"),
    params=752_240,
    macs=5_092_155_392,
    notes="Written from the paper. Any height and width will do: an odd one is rounded up where it "
    "is halved.",
    published="The paper prints 0.76M for the 19 classes of Cityscapes; with them this network has "
    "756,643.",
)
def dabnet(in_channels: int, num_classes: int) -> nn.Module:
    """DABNet of arXiv 1907.11357."""
    return DABNet(in_channels, num_classes)
