"""Stored foreground probabilities of a run, checked against its record."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from results.record import RunRecord
from results.spec import sha256
from results.store import Store
from zoo.errors import CovbenchError

PREDICTIONS = "predictions.npz"


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
    path = Store(root).folder(record.spec) / PREDICTIONS
    expected = record.files.get(PREDICTIONS)
    if expected is None or not path.is_file():
        raise CovbenchError(
            f"There are no predictions of {record.spec.title} ({path}).",
            "Run it with --set keep=predictions, or import them: covbench export --predictions.",
        )
    content = path.read_bytes()
    if sha256(content) != expected:
        raise CovbenchError(
            f"{path} doesn't match the SHA-256 in its record.",
            "Put the original file back, or run it again: covbench run --force.",
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {str(name): file[f"p{place}"] for place, name in enumerate(file["ids"])}
