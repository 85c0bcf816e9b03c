"""MiniSeg, 472,440 parameters: the network of arXiv 2004.09750v1, row MiniSeg of Table III.

Four stages of 16, 64, 128 and 256 channels, the first of plain convolutions, the others of
AHSP blocks; beside each stage a Downsampler Block carries a second path, whose result is added
to every block's input. The decoder has four heads, all of them counted.

What the paper leaves open: its text, taken literally, has 470,536 parameters, while Table III
prints 472.44K and 2.27G operations. One change makes both numbers come out: a vanilla 3x3
convolution in place of the 5x5 depthwise one in the Downsampler Block of stage 1, in line with
the paper's remark that stage 1 uses vanilla convolutions since it has few channels. That is the
default here; `strict=True` gives the literal text.

The networks of its ablation, Tables I and II, are in `zoo.nets.miniseg_ablations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.miniseg_blocks import AHSP, Block, DownsamplerBlock, MiniSegDecoder
from zoo.miniseg_stages import MiniSegEncoder, Stage, stack
from zoo.pretrained import unpublished
from zoo.registry import register_model

CHANNELS = (16, 64, 128, 256)
BLOCKS = (3, 4, 9, 7)
"""Blocks of each stage, the one of stride 2 included."""

MAIN: tuple[Block, ...] = (partial(ConvBNAct, act=nn.PReLU), AHSP, AHSP, AHSP)
"""What the main path of each stage is made of."""

SECOND: tuple[Block, ...] = (
    partial(DownsamplerBlock, kernel=3, depthwise=False),
    *(DownsamplerBlock,) * 3,
)
"""The second path of each stage."""


class MiniSeg(nn.Module):
    """An encoder and a decoder.

    Args:
        encoder: Gives maps, shallowest first.
        decoder: Takes those and the image's size, gives logits; in training one for each head.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of the image's size; in training one for each head, the main one first."""
        height, width = image.shape[-2:]
        return self.decoder(self.encoder(image), (height, width))


def two_paths(
    in_channels: int,
    main: Sequence[Block] = MAIN,
    second: Sequence[Block] = SECOND,
    strides: Sequence[int] = (2, 2, 2, 2),
) -> MiniSegEncoder:
    """The encoder, or one that differs from it in some part.

    Args:
        in_channels: Channels of the image.
        main: What the main path of each stage is made of.
        second: The second path of each stage.
        strides: The stride of each stage.
    """
    before = (in_channels, *CHANNELS[:-1])
    return MiniSegEncoder(
        Stage(
            stack(main[i], before[i], width, BLOCKS[i], strides[i]),
            second[i](before[i], width, stride=strides[i]),
        )
        for i, width in enumerate(CHANNELS)
    )


def decoder(num_classes: int, heads: int = len(CHANNELS), **parts: Block) -> MiniSegDecoder:
    """The decoder, or one that differs from it in some part.

    Args:
        num_classes: Channels of the logits.
        heads: How many of its maps predict.
        **parts: `fuse` and `act` of `MiniSegDecoder`, where they differ.
    """
    return MiniSegDecoder(
        CHANNELS, num_classes, heads=heads, lateral_bias=False, dropout=0.0, **parts
    )


@register_model(
    "miniseg",
    paper="MiniSeg: An Extremely Minimum Network for Efficient COVID-19 Segmentation",
    reference="arXiv 2004.09750v1",
    year=2020,
    tags=("demo", "miniseg-table1", "miniseg-table2", "miniseg-table3", "lightweight"),
    rows=("miniseg-table3/MiniSeg",),
    params=472_440,
    macs=2_223_243_264,
    encoder="encoder",
    weights="none published",
    notes="The paper's text alone gives 470,536 parameters and 2.15G operations by its own "
    "counter (strict=True), not the 472.44K and 2.27G that it prints. The default is the "
    "simplest change that gives both printed numbers: a vanilla 3x3 convolution in the "
    "Downsampler Block of stage 1, where the paper uses vanilla convolutions. Four heads, all "
    "counted; 0.4 per auxiliary head in the paper's loss. The paper's row with ImageNet weights "
    "needs a file of them, weights=FILE.safetensors.",
)
def miniseg(
    in_channels: int, num_classes: int, *, strict: bool = False, weights: str | None = None
) -> nn.Module:
    """MiniSeg of arXiv 2004.09750v1.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        strict: Whether the Downsampler Block of stage 1 follows equation 9 like the others;
            470,536 parameters.
        weights: ImageNet weights of the encoder, a .safetensors file; None for random ones.

    Raises:
        WeightsUnavailable: `weights` is "imagenet", which nobody has published.
    """
    if weights is not None:
        raise unpublished(weights, "miniseg")
    second = (DownsamplerBlock,) * len(CHANNELS) if strict else SECOND
    return MiniSeg(two_paths(in_channels, second=second), decoder(num_classes))
