"""Chosen images with their truth, and what each network makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.images import Chosen, Pixels, Rule, best_sides, choose_images, open_pixels
from reports.subject import Subject
from results.predictions import read_predictions
from zoo.errors import CovbenchError, unknown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from reports.sides import Side
    from results.record import RunRecord

    Bytes = npt.NDArray[np.uint8]
    Bools = npt.NDArray[np.bool_]

_HALF = 128
"""Stored probabilities from here on are foreground: p > 0.5, rounded to 255 steps."""


@dataclass(frozen=True, eq=False)
class Tile:
    """What a network makes of an image.

    Attributes:
        network: The row.
        predicted: Where it sees foreground, (H, W).
        dice: Dice of this run on this image, a fraction; nan where undefined.
        jaccard: Its Jaccard index.
    """

    network: str
    predicted: Bools
    dice: float
    jaccard: float


@dataclass(frozen=True, eq=False)
class Line:
    """An image with its truth and tiles.

    Attributes:
        chosen: Which image, and why.
        image: Grey values, (H, W).
        truth: Class labels, 255 = ignored, (H, W).
        seed: Seed of the runs.
        tiles: A tile for each network.
    """

    chosen: Chosen
    image: Bytes
    truth: Bytes
    seed: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, eq=False)
class Grid:
    """The whole figure: lines with the same networks, and sentences on what is left out."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def gather(
    subject: Subject,
    choose: Rule,
    count: int,
    seed: int,
    best: int | None,
    named: Sequence[str],
) -> Grid | str:
    """Read what the figure is made of.

    Returns:
        The grid; or a sentence on why there is none.

    Raises:
        CovbenchError: A row or the rule doesn't exist.
    """
    chosen = choose_images(subject.analysis, choose, count, seed)
    sides = _shown(subject, best, named)
    if not chosen:
        return "no row has every run with a score of an image whose truth is not empty."
    pixels = open_pixels(subject)
    if isinstance(pixels, str):
        return pixels
    read: dict[str, list[Tile]] = {}
    notes = []
    for side in sides:
        try:
            read[side.label] = _tiles(subject, side, chosen)
        except CovbenchError as error:
            notes.append(f"Left out: {side.label}. {error.problem}")
    if not read:
        return notes[0].partition(". ")[2] if notes else "there is no network to show."
    shown_seed = sides[0].seeds[0]
    lines = []
    for place, each in enumerate(chosen):
        own = tuple(tiles[place] for tiles in read.values())
        line = _line(pixels, each, shown_seed, own)
        if isinstance(line, str):
            return line
        lines.append(line)
    return Grid(tuple(lines), tuple(notes))


def _shown(subject: Subject, best: int | None, named: Sequence[str]) -> list[Side]:
    """The networks that are shown, best first."""
    sides = best_sides(subject.analysis)
    labels = [side.label for side in sides]
    for name in named:
        if name not in labels:
            raise unknown("row", name, labels, ", ".join(labels))
    most = len(sides) if best is None else best
    return [side for place, side in enumerate(sides) if place < most or side.label in named]


def _tiles(subject: Subject, side: Side, chosen: Sequence[Chosen]) -> list[Tile]:
    """A network's predictions on the chosen images.

    Raises:
        CovbenchError: A run has none, or its file is not that of the record.
    """
    records: dict[str, RunRecord] = {
        record.spec.fold_hash: record
        for record in side.records
        if record.spec.seed == side.seeds[0]
    }
    stored: dict[str, dict[str, Bytes]] = {}
    found = []
    for each in chosen:
        fold, image = each.image.fold_hash, each.image.id
        record = records[fold]
        if fold not in stored:
            wanted = {other.image.id for other in chosen if other.image.fold_hash == fold}
            whole = read_predictions(subject.root, record)
            stored[fold] = {name: whole[name] for name in wanted if name in whole}
        if image not in stored[fold]:
            raise CovbenchError(
                f"The predictions of {record.spec.title} lack {image}.",
                "Run it again: covbench run --force.",
            )
        scores = side.frame[(side.frame["run"] == record.spec.id) & (side.frame["id"] == image)]
        dice, jaccard = (_score(scores.iloc[0].to_dict(), name) for name in ("dice", "jaccard"))
        found.append(Tile(side.label, stored[fold][image] >= _HALF, dice, jaccard))
    return found


def _score(scores: Mapping[Any, Any], name: str) -> float:
    """A score of one image; nan where it has none."""
    value = scores.get(name, math.nan)
    return value if isinstance(value, float) else math.nan


def _line(pixels: Pixels, chosen: Chosen, seed: int, tiles: tuple[Tile, ...]) -> Line | str:
    """An image with its tiles; a sentence where their sizes differ."""
    image, truth = pixels.pair(chosen.image.id)
    size = pixels.size
    for tile in tiles:
        if tile.predicted.shape != truth.shape:
            return (
                f"{tile.network} predicts {chosen.image.id} at {tile.predicted.shape}, and the "
                f"truth is {truth.shape}{'' if size is None else ', stretched for scoring'}."
            )
    return Line(chosen, image, truth, seed, tiles)
