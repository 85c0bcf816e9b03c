"""MiniSeg-83K, the later MiniSeg (AAAI 2021) of the authors' code: not a row of Table III of v1.

82,912 parameters with the three auxiliary heads, 82,666 without. Narrower than the network of
the first version (8, 24, 32, 64 channels); the second path runs along the first half of each
stage, and the two paths exchange features between stages. The wiring is that of the released
weights, which `released` reads: with them the slices of their test fold come out as published.

That code has an ablation too. Its rows without the second path are plain stacks of blocks,
`paths=1, residual=False`, of full AHSP blocks, of their four dilated branches, or of one branch
(`block`), whose last 1x1 has two groups in stage 2, since a quarter of 24 channels can't have
four: 42,504, 41,672 and 28,664 parameters here. How many they had there is not known, so they are
options and no networks of their own.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct
from zoo.cards import ReleasedCheckpoint
from zoo.errors import unknown
from zoo.miniseg_blocks import (
    AHSP,
    Block,
    DownsamplerBlock,
    MiniSegDecoder,
    MultiBranch,
    SingleBranch,
)
from zoo.miniseg_stages import one_path
from zoo.pretrained import unpublished
from zoo.registry import register_model

CHANNELS = (8, 24, 32, 64)
BLOCKS = (3, 4, 9, 7)
"""Blocks of each stage's main path, the one of stride 2 included."""

BlockName = Literal["ahsp", "multi-branch", "single-branch"]
_BY_NAME: dict[BlockName, Block] = {
    "ahsp": AHSP,
    "multi-branch": MultiBranch,
    "single-branch": SingleBranch,
}


