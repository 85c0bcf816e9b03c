"""Runs with stored predictions on a small dataset, made by hand."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import benchmark.datasets
from benchmark.datasets.cases import Case
from reports.subject import Subject, read_holdings
from results.cases import CASES
from results.files import write_atomically
from results.predictions import PREDICTIONS
from results.record import RunRecord
from results.spec import sha256
from results.store import Store
from runners.evaluate import write_predictions
from tests.factory import make_record

SIDE = 8
Bytes = npt.NDArray[np.uint8]


class Squares:
    """Slices a-1, a-2 of patient a, b-1 of b and so on, with a square in the upper left corner.

    The truth of `empty` ones is empty.
    """

    def __init__(
        self, ids: Sequence[str], data_hash: str = "d" * 64, empty: Sequence[str] = ()
    ) -> None:
        self.data_hash = data_hash
        self.cases = tuple(Case(name, name[0], SIDE, SIDE, None) for name in ids)
        self.empty = empty

    def mask(self, i: int) -> Bytes:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        if self.cases[i].id not in self.empty:
            mask[:4, :4] = 1
        return mask

    def image(self, i: int) -> Bytes:
        return np.full((SIDE, SIDE), 10 + i, np.uint8)


def put_dataset(patch: pytest.MonkeyPatch, dataset: Squares) -> None:
    """Let the dataset be what is opened, whatever its name."""
    patch.setattr(benchmark.datasets, "open_dataset", lambda _name, **_: dataset)


def half_right() -> Bytes:
    """A probability that finds the upper half of the square, and as much beside it."""
    probability = np.zeros((SIDE, SIDE), np.uint8)
    probability[:2, :] = 128
    probability[2:4, :] = 127
    return probability


def write_pictured(
    store: Store,
    dice: Mapping[str, float],
    *,
    empty: Sequence[str] = (),
    probability: Bytes | None = None,
    keep: bool = True,
    **spec: Any,
) -> RunRecord:
    """Write a record with its cases.csv and the same prediction of every image."""
    lines = ["id,group,tp,fp,fn,tn,status,dice,jaccard"]
    for name, value in dice.items():
        fn = 0 if name in empty else 8
        lines.append(f"{name},{name[0]},0,8,{fn},{56 - fn},ok,{value},{value / (2 - value)}")
    text = "\n".join(lines) + "\n"
    files = {CASES: sha256(text)}
    record = make_record(dice=sum(dice.values()) / len(dice), **spec)
    folder = store.folder(record.spec)
    write_atomically(folder / CASES, text)
    if keep:
        shown = half_right() if probability is None else probability
        buffer = io.BytesIO()
        write_predictions(buffer, dict.fromkeys(dice, shown))
        write_atomically(folder / PREDICTIONS, buffer.getvalue())
        files[PREDICTIONS] = sha256(buffer.getvalue())
    record = record.model_copy(update={"files": files})
    store.write(record)
    return record


def subject_of(root: Path) -> Subject:
    """The one comparison of a store."""
    (subject,) = read_holdings(root).subjects
    return subject
