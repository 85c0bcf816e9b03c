"""Stored foreground probabilities of a run, checked against its record."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from results.record import RunRecord
from results.spec import sha256
from results.store import Store
from zoo.errors import CovbenchError
from zoo.limits import raising, read_limited

PREDICTIONS = "predictions.npz"
ROUNDED_HALF = 128
"""The stored probability onto which 0.5 is rounded: the only one that may be either decision."""


def read_predictions(root: Path, record: RunRecord) -> dict[str, npt.NDArray[np.uint8]]:
    """The foreground probability of every test image of a run.

    Args:
        root: The folder of the store.
        record: The run's record.

    Returns:
        For each image id, in the order of the run, (H, W) uint8 at the size that was scored;
        255 is certain.

    Raises:
        CovbenchError: The run kept none, or the file is missing or not that of the record.
    """
    with np.load(io.BytesIO(_sound(root, record)), allow_pickle=False) as file:
        return {str(name): file[f"p{place}"] for place, name in enumerate(file["ids"])}


def predicted_ids(root: Path, record: RunRecord) -> set[str]:
    """The images of which a store has predictions of a run; none where they can't be read."""
    try:
        content = _sound(root, record)
    except (OSError, CovbenchError):
        return set()
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return set(map(str, file["ids"]))


def _sound(root: Path, record: RunRecord) -> bytes:
    """The file of a run's predictions, once it is sure that it is that of the record."""
    from results.contents import check_predictions  # both need the name of the file
    from results.untrusted import Refused

    if record.spec.task == "multiclass" and not record.data.classes:
        raise CovbenchError(
            f"The predictions of {record.spec.title} are of an earlier covbench: they are not the "
            "masks that were scored.",
            "Run it again: covbench run --force.",
        )
    path = Store(root).folder(record.spec) / PREDICTIONS
    expected = record.files.get(PREDICTIONS)
    if expected is None or not path.is_file():
        raise CovbenchError(
            f"There are no predictions of {record.spec.title} ({path}).",
            "Run it again with --set keep=predictions --force, or export with --predictions all.",
        )
    content = read_limited(path, "predictions_bytes")
    if sha256(content) != expected:
        raise CovbenchError(
            f"{path} doesn't match the SHA-256 in its record.",
            "Put the original file back, or run it again: covbench run --force.",
        )
    try:
        check_predictions(io.BytesIO(content))
    except Refused as error:
        raise CovbenchError(
            f"{path} can't be read: {error}.",
            raising(error.limit, error.needed)
            if error.limit
            else "Put the original file back, or run it again: covbench run --force.",
        ) from error
    return content


def masks_alone(content: bytes) -> bytes:
    """A predictions.npz with decisions in place of probabilities: 0, 255, and 128 where that stood.

    It is many times smaller, and gives the same masks at 0.5; other thresholds can't be tried.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        ids = file["ids"]
        arrays = {f"p{place}": _decided(file[f"p{place}"]) for place in range(len(ids))}
    changed = io.BytesIO()
    np.savez_compressed(changed, ids=ids, **arrays)  # type: ignore[arg-type]
    return changed.getvalue()


def holds_masks(predictions: Iterable[npt.NDArray[np.uint8]]) -> bool:
    """Whether these are decisions alone, as `masks_alone` leaves them."""
    return all(bool(np.isin(each, (0, ROUNDED_HALF, 255)).all()) for each in predictions)


def _decided(probability: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    mask = np.where(probability > ROUNDED_HALF, 255, 0).astype(np.uint8)
    mask[probability == ROUNDED_HALF] = ROUNDED_HALF
    return mask
