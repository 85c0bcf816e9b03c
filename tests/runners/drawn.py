"""Folders of pictures that `covbench data prepare folder` takes, drawn for a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.datasets import prepare_dataset

KINDS = {1: "ground glass", 2: "consolidation"}


def phantom_folder(folder: Path, name: str, *, lungs: bool = False) -> Path:
    """Four slices of the phantom, of two patients `NAME0` and `NAME1` that no other dataset has.

    Args:
        folder: Where they go; it is made.
        name: What they are called by.
        lungs: Whether the lungs are outlined, too.
    """
    data = folder / "data"
    phantom = prepare_dataset("phantom", as_name="drawn", root=data, patients=2, size=40)
    for kind in ("images", "masks", *(["lungs"] if lungs else [])):
        (folder / kind).mkdir()
    for place in range(0, 8, 2):
        file = f"{name}{place // 5}-{place}.png"
        Image.fromarray(phantom.image(place)).save(folder / "images" / file)
        Image.fromarray(phantom.mask(place) * 255).save(folder / "masks" / file)
        if lungs:
            Image.fromarray(phantom.lung(place) * 255).save(folder / "lungs" / file)
    return folder


def kinds_folder(folder: Path, name: str, count: int, side: int = 48) -> Path:
    """Slices with two kinds of lesion, labelled 1 and 2, two of each patient; the first has none.

    Args:
        folder: Where they go; it is made.
        name: Patients are `NAME0`, `NAME1`, ..., slices `NAME0_0`, `NAME0_1`, `NAME1_2`, ...
        count: How many slices.
        side: Their height and width, 42 or more.
    """
    rng = np.random.default_rng(5)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(count):
        mask = np.zeros((side, side), np.uint8)
        if i:
            mask[5 : 12 + i, 6:20], mask[30:40, 10 : 20 + i] = 1, 2
        image = rng.integers(0, 60, mask.shape, np.uint8) + mask * np.uint8(80)
        for kind, array in (("images", image), ("masks", mask)):
            Image.fromarray(array).save(folder / kind / f"{name}{i // 2}_{i}.png")
    return folder
