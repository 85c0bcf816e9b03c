"""The stages of MiniSeg's encoder: with both paths, as in the paper, or with the main one alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from zoo.miniseg_blocks import Block


def stack(block: Block, in_channels: int, width: int, count: int, stride: int) -> list[nn.Module]:
    """The blocks of one stage's main path.

    Args:
        block: Builds each of them.
        in_channels: Channels in.
        width: Channels out.
        count: How many.
        stride: Stride of the first.
    """
    first = block(in_channels, width, stride=stride)
    return [first, *(block(width, width) for _ in range(count - 1))]


class Stage(nn.Module):
    """One stage with two paths.

    Args:
        blocks: The blocks of the main path; the first has the stage's stride.
        second: The block of the second path, of the same stride.
    """

    def __init__(self, blocks: list[nn.Module], second: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.second = second

    def forward(self, main: Tensor, both: Tensor) -> tuple[Tensor, Tensor]:
        """The stage's main map, and the sum of it and of its second path.

        Args:
            main: The main map of the stage before.
            both: That stage's sum of both paths.
        """
        first, *others = self.blocks
        main, second = first(main), self.second(both)
        for block in others:
            main = block(main + second) + main
        return main, main + second


class SinglePathStage(nn.Module):
    """One stage without the second path, for the ablations.

    Args:
        blocks: The blocks; the first has the stage's stride.
        residual: Whether each of the others is added to what it is given.
    """

    def __init__(self, blocks: list[nn.Module], *, residual: bool = True) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.residual = residual

    def forward(self, main: Tensor, both: Tensor) -> tuple[Tensor, Tensor]:
        """The stage's map, twice: there is no second path to add.

        Args:
            main: The map of the stage before.
            both: The same.
        """
        first, *others = self.blocks
        main = first(main)
        for block in others:
            main = block(main) + main if self.residual else block(main)
        return main, main


class MiniSegEncoder(nn.Module):
    """A chain of stages.

    Args:
        stages: The stages, from the full resolution down.
    """

    def __init__(self, stages: Iterable[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The main map of every stage, shallowest first."""
        main = both = image
        features = []
        for stage in self.stages:
            main, both = stage(main, both)
            features.append(main)
        return features


def one_path(
    in_channels: int,
    channels: Sequence[int],
    counts: Sequence[int],
    blocks: Sequence[Block],
    *,
    residual: bool,
) -> MiniSegEncoder:
    """An encoder without the second path, every stage of stride 2.

    Args:
        in_channels: Channels of the image.
        channels: Channels of each stage.
        counts: Blocks of each stage.
        blocks: What each stage is made of.
        residual: Whether every block but the first of a stage is added to its input.
    """
    before = (in_channels, *channels[:-1])
    return MiniSegEncoder(
        SinglePathStage(stack(blocks[i], before[i], width, counts[i], 2), residual=residual)
        for i, width in enumerate(channels)
    )
