"""Examples of what a network found: the outlines of truth and prediction on a few test images."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.datasets import open_dataset
from benchmark.labels import IGNORE
from benchmark.window import LUNG_WINDOW
from reports.comparison import Comparison, Entry
from reports.figures.drawing import PALETTE
from results.cases import Cases
from results.predictions import PREDICTIONS, read_predictions
from results.record import RunRecord
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from benchmark.datasets import PreparedDataset

    Mask = npt.NDArray[np.bool_]
    Bytes = npt.NDArray[np.uint8]

TRUTH, PREDICTION = PALETTE[5], PALETTE[4]
"""Colours of the outlines: light blue and orange, both bright on grey."""
_SIDE = 256
_CERTAIN_HALF = 128
_QUALITY = 75


@dataclass(frozen=True)
class Example:
    """A test image with both outlines.

    Attributes:
        source: The picture as a data URI.
        which: `best`, `median` or `worst`.
        image: Id of the image.
        dice: Its Dice, from 0 to 1.
        run: Id of the run that predicted it.
    """

    source: str
    which: str
    image: str
    dice: float
    run: str


@dataclass(frozen=True, eq=False)
class Pictures:
    """Where a comparison's examples come from, or why there are none.

    Attributes:
        dataset: The prepared data; None where they are not here.
        reason: Why there are none, in a sentence; empty where the data are here.
    """

    dataset: PreparedDataset | None
    reason: str = ""


def pictures_of(comparison: Comparison) -> Pictures:
    """The images of a comparison, where the data here are those of its records."""
    spec, protocol = comparison.spec, comparison.protocol
    window = protocol.input.window if protocol else LUNG_WINDOW
    try:
        dataset = open_dataset(spec.dataset, window=window)
    except CovbenchError as error:
        return Pictures(None, f"There are no images: {error.problem}")
    if dataset.manifest_hash != spec.data_hash:
        return Pictures(None, f"There are no images: {spec.dataset} here holds other data.")
    return Pictures(dataset)


def examples(root: Path, entry: Entry, cases: Cases, dataset: PreparedDataset) -> list[Example]:
    """The best, the median and the worst test image of a row by Dice.

    They are those of its first run (by fold and seed) whose predictions are kept and whole.

    Args:
        root: The folder of the store.
        entry: The row.
        cases: Per-image scores of the store.
        dataset: The data that the row was scored on.

    Returns:
        Up to three examples; none where no run kept its predictions.
    """
    for record in entry.records:
        if PREDICTIONS not in record.files:
            continue
        scores = _scores(record, cases)
        try:
            probabilities = read_predictions(root, record) if scores else {}
        except CovbenchError:
            continue
        place = {case.id: index for index, case in enumerate(dataset.cases)}
        chosen = choose([each for each in scores if each[1] in probabilities and each[1] in place])
        if chosen:
            return [
                Example(
                    _data_uri(
                        overlay(
                            dataset.image(place[image]),
                            dataset.mask(place[image]),
                            probabilities[image],
                        )
                    ),
                    which,
                    image,
                    dice,
                    record.spec.id,
                )
                for which, (dice, image) in chosen.items()
            ]
    return []


def choose(scores: Sequence[tuple[float, str]]) -> dict[str, tuple[float, str]]:
    """The best, the median and the worst of images, each image once.

    Args:
        scores: The score of each image, and its id, which decides between equal ones.
    """
    order = sorted(scores, key=lambda each: (-each[0], each[1]))
    if not order:
        return {}
    places = {"best": 0, "median": (len(order) - 1) // 2, "worst": len(order) - 1}
    found: dict[str, tuple[float, str]] = {}
    for which, index in places.items():
        if order[index] not in found.values():
            found[which] = order[index]
    return found


def overlay(image: Bytes, labels: Bytes, probability: Bytes) -> Bytes:
    """An image in grey with the outlines of the truth and, over it, of the prediction.

    Args:
        image: Grey values, (H, W).
        labels: Class labels, (H, W); what is ignored is no foreground.
        probability: Of foreground, 255 = certain, at the size that was scored.

    Returns:
        Colours, (h, w, 3); the longer side has 256 pixels.
    """
    import cv2
    import numpy as np

    height, width = image.shape
    scale = _SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grey = cv2.resize(np.ascontiguousarray(image), size, interpolation=how)
    drawn = np.repeat(np.asarray(grey, dtype=np.uint8)[:, :, None], 3, axis=2)
    truth = ((labels > 0) & (labels != IGNORE)).astype(np.uint8)
    found = (probability >= _CERTAIN_HALF).astype(np.uint8)
    for mask, colour, pixels in ((truth, TRUTH, 2), (found, PREDICTION, 1)):
        stretched = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
        drawn[_outline(np.asarray(stretched, dtype=bool), pixels)] = _rgb(colour)
    return drawn


def _outline(mask: Mask, pixels: int) -> Mask:
    """The pixels of a mask that lie so near its edge; the border of the image is no edge."""
    import cv2
    import numpy as np

    kernel = np.ones((3, 3), dtype=np.uint8)
    inner = cv2.erode(mask.astype(np.uint8), kernel, iterations=pixels)
    return mask & ~np.asarray(inner, dtype=bool)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _scores(record: RunRecord, cases: Cases) -> list[tuple[float, str]]:
    """Dice and id of each test image of a run that has a Dice."""
    frame = cases.frame
    if "dice" not in frame.columns:
        return []
    own = frame[frame["run"] == record.spec.id].dropna(subset=["dice"])
    return [(float(dice), str(image)) for dice, image in zip(own["dice"], own["id"], strict=True)]


def _data_uri(picture: Bytes) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="WEBP", quality=_QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
