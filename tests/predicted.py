"""Runs whose predictions and truth are made by hand, in a store, and the dataset they are of."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from benchmark.datasets.cases import Case
from benchmark.metrics import aggregate, score_case
from benchmark.protocols import ScoreRule
from results.cases import CASES
from results.files import write_atomically
from results.predictions import PREDICTIONS
from results.record import RunRecord
from results.spec import sha256
from results.store import Store
from runners.evaluate import cases_csv, write_predictions
from tests.factory import make_record

SIDE = 5
Pixels = Mapping[int, float]
"""Probabilities by place, row by row; 0 elsewhere."""


def probabilities(pixels: Pixels) -> np.ndarray:
    flat = np.zeros(SIDE * SIDE)
    for place, probability in pixels.items():
        flat[place] = probability
    return (flat * 255).round().astype(np.uint8).reshape(SIDE, SIDE)


class Dataset:
    """Images by id: the places of their foreground. The patient stands before the dash."""

    data_hash = "d" * 64

    def __init__(self, truth: Mapping[str, Sequence[int]]) -> None:
        self.truth = {
            name: (probabilities(dict.fromkeys(places, 1.0)) > 0).astype(np.uint8)
            for name, places in truth.items()
        }
        self.cases = [Case(name, name.partition("-")[0], SIDE, SIDE, None) for name in truth]

    def mask(self, place: int) -> np.ndarray:
        return self.truth[self.cases[place].id]

    def put(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand where prepared datasets are."""
        monkeypatch.setattr("benchmark.datasets.open_dataset", lambda name, **_: self)


def write_predicted(
    store: Store,
    dataset: Dataset,
    found: Mapping[str, Pixels],
    *,
    keep: bool = True,
    decided: Mapping[str, Pixels] | None = None,
    **spec: Any,
) -> RunRecord:
    """Write a run with what it predicted.

    Args:
        store: Where to.
        dataset: What is true.
        found: What it found in each image.
        keep: Whether the predictions are kept.
        decided: What its own decision rests on; its stored probabilities by default.
        spec: Changes of the spec.
    """
    predictions = {name: probabilities(pixels) for name, pixels in found.items()}
    masks = {
        name: probabilities(pixels) >= 128 for name, pixels in {**found, **(decided or {})}.items()
    }
    record = make_record(**spec)
    rule = ScoreRule.model_validate(record.spec.settings["score"])
    rows = [
        {
            "id": name,
            "group": name.partition("-")[0],
            **score_case(masks[name], dataset.truth[name], None, None, rule),
        }
        for name in found
    ]
    scores = aggregate(rows, [str(row["group"]) for row in rows], rule)
    files: dict[str, bytes] = {CASES: cases_csv(rows).encode()}
    if keep:
        packed = io.BytesIO()
        write_predictions(packed, predictions)
        files[PREDICTIONS] = packed.getvalue()
    for name, content in files.items():
        write_atomically(store.folder(record.spec) / name, content)
    record = record.model_copy(
        update={
            "scores": {"infection": scores},
            "files": {name: sha256(content) for name, content in files.items()},
        }
    )
    store.write(record)
    return record
