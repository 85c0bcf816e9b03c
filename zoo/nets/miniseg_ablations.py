"""The ablation of MiniSeg, arXiv 2004.09750v1: Tables I and II, one network for each row.

Parameters with 3 input channels and 2 classes, four heads counted (one where there is one):

    Table I: miniseg-t1-single-branch 273,976, miniseg-t1-multi-branch 412,312,
    miniseg-t1-attentive-hierarchy 415,512; its rows 4 and 5 are miniseg without and with ImageNet
    weights.
    Table II: miniseg-t2-relu 468,520, miniseg-t2-no-decoder 404,514,
    miniseg-t2-no-deep-supervision 471,538, miniseg-t2-ahsp-stage1 468,212,
    miniseg-t2-dsconv3 465,272, miniseg-t2-ahsp-ffm 444,680; its last row is miniseg.

Neither table prints a size. Each network is `miniseg` with one thing changed. What the paper
leaves open, and the choice made:

- Without the second path the residual of the blocks (equation 12 without E') stays. The authors'
  later code has plain stacks there: `residual=False`.
- A single branch: 1x1 to a quarter of the width, one depthwise 3x3, 1x1 in four groups, as the
  fusion of AHSP has. `grouped=False` gives it as many weights as that fusion has (390,712).
- Multiple branches: the four dilated ones and the grouped fusion, without the average pooling.
- Without the decoder, stage 4 keeps the size on both paths, as the text says; one head predicts
  at 1/8 of the image's size. The later code predicts at 1/16.
- Without deep supervision the auxiliary heads are left out; merely unused, the count would stay.
- AHSP in stage 1 replaces the main path's convolutions, not its Downsampler Block.
- 3x3 in the Downsampler Blocks: those of stages 2 to 4; that of stage 1 has a 3x3 already.
- AHSP for the FFM: of stride 1, with its own batch norm and PReLU.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from zoo.blocks import relu, resize
from zoo.miniseg_blocks import AHSP, Block, DownsamplerBlock, MultiBranch, SingleBranch
from zoo.miniseg_stages import one_path
from zoo.nets.miniseg import BLOCKS, CHANNELS, MAIN, SECOND, MiniSeg, decoder, two_paths
from zoo.registry import register_model

PAPER: dict[str, Any] = {
    "paper": "MiniSeg: An Extremely Minimum Network for Efficient COVID-19 Segmentation",
    "reference": "arXiv 2004.09750v1",
    "year": 2020,
    "encoder": "encoder",
}
"""What the cards have in common."""


def _one_path(in_channels: int, block: Block, residual: bool) -> nn.Module:
    """The encoder without its second path; stages 2 to 4 are made of the block."""
    blocks = (MAIN[0], block, block, block)
    return one_path(in_channels, CHANNELS, BLOCKS, blocks, residual=residual)


class Prediction(nn.Module):
    """What is left without a decoder: one head on the deepest map.

    Args:
        num_classes: Channels of the logits.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(CHANNELS[-1], num_classes, 1)

    def forward(self, features: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Logits `(N, num_classes, *size)`.

        Args:
            features: The encoder's maps, shallowest first.
            size: Height and width of the network's input.
        """
        return resize(self.head(features[-1]), size)


@register_model(
    "miniseg-t1-single-branch",
    **PAPER,
    tags=("miniseg-table1",),
    rows=("miniseg-table1/miniseg-t1-single-branch",),
    params=273_976,
    macs=1_343_291_392,
    notes="No second path, and one branch in every block. grouped=false gives the last 1x1 of a "
    "block as many weights as the fusion of AHSP has (390,712 parameters); residual=false makes "
    "plain stacks of the stages, as in the authors' later code. The paper says neither.",
)
def single_branch(
    in_channels: int, num_classes: int, *, residual: bool = True, grouped: bool = True
) -> nn.Module:
    """Table I, row 1.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        residual: Whether every block but the first of a stage is added to its input.
        grouped: Whether the last 1x1 of a block has four groups.
    """
    block = partial(SingleBranch, grouped=grouped)
    return MiniSeg(_one_path(in_channels, block, residual), decoder(num_classes))


@register_model(
    "miniseg-t1-multi-branch",
    **PAPER,
    tags=("miniseg-table1",),
    rows=("miniseg-table1/miniseg-t1-multi-branch",),
    params=412_312,
    macs=1_667_497_984,
    notes="No second path; four dilated branches in every block, neither summed up nor attended "
    "to, and no average pooling (the paper is unclear about it). residual=false makes plain "
    "stacks of the stages, as in the authors' later code.",
)
def multi_branch(in_channels: int, num_classes: int, *, residual: bool = True) -> nn.Module:
    """Table I, row 2.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        residual: Whether every block but the first of a stage is added to its input.
    """
    return MiniSeg(_one_path(in_channels, MultiBranch, residual), decoder(num_classes))


@register_model(
    "miniseg-t1-attentive-hierarchy",
    **PAPER,
    tags=("miniseg-table1",),
    rows=("miniseg-table1/miniseg-t1-attentive-hierarchy",),
    params=415_512,
    macs=1_678_245_888,
    notes="No second path. residual=false makes plain stacks of the stages, as in the authors' "
    "later code.",
)
def attentive_hierarchy(in_channels: int, num_classes: int, *, residual: bool = True) -> nn.Module:
    """Table I, row 3.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        residual: Whether every block but the first of a stage is added to its input.
    """
    return MiniSeg(_one_path(in_channels, AHSP, residual), decoder(num_classes))


@register_model(
    "miniseg-t2-relu",
    **PAPER,
    tags=("miniseg-table2",),
    rows=("miniseg-table2/miniseg-t2-relu",),
    params=468_520,
    macs=2_223_243_264,
    notes="Every PReLU is a ReLU.",
)
def with_relu(in_channels: int, num_classes: int) -> nn.Module:
    """Table II, row 1."""
    main, second = ([partial(block, act=relu) for block in path] for path in (MAIN, SECOND))
    return MiniSeg(two_paths(in_channels, main, second), decoder(num_classes, act=relu))


@register_model(
    "miniseg-t2-no-decoder",
    **PAPER,
    tags=("miniseg-table2",),
    rows=("miniseg-table2/miniseg-t2-no-decoder",),
    params=404_514,
    macs=2_418_540_544,
    notes="Stage 4 keeps the size and one head predicts at 1/8 of it; no auxiliary heads.",
)
def no_decoder(in_channels: int, num_classes: int) -> nn.Module:
    """Table II, row 2."""
    return MiniSeg(two_paths(in_channels, strides=(2, 2, 2, 1)), Prediction(num_classes))


@register_model(
    "miniseg-t2-no-deep-supervision",
    **PAPER,
    tags=("miniseg-table2",),
    rows=("miniseg-table2/miniseg-t2-no-deep-supervision",),
    params=471_538,
    macs=2_223_243_264,
    notes="The main head alone.",
)
def no_deep_supervision(in_channels: int, num_classes: int) -> nn.Module:
    """Table II, row 3."""
    return MiniSeg(two_paths(in_channels), decoder(num_classes, heads=1))


@register_model(
    "miniseg-t2-ahsp-stage1",
    **PAPER,
    tags=("miniseg-table2",),
    rows=("miniseg-table2/miniseg-t2-ahsp-stage1",),
    params=468_212,
    macs=1_948_516_352,
    notes="The main path of stage 1 is of AHSP blocks too; its second path is that of miniseg.",
)
def ahsp_stage1(in_channels: int, num_classes: int) -> nn.Module:
    """Table II, row 4."""
    return MiniSeg(two_paths(in_channels, (AHSP, *MAIN[1:])), decoder(num_classes))


@register_model(
    "miniseg-t2-dsconv3",
    **PAPER,
    tags=("miniseg-table2",),
    rows=("miniseg-table2/miniseg-t2-dsconv3",),
    params=465_272,
    macs=2_193_883_136,
    notes="The Downsampler Blocks of stages 2 to 4 have a 3x3 convolution, as that of stage 1 has "
    "in miniseg.",
)
def dsconv3(in_channels: int, num_classes: int) -> nn.Module:
    """Table II, row 5."""
    small = partial(DownsamplerBlock, kernel=3)
    encoder = two_paths(in_channels, second=(SECOND[0], small, small, small))
    return MiniSeg(encoder, decoder(num_classes))


@register_model(
    "miniseg-t2-ahsp-ffm",
    **PAPER,
    tags=("miniseg-table2",),
    rows=("miniseg-table2/miniseg-t2-ahsp-ffm",),
    params=444_680,
    macs=1_988_362_240,
    notes="AHSP blocks in place of the decoder's feature fusion modules, after the enlargement.",
)
def ahsp_ffm(in_channels: int, num_classes: int) -> nn.Module:
    """Table II, row 6."""
    return MiniSeg(two_paths(in_channels), decoder(num_classes, fuse=AHSP))
