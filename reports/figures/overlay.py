"""Masks as pictures: what is right, what is too much, what is missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.labels import IGNORE
from reports.figures.drawing import BLUE, GREEN, VERMILION
from reports.images import foreground

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Bools = npt.NDArray[np.bool_]


def rgb(colour: str) -> tuple[int, ...]:
    """A colour such as `#009e73` as three numbers up to 255."""
    return tuple(bytes.fromhex(colour.removeprefix("#")))


def overlay(image: Bytes, truth: Bytes, predicted: Bools, stripe: int | None = None) -> Bytes:
    """A picture of what is right and wrong.

    Args:
        image: Grey values, (H, W).
        truth: Class labels, (H, W); pixels with 255 stay grey, they are not scored.
        predicted: Where the network sees foreground, (H, W).
        stripe: Width of the stripes and of the outline in pixels; by default it grows with the
            image.

    Returns:
        (H, W, 3) uint8: true positives outlined in green inside their border, false positives
        filled in vermilion, false negatives striped in blue, all else grey.
    """
    import cv2
    import numpy as np

    width = stripe or max(1, round(max(image.shape) / 110))
    scored = truth != IGNORE
    true, seen = foreground(truth), predicted & scored
    picture = np.repeat(image[:, :, None], 3, axis=2)
    both = (true & seen).astype(np.uint8)
    kernel = np.ones((2 * width + 1, 2 * width + 1), dtype=np.uint8)
    inner = cv2.erode(both, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    picture[(both == 1) & (inner == 0)] = rgb(GREEN)
    picture[seen & ~true] = rgb(VERMILION)
    rows, columns = np.indices(image.shape)
    striped = (rows + columns) // (2 * width) % 2 == 0
    picture[true & ~seen & striped] = rgb(BLUE)
    return picture


def outlined(image: Bytes, regions: Sequence[tuple[Bytes, str]]) -> Bytes:
    """A picture with regions outlined on it, where no truth is known.

    Args:
        image: Grey values, (H, W).
        regions: Each a mask (H, W), other than 0 inside, and its colour; later ones lie on top.

    Returns:
        (H, W, 3) uint8; an outline runs along the inner border of its region.
    """
    import cv2
    import numpy as np

    width = max(1, round(max(image.shape) / 300))
    kernel = np.ones((2 * width + 1, 2 * width + 1), dtype=np.uint8)
    picture = np.repeat(image[:, :, None], 3, axis=2)
    for region, colour in regions:
        within = (region > 0).astype(np.uint8)
        inner = cv2.erode(within, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        picture[(within == 1) & (inner == 0)] = rgb(colour)
    return picture


def truth_picture(truth: Bytes) -> Bytes:
    """The truth in white on black; what is not scored is grey."""
    import numpy as np

    picture = np.zeros((*truth.shape, 3), dtype=np.uint8)
    picture[foreground(truth)] = 255
    picture[truth == IGNORE] = 128
    return picture
