"""CGNet, 491,954 parameters: row CGNet of Table III of MiniSeg (arXiv 2004.09750v1).

CGNet: A Light-weight Context Guided Network for Semantic Segmentation, arXiv 1811.08201. Three
stages, 1/8 of the size at the deepest; each block joins a local and a dilated depthwise
convolution and weighs its channels by the global context; the pooled image is fed in again at
1/2 and 1/4. Logits are resized from 1/8.

What the paper leaves open: the number of blocks is its parameter, M in stage 2 and N in stage 3;
the table row has M=3 and N=21, the block that halves the size included.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.errors import CovbenchError
from zoo.light_blocks import halving, norm_act
from zoo.registry import register_model

EPS = 1e-3

Layer = partial(ConvBNAct, act=nn.PReLU, eps=EPS)
NormAct = partial(norm_act, eps=EPS)


class Gate(nn.Module):
    """Weighs each channel by the global context: mean, two linear layers, sigmoid."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.ReLU(inplace=True),
            nn.Linear(channels // reduction, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return x * self.weigh(x.mean((2, 3)))[:, :, None, None]


class LocalAndSurround(nn.Module):
    """A plain and a dilated depthwise convolution side by side, then BN and PReLU.

    Args:
        channels: Channels in; twice as many come out.
        dilation: Dilation of the second convolution.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        depthwise = partial(nn.Conv2d, channels, channels, 3, groups=channels, bias=False)
        self.local = depthwise(padding=1)
        self.surround = depthwise(padding=dilation, dilation=dilation)
        self.post = NormAct(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same size with twice the channels."""
        return self.post(torch.cat([self.local(x), self.surround(x)], dim=1))


class Block(nn.Sequential):
    """Context-guided block of constant size and width, added to its input."""

    def __init__(self, channels: int, dilation: int, reduction: int) -> None:
        super().__init__(
            Layer(channels, channels // 2, 1),
            LocalAndSurround(channels // 2, dilation),
            Gate(channels, reduction),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return x + super().forward(x)


def down_block(in_channels: int, out_channels: int, dilation: int, reduction: int) -> nn.Module:
    """Context-guided block that halves the size; nothing is added to it."""
    return nn.Sequential(
        Layer(in_channels, out_channels, stride=2),
        LocalAndSurround(out_channels, dilation),
        nn.Conv2d(2 * out_channels, out_channels, 1, bias=False),
        Gate(out_channels, reduction),
    )


class Stage(nn.Module):
    """A block that halves the size, and further blocks behind it."""

    def __init__(
        self, in_channels: int, channels: int, blocks: int, dilation: int, reduction: int
    ) -> None:
        super().__init__()
        self.down = down_block(in_channels, channels, dilation, reduction)
        self.blocks = nn.Sequential(
            *(Block(channels, dilation, reduction) for _ in range(blocks - 1))
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maps after the last and after the first block."""
        first = self.down(x)
        return self.blocks(first), first


class CGNet(nn.Module):
    """CGNet.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        blocks2: Blocks of stage 2, M in the paper.
        blocks3: Blocks of stage 3, N in the paper.

    Raises:
        CovbenchError: A stage has no block.
    """

    def __init__(self, in_channels: int, num_classes: int, *, blocks2: int, blocks3: int) -> None:
        super().__init__()
        if min(blocks2, blocks3) < 1:
            raise CovbenchError(
                f"cgnet can't have {blocks2} and {blocks3} blocks in its stages.",
                "Give blocks2 and blocks3 a value of 1 or more.",
            )
        # Pooled from the image for each of the two, as the table's count has it.
        self.pool2 = halving()
        self.pool4 = halving(2)
        self.stem = nn.Sequential(Layer(in_channels, 32, stride=2), Layer(32, 32), Layer(32, 32))
        self.post1 = NormAct(32 + in_channels)
        self.stage2 = Stage(32 + in_channels, 64, blocks2, dilation=2, reduction=8)
        self.post2 = NormAct(2 * 64 + in_channels)
        self.stage3 = Stage(2 * 64 + in_channels, 128, blocks3, dilation=4, reduction=16)
        self.post3 = NormAct(2 * 128)
        self.head = nn.Conv2d(2 * 128, num_classes, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        x = self.post1(torch.cat([self.stem(image), self.pool2(image)], dim=1))
        x = self.post2(torch.cat([*self.stage2(x), self.pool4(image)], dim=1))
        x = self.post3(torch.cat(self.stage3(x), dim=1))
        height, width = image.shape[-2:]
        return resize(self.head(x), (height, width))


@register_model(
    "cgnet",
    paper="CGNet: A Light-weight Context Guided Network for Semantic Segmentation",
    reference="arXiv 1811.08201",
    year=2018,
    tags=("demo", "miniseg-table3", "lightweight"),
    rows=("miniseg-table3/CGNet",),
    params=491_954,
    macs=3_363_353_600,
    notes="blocks2 and blocks3 are the paper's M and N, the block that halves the size included; "
    "the defaults 3 and 21 are those of the table row.",
)
def cgnet(in_channels: int, num_classes: int, *, blocks2: int = 3, blocks3: int = 21) -> nn.Module:
    """CGNet of arXiv 1811.08201: 491,954 parameters with 3 and 21 blocks, 419,330 with 3 and 15."""
    return CGNet(in_channels, num_classes, blocks2=blocks2, blocks3=blocks3)
