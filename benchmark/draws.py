"""Random draws without a state: each is a function of what it is for, of the seed and of a place.

They come from a counter-based generator (Philox), so that a draw does not depend on which images
share a batch, on the number of workers, or on where an interrupted training was resumed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def philox(purpose: int, seed: int, *place: int) -> np.random.Philox:
    """The generator of one place.

    Args:
        purpose: What the draws are for; two kinds of draws never share a number.
        seed: Seed of the run.
        *place: Up to three numbers, such as epoch and image.
    """
    # The lowest word of the counter runs with the draws; the others say what they are for.
    words = [0, *place, *[0] * (3 - len(place))]
    return np.random.Philox(key=_words([purpose, seed]), counter=_words(words))


def uniform(purpose: int, seed: int, *place: int, count: int) -> np.ndarray:
    """Numbers in [0, 1) from raw bits, which no NumPy release may change."""
    return (philox(purpose, seed, *place).random_raw(count) >> np.uint64(11)) * 2.0**-53


def shuffled(purpose: int, seed: int, *place: int, count: int) -> np.ndarray:
    """The numbers below `count` in random order, int64."""
    return np.argsort(philox(purpose, seed, *place).random_raw(count), kind="stable")


def _words(values: Sequence[int]) -> np.ndarray:
    return np.asarray(values, dtype=np.uint64)
