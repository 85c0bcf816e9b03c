"""Images, their truth, and what each network makes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.labels import IGNORE
from reports.figures.drawing import (
    BLUE,
    COLUMN,
    GREEN,
    PAGE,
    VERMILION,
    Drawn,
    figure_writer,
    new_figure,
)
from reports.figures.multiples import broken, scope
from reports.figures.overlay import overlay, truth_picture
from reports.figures.pictures import Grid, gather
from reports.images import Rule
from reports.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    Bytes = npt.NDArray[np.uint8]

_SIZE = 6.0
_TEXT = 0.215
"""Inches for two lines of text over a picture, and under it."""
_GAP = 0.04
_ACROSS = 8
"""How many networks stand beside each other, at most, where a page has the room."""
_HIGHEST = 9.2
"""Inches that a page has; more networks make the pictures smaller, as far as words allow."""
_NARROWEST = 12


def draw(
    subject: Subject,
    *,
    choose: Rule = "best-median-worst",
    count: int = 3,
    seed: int = 0,
    best: int | None = 6,
    named: Sequence[str] = (),
) -> Drawn | None:
    """Images with their truth and the networks' predictions, right and wrong pixels coloured.

    Args:
        subject: The runs; their predictions must be stored and their dataset prepared.
        choose: The rule by which images are chosen (`reports.images.choose_images`).
        count: How many images at most.
        seed: Seed of a random choice.
        best: How many networks, the best by Dice; None for all.
        named: Rows that are shown in any case.

    Returns:
        The figure; None where there is nothing to draw, of which `caption` says why.

    Raises:
        CovbenchError: A row or the rule doesn't exist.
    """
    found = gather(subject, choose, count, seed, best, named)
    return None if isinstance(found, str) else figure_writer(_figure(found))


def caption(
    subject: Subject,
    *,
    choose: Rule = "best-median-worst",
    count: int = 3,
    seed: int = 0,
    best: int | None = 6,
    named: Sequence[str] = (),
) -> str:
    """What the figure shows, in sentences; why there is none, where nothing can be drawn."""
    found = gather(subject, choose, count, seed, best, named)
    if isinstance(found, str):
        return f"No pictures of predictions of {scope(subject.comparison)}: {found}"
    rule = f"drawn at random with seed {seed}"
    if choose == "best-median-worst":
        rule = {1: "the median", 3: "the best, the median and the worst"}.get(
            len(found.lines), "the best, the worst and those evenly between"
        )
        rule += " by mean Dice over all networks and seeds"
    where = "; ".join(
        f"{line.chosen.image.id}, fold {line.chosen.image.fold}, seed {line.seed}, mean Dice "
        f"{100 * line.chosen.dice:.1f}"
        for line in found.lines
    )
    networks = ", ".join(tile.network for tile in found.lines[0].tiles)
    text = (
        f"Predictions on single test images ({scope(subject.comparison)}). Images: {rule}, of "
        f"those whose truth is not empty ({where}). Networks, best first: {networks}; of each the "
        "run with the lowest seed on the fold that tested the image. Green outline: true "
        "positives; vermilion: false positives; blue stripes: false negatives; truth in white. "
        "Dice and Jaccard are of this run on this image, in percent."
    )
    if any((line.truth == IGNORE).any() for line in found.lines):
        text += " Grey in the truth: pixels that are not scored."
    if subject.analysis.skipped:
        text += f" Networks without every run are left out: {len(subject.analysis.skipped)}."
    return " ".join((text, *found.notes))


def _figure(grid: Grid) -> Figure:
    """The pictures side by side; networks that don't fit go on in another line."""
    networks = len(grid.lines[0].tiles)
    shape = max(line.image.shape[0] / line.image.shape[1] for line in grid.lines)
    lines = math.ceil(networks / _ACROSS)
    columns = math.ceil(networks / lines) + 2
    width = COLUMN if columns <= 4 else PAGE
    side, block = _sizes(width, columns, networks, shape)
    while columns < min(networks + 2, _NARROWEST) and len(grid.lines) * block > _HIGHEST:
        columns += 1
        side, block = _sizes(width, columns, networks, shape)
    height = len(grid.lines) * block + 0.22
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    step = side * shape + 2 * _TEXT
    for row, line in enumerate(grid.lines):
        top = height - row * block
        word, name = line.chosen.word, line.chosen.image.id
        under = (
            f"{word}\n{broken(name, _letters(side), 1)}" if word else broken(name, _letters(side))
        )
        _place(figure, (0, top), side, shape, line.image, "image", under)
        truth, under = truth_picture(line.truth), f"mean Dice {_text(line.chosen.dice)}"
        _place(figure, (side + _GAP, top), side, shape, truth, "truth", under)
        for place, tile in enumerate(line.tiles):
            down, across = divmod(place, columns - 2)
            _place(
                figure,
                ((across + 2) * (side + _GAP), top - down * step),
                side,
                shape,
                overlay(line.image, line.truth, tile.predicted),
                broken(tile.network, _letters(side)),
                f"Dice {_text(tile.dice)}\nJaccard {_text(tile.jaccard)}",
            )
    _legend(figure)
    return figure


def _sizes(width: float, columns: int, networks: int, shape: float) -> tuple[float, float]:
    """The width of a picture and the height of all that belongs to an image, in inches."""
    side = (width - (columns - 1) * _GAP) / columns
    return side, math.ceil(networks / (columns - 2)) * (side * shape + 2 * _TEXT)


def _letters(side: float) -> int:
    """How many letters of the smallest size stand beside each other in some inches."""
    return max(6, int(72 * side / (0.58 * _SIZE)))


def _text(score: float) -> str:
    return "–" if math.isnan(score) else f"{100 * score:.1f}"


def _place(
    figure: Figure,
    at: tuple[float, float],
    side: float,
    shape: float,
    picture: Bytes,
    over: str,
    under: str,
) -> None:
    """A picture with words over and under it; `at` is its left upper corner in inches."""
    width, height = figure.get_size_inches()
    left, top = at
    box = (
        left / width,
        (top - _TEXT - side * shape) / height,
        side / width,
        side * shape / height,
    )
    axis = figure.add_axes(box)
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axis.set_axis_off()
    for text, y, align in ((over, 1 + 0.02 / side, "bottom"), (under, -0.02 / side, "top")):
        axis.text(
            0.5,
            y,
            text,
            transform=axis.transAxes,
            ha="center",
            va=align,
            fontsize=_SIZE,
            linespacing=1.0,
            parse_math=False,
        )


def _legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor="none", edgecolor=GREEN, linewidth=1.5, label="true positive"),
        Patch(facecolor=VERMILION, label="false positive"),
        Patch(
            facecolor="white", edgecolor=BLUE, hatch="//////", linewidth=0, label="false negative"
        ),
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=3,
        fontsize=7,
        frameon=False,
        borderaxespad=0.1,
        handlelength=1.4,
    )
