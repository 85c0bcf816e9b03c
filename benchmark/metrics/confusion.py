"""Pixel counts of a binary segmentation, and the ratios that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def _ratio(part: float, whole: float) -> float:
    """The quotient, or nan where it is 0/0; of each entry, where they are arrays."""
    if isinstance(whole, np.ndarray):
        divided: float = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
        return divided
    return part / whole if whole else math.nan


@dataclass(frozen=True)
class Confusion:
    """True and false positives and negatives; counts add with `+`.

    Every ratio lies in [0, 1] and is nan where it is 0/0, never 0 or 1 by convention. Counts may be
    arrays of one shape; ratios then are as well.

    Attributes:
        tp: Foreground pixels that were predicted as foreground.
        fp: Background pixels that were predicted as foreground.
        fn: Foreground pixels that were predicted as background.
        tn: Background pixels that were predicted as background.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def jaccard(self) -> float:
        """TP / (TP + FP + FN): intersection over union of the foreground."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def jaccard_background(self) -> float:
        """TN / (TN + FP + FN): intersection over union of the background."""
        return _ratio(self.tn, self.tn + self.fp + self.fn)

    @property
    def miou(self) -> float:
        """Mean of the Jaccard indices of foreground and background; nan where either is."""
        return (self.jaccard + self.jaccard_background) / 2

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), also called recall."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP)."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def accuracy(self) -> float:
        """(TP + TN) / all pixels."""
        return _ratio(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn)


def confusion(pred: np.ndarray, truth: np.ndarray, ignore: np.ndarray | None = None) -> Confusion:
    """Counts the pixels of two binary masks.

    Args:
        pred: Predicted foreground, bool, any shape.
        truth: True foreground, bool, of the same shape.
        ignore: Pixels to leave out, bool, of the same shape; None counts them all.

    Returns:
        The four counts.

    Raises:
        ValueError: Where shapes differ or an array is not bool.
    """
    arrays = (pred, truth) if ignore is None else (pred, truth, ignore)
    if any(array.shape != truth.shape or array.dtype != np.bool_ for array in arrays):
        found = ", ".join(f"{array.dtype} {array.shape}" for array in arrays)
        raise ValueError(f"masks must be bool and of one shape, not {found}")
    if ignore is None:
        pixels = truth.size
    else:
        valid = ~ignore
        pixels = int(np.count_nonzero(valid))
        pred, truth = pred & valid, truth & valid
    tp = int(np.count_nonzero(pred & truth))
    fp = int(np.count_nonzero(pred)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    return Confusion(tp, fp, fn, pixels - tp - fp - fn)