class Stage(nn.Module):
    """One stage: halves the size, on both paths.

    Args:
        block: Builds a block of the main path from channels in, channels out and stride.
        in_channels: Channels in, on both paths.
        width: Channels out, on both paths.
        count: Blocks of the main path, the one of stride 2 included.
        residual: Whether the main path's blocks of stride 1 are added to its map.
    """

    def __init__(
        self, block: Block, in_channels: int, width: int, count: int, *, residual: bool
    ) -> None:
        super().__init__()
        self.residual = residual
        self.second_down = DownsamplerBlock(in_channels, width)
        self.main_down = block(in_channels, width, stride=2)
        self.second = nn.ModuleList(
            DownsamplerBlock(width, width, stride=1) for _ in range((count - 1) // 2)
        )
        self.main = nn.ModuleList(block(width, width) for _ in range(count - 1))

    def forward(self, main: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Both maps of the stage before in, both maps of this stage out."""
        second, main = self.second_down(second), self.main_down(main)
        for j, block in enumerate(self.main):
            both = main + second
            main = block(both) + main if self.residual else block(both)
            if j < len(self.second):
                second = self.second[j](both) + second
        return main, second


class Exchange(nn.Module):
    """Adds to each path a half of what a 1x1 convolution with BN makes of both.

    Args:
        width: Channels of one path.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = ConvBNAct(2 * width, 2 * width, 1, act=None)

    def forward(self, main: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The main map and the second one, in that order, in and out."""
        to_second, to_main = self.mix(torch.cat((second, main), dim=1)).chunk(2, dim=1)
        return to_main + main, to_second + second


class TwoPathEncoder(nn.Module):
    """Both paths, with an exchange after every stage but the last.

    Args:
        in_channels: Channels of the image.
        blocks: What the main path of each stage is made of.
        residual: Whether the main path's blocks of stride 1 are added to its map.
    """

    def __init__(self, in_channels: int, blocks: tuple[Block, ...], *, residual: bool) -> None:
        super().__init__()
        before = (in_channels, *CHANNELS[:-1])
        self.stages = nn.ModuleList(
            Stage(blocks[i], before[i], width, BLOCKS[i], residual=residual)
            for i, width in enumerate(CHANNELS)
        )
        self.exchanges = nn.ModuleList(Exchange(width) for width in CHANNELS[:-1])

    def forward(self, image: Tensor) -> list[Tensor]:
        """The main map of every stage, before its exchange, shallowest first."""
        main = second = image
        features = []
        for i, stage in enumerate(self.stages):
            main, second = stage(main, second)
            features.append(main)
            if i < len(self.exchanges):
                main, second = self.exchanges[i](main, second)
        return features


class MiniSeg83K(nn.Module):
    """MiniSeg as its authors released it; its options are those of `miniseg_83k`."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        aux: bool,
        block: Block,
        paths: int,
        residual: bool,
    ) -> None:
        super().__init__()
        blocks = (partial(ConvBNAct, act=nn.PReLU), block, block, block)
        self.encoder = (
            TwoPathEncoder(in_channels, blocks, residual=residual)
            if paths == 2
            else one_path(in_channels, CHANNELS, BLOCKS, blocks, residual=residual)
        )
        self.deepest = ConvBNAct(CHANNELS[-1], CHANNELS[-1], 1, bias=True, act=nn.PReLU)
        heads = len(CHANNELS) if aux else 1
        self.decoder = MiniSegDecoder(CHANNELS, num_classes, heads=heads, dropout=0.01)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of the image's size; in training one for each head, the main one first."""
        height, width = image.shape[-2:]
        features = self.encoder(image)
        features[-1] = self.deepest(features[-1])
        return self.decoder(features, (height, width))


_PLAIN = {"conv": "0", "bn": "1", "act": "2"}
_AHSP = {
    "conv1x1_down": "reduce",
    "conv1": "branches.0",
    "conv2": "branches.1",
    "conv3": "branches.2",
    "conv4": "branches.3",
    "attention": "attention",
    "conv1x1_fuse": "fuse.0",
    "bn": "fuse.1",
    "act": "fuse.2",
}
_SECOND = {"conv0": "pointwise", "conv1": "spatial.0", "bn": "spatial.1", "act": "spatial.2"}
_FUSION = {"conv0": "pointwise", "conv1": "depthwise.0", "conv2": "depthwise.1", "bn": "bn"}
_LATERAL = {"conv1": "0", "conv2": "0", "conv3": "0", "bn1": "1", "bn2": "1", "bn3": "1"}

# The authors' module, ours ({0} is the stage, which they count from 1), and what the names inside
# theirs are inside ours, where they differ. The first that fits holds.
_PLACES: tuple[tuple[str, str, dict[str, str]], ...] = (
    (r"long(\d)\.", "encoder.stages.{0}.second_down.", _SECOND),
    (r"level(\d)_long\.(\d)\.", "encoder.stages.{0}.second.{1}.", _SECOND),
    (r"down(1)\.", "encoder.stages.{0}.main_down.", _PLAIN),
    (r"level(1)\.(\d)\.", "encoder.stages.{0}.main.{1}.", _PLAIN),
    (r"down([234])\.", "encoder.stages.{0}.main_down.", _AHSP),
    (r"level([234])\.(\d)\.", "encoder.stages.{0}.main.{1}.", _AHSP),
    (r"cat([123])\.", "encoder.exchanges.{0}.mix.", {}),
    (r"up4_", "deepest.", {"conv4": "0", "bn4": "1", "act": "2"}),
    (r"up([123])_conv[234]\.(?=conv|bn)", "decoder.steps.{0}.fuse.", _FUSION),
    (r"up([123])_act\.", "decoder.steps.{0}.act.", {}),
    (r"up([123])_", "decoder.steps.{0}.lateral.", _LATERAL),
    (r"pred([1234])\.", "decoder.heads.{0}.", {}),
)


def _our_name(theirs: str) -> str:
    """The name in `MiniSeg83K` of one entry of a released checkpoint; unknown ones stay."""
    for pattern, place, inside in _PLACES:
        if found := re.match(pattern, theirs):
            stage, *block = found.groups() or ("1",)
            module, *leaf = theirs[found.end() :].split(".")
            return place.format(int(stage) - 1, *block) + ".".join(
                (inside.get(module, module), *leaf)
            )
    return theirs


def _is_released(state: dict[str, Tensor]) -> bool:
    """Whether a state dict has the names of the authors' code."""
    return {"long1.conv0.weight", "cat1.0.weight", "up4_conv4.weight"} <= state.keys()


def _from_released(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A released state dict under the names of `MiniSeg83K`."""
    return {_our_name(name): value for name, value in state.items()}


@register_model(
    "miniseg-83k",
    paper="MiniSeg: An Extremely Minimum Network for Efficient COVID-19 Segmentation",
    reference="AAAI 2021, arXiv 2004.09750v3",
    year=2021,
    params=82_912,
    macs=476_577_792,
    tags=("demo", "lightweight"),
    encoder="encoder",
    weights="none published",
    notes="The later network of the released code and weights, not the one of the first "
    "version's Table III (that is miniseg). 82,666 parameters without auxiliary heads "
    "(aux=false). The ablation of the released code without a second path is paths=1, "
    "residual=false with any block; how many parameters it had there is not known.",
    published="The parameters agree. Its convolutions take 0.478 GMACs at 512x512 with all four "
    "heads, the authors' 0.481: as much more as the main head costs after the enlargement to the "
    "input's size instead of before it, which leaves the logits the same.",
    released=ReleasedCheckpoint(
        origin="MiniSeg_CrossVal{1..5}.pth of github.com/yun-liu/MiniSeg, CC BY-NC-SA 4.0 "
        "(non-commercial)",
        protocol="miniseg-code",
        preprocessing="512x512, RGB / 255, then minus the mean and divided by the standard "
        "deviation of the training fold, each averaged over its images",
        matches=_is_released,
        convert=_from_released,
        options=(("aux", True),),
    ),
)
def miniseg_83k(
    in_channels: int,
    num_classes: int,
    *,
    aux: bool = True,
    block: BlockName = "ahsp",
    paths: int = 2,
    residual: bool = True,
    weights: str | None = None,
) -> nn.Module:
    """MiniSeg of the released code.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        aux: Whether there are heads on the three deeper maps too; 82,666 parameters without.
        block: The main path's block after stage 1: "ahsp", or for ablations "multi-branch" or
            "single-branch".
        paths: Two, or the main one alone.
        residual: Whether the main path's blocks of stride 1 are added to its map.
        weights: ImageNet weights of the encoder, a .safetensors file; None for random ones.

    Raises:
        CovbenchError: An option has a value that it can't have.
        WeightsUnavailable: `weights` is "imagenet", which nobody has published.
    """
    if block not in _BY_NAME:
        raise unknown("value of block", str(block), _BY_NAME, ", ".join(_BY_NAME))
    if paths not in (1, 2):
        raise unknown("value of paths", str(paths), ["1", "2"], "1, 2")
    if weights is not None:
        raise unpublished(weights, "miniseg-83k")
    return MiniSeg83K(
        in_channels, num_classes, aux=aux, block=_BY_NAME[block], paths=paths, residual=residual
    )
