"""Folders of small pictures by class, which a network can tell apart in a few epochs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 200, 60), "red": (200, 40, 40)}


def photo_folder(root: Path, train: int = 8, val: int = 4, side: int = 40) -> Path:
    """A folder shaped as ImageNet's, of noisy pictures of one colour a class.

    Args:
        root: Where to; it is made.
        train: Training pictures of each class.
        val: Validation pictures of each class.
        side: About their height and width in pixels; every one has its own.
    """
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for name, colour in COLOURS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                shape = (side + number % 3, side + number % 5, 3)
                pixels = np.clip(random.normal(colour, 40, shape), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{name}_{number}.JPEG", quality=90)
    return root
