"""Predictors that anyone can write in a line, as the rows that a network has to beat.

All background, all foreground, and one grey-value threshold fitted on the training fold. They are
computed from the truth whenever a report asks for them; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.labels import IGNORE
from benchmark.metrics import Row, Score, aggregate, score_case
from benchmark.protocols.sections import ScoreRule

if TYPE_CHECKING:
    from benchmark.datasets.folds import Fold
    from benchmark.datasets.prepared import PreparedDataset

GREY_LEVELS = 256
TRIVIAL = ("all-background", "all-foreground", "threshold")

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Threshold:
    """Foreground is what is at least (`above`) or at most (not `above`) a grey value.

    Attributes:
        value: The grey value, 0 to 255; 256 with `above` marks nothing.
        above: The side that is foreground.
    """

    value: int
    above: bool

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The foreground of a uint8 image: bool, of its shape."""
        return np.asarray(image >= self.value if self.above else image <= self.value)

    def __str__(self) -> str:
        return f"grey {'>=' if self.above else '<='} {self.value}"


def fit_threshold(pairs: Iterable[Pair]) -> Threshold:
    """The threshold with the highest pooled Dice.

    Args:
        pairs: Images (uint8) with their masks (0, 1, or 255 for pixels to leave out).

    Returns:
        The best of all 513 thresholds; of equally good ones the first, counted from the one that
        marks nothing, so that images without foreground get that one.
    """
    foreground = np.zeros(GREY_LEVELS, np.int64)
    background = np.zeros(GREY_LEVELS, np.int64)
    for image, mask in pairs:
        foreground += np.bincount(image[mask == 1], minlength=GREY_LEVELS)
        background += np.bincount(image[mask == 0], minlength=GREY_LEVELS)
    # Candidates in order: >= 256, >= 255 ... >= 0, then <= 0 ... <= 255.
    tp, marked = (
        np.concatenate([[0], np.cumsum(counts[::-1]), np.cumsum(counts)])
        for counts in (foreground, foreground + background)
    )
    dice = 2 * tp / np.maximum(marked + foreground.sum(), 1)
    best = int(np.argmax(dice))
    if best <= GREY_LEVELS:
        return Threshold(GREY_LEVELS - best, above=True)
    return Threshold(best - GREY_LEVELS - 1, above=False)


def _binary(mask: np.ndarray, target: int | None) -> np.ndarray:
    """Labels 0 and 1 for one class (None: any but the background), and 255 as it was."""
    wanted = mask != 0 if target is None else mask == target
    return np.where(mask == IGNORE, np.uint8(IGNORE), wanted.astype(np.uint8))


def _reader(dataset: PreparedDataset, size: int | str, target: int | None) -> Callable[[int], Pair]:
    """Gives image and binary mask of a case, at its own size or stretched to a square."""
    if isinstance(size, str):
        return lambda i: (dataset.image(i), _binary(dataset.mask(i), target))
    images, masks = dataset.at_size(size)
    return lambda i: (images[i], _binary(masks[i], target))


def _predict(image: np.ndarray, threshold: Threshold) -> dict[str, np.ndarray]:
    """The foreground that each trivial predictor sees, by name."""
    nothing = np.zeros(image.shape, np.bool_)
    return dict(zip(TRIVIAL, (nothing, ~nothing, threshold(image)), strict=True))


def trivial_rows(
    dataset: PreparedDataset, fold: Fold, rule: ScoreRule, *, target: int | None = None
) -> dict[str, tuple[list[Row], dict[str, Score]]]:
    """Scores the trivial predictors on a fold's test images.

    Args:
        dataset: A prepared dataset: `cases`, `image(i)`, `mask(i)`, `at_size(size)`.
        fold: Indices `train` and `test`; the threshold sees only `train`.
        rule: The `score` section of the protocol; its `size` says where masks are compared.
        target: The class that is foreground; None takes every class but 0.

    Returns:
        For each name of `TRIVIAL`: a row for each test image (its `id` and `group`, the name of
        its `predictor`, such as `grey >= 143`, then what `score_case` gives), and the scores.
    """
    read = _reader(dataset, rule.size, target)
    threshold = fit_threshold(read(i) for i in fold.train)
    words = dict(zip(TRIVIAL, ("nothing", "everything", str(threshold)), strict=True))
    rows: dict[str, list[Row]] = {name: [] for name in TRIVIAL}
    for i in fold.test:
        case = dataset.cases[i]
        image, truth = read(i)
        for name, pred in _predict(image, threshold).items():
            scores = score_case(pred, truth, None, case.spacing_at(rule.size), rule)
            rows[name].append(
                {"id": case.id, "group": case.group, "predictor": words[name], **scores}
            )
    groups: Sequence[str] = [dataset.cases[i].group for i in fold.test]
    return {name: (own, aggregate(own, groups, rule)) for name, own in rows.items()}
