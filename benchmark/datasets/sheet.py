"""A contact sheet: many slices on one picture, their masks and lungs outlined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.prepared import PreparedDataset
from benchmark.labels import IGNORE
from zoo.errors import CovbenchError

_COLOURS = ((66, 66, 255), (255, 178, 64), (80, 220, 80), (230, 90, 230))  # BGR: red first
_IGNORED = (160, 160, 160)
_LUNGS = (70, 220, 240)  # yellow


def contact_sheet(dataset: PreparedDataset, path: Path, n: int = 20, tile: int = 256) -> Path:
    """Write a PNG of slices spread evenly over a dataset, labelled with their ids.

    Args:
        dataset: The prepared dataset.
        path: The file to write.
        n: How many slices at most.
        tile: Side of each picture in pixels; a slice that isn't square keeps its shape.

    Returns:
        `path`.

    Raises:
        CovbenchError: The file can't be written.
    """
    import cv2

    count = min(max(n, 1), len(dataset))
    chosen = [i * len(dataset) // count for i in range(count)]
    across = min(count, max(1, round((count * 1.3) ** 0.5)))
    down = -(-count // across)
    sheet = np.zeros((down * tile, across * tile, 3), dtype=np.uint8)
    for place, i in enumerate(chosen):
        top, left = place // across * tile, place % across * tile
        sheet[top : top + tile, left : left + tile] = _tile(dataset, i, tile)
    encoded = cv2.imencode(".png", sheet)[1]
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise CovbenchError(
            f"{path} can't be written ({error.strerror}).", "Choose another folder."
        ) from error
    return path


def _tile(dataset: PreparedDataset, i: int, tile: int) -> NDArray[np.uint8]:
    """One slice with outlines and its id, (tile, tile, 3)."""
    import cv2

    case = dataset.cases[i]
    scale = tile / max(case.height, case.width)
    size = (max(1, round(case.width * scale)), max(1, round(case.height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grey = cv2.resize(dataset.image(i), size, interpolation=how)
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    if dataset.has_lungs:
        _outline(picture, dataset.lung(i), 1, _LUNGS)
    mask = dataset.mask(i)
    for label in np.unique(mask[mask > 0]).tolist():
        colour = _IGNORED if label == IGNORE else _COLOURS[(label - 1) % len(_COLOURS)]
        _outline(picture, mask, label, colour)
    at = (4, tile - 6)
    framed = np.zeros((tile, tile, 3), dtype=np.uint8)
    framed[: size[1], : size[0]] = picture
    cv2.putText(framed, case.id, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(framed, case.id, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return framed


def _outline(
    picture: NDArray[np.uint8], mask: NDArray[np.uint8], label: int, colour: tuple[int, int, int]
) -> None:
    """Draw the edge of a label, stretched to the picture, into it."""
    import cv2

    size = picture.shape[1], picture.shape[0]
    inside = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT) == label
    found, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, found, -1, colour, 1)
