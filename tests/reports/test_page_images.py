"""Examples of predictions: which images, and what is drawn on them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from benchmark.datasets import PreparedDataset
from benchmark.datasets.cases import Case
from benchmark.labels import IGNORE
from reports.comparison import compare
from reports.page.images import PREDICTION, TRUTH, choose, examples, overlay, pictures_of
from results.cases import CASES, read_cases
from results.files import write_atomically
from results.predictions import PREDICTIONS
from results.record import RunRecord
from results.spec import sha256
from results.store import Store
from tests.factory import make_record
from tests.stores import write_run

Bytes = npt.NDArray[np.uint8]
SCORES = {"a-1": 0.9, "a-2": 0.5, "b-1": None, "b-2": 0.1, "b-3": 0.2}


@dataclass
class Data:
    """Slices of 8 x 8 pixels with a square of infection."""

    cases: tuple[Case, ...] = tuple(Case(image, image[0], 8, 8, None) for image in SCORES)

    def image(self, place: int) -> Bytes:
        return np.full((8, 8), 10 * place, dtype=np.uint8)

    def mask(self, place: int) -> Bytes:
        mask = np.zeros((8, 8), dtype=np.uint8)
        mask[2:6, 2:6] = 1
        return mask


def colour(text: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text[1:]))


def write(store: Store, keep: bool = True) -> RunRecord:
    """A run that kept its predictions, or a copy of it that did not."""
    arrays = {f"p{place}": np.full((8, 8), 200, dtype=np.uint8) for place in range(len(SCORES))}
    file = io.BytesIO()
    cast(Any, np.savez_compressed)(file, ids=np.array(list(SCORES)), **arrays)
    record = write_run(Store(store.root.parent / "draft"), SCORES)
    folder = store.root.parent / "draft" / record.spec.folder
    files = {**record.files, PREDICTIONS: sha256(file.getvalue())} if keep else record.files
    record = record.model_copy(update={"files": files})
    write_atomically(store.folder(record.spec) / CASES, (folder / CASES).read_bytes())
    write_atomically(store.folder(record.spec) / PREDICTIONS, file.getvalue())
    store.write(record)
    return record


def found(store: Store, record: RunRecord) -> list[Any]:
    (comparison,) = compare([record])
    (entry,) = comparison.entries
    data = cast(PreparedDataset, Data())
    return examples(store.root, entry, read_cases(store.root), data)


def test_examples_are_the_best_the_median_and_the_worst(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    made = found(store, write(store))
    assert [(each.which, each.image, each.dice) for each in made] == [
        ("best", "a-1", 0.9),
        ("median", "a-2", 0.5),
        ("worst", "b-2", 0.1),
    ]
    head, _, content = made[0].source.partition(",")
    assert head == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (256, 256)


def test_there_are_none_without_whole_predictions(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    record = write(store)
    (store.folder(record.spec) / PREDICTIONS).write_bytes(b"altered")
    assert found(store, record) == []
    other = Store(tmp_path / "other" / "runs")
    assert found(other, write(other, keep=False)) == []


@pytest.mark.parametrize(
    ("scores", "images"),
    [
        ([], {}),
        ([(0.5, "a")], {"best": "a"}),
        ([(0.5, "b"), (0.5, "a")], {"best": "a", "worst": "b"}),
        ([(0.1, "a"), (0.2, "b"), (0.3, "c")], {"best": "c", "median": "b", "worst": "a"}),
    ],
)
def test_each_image_is_shown_once(scores: list[tuple[float, str]], images: dict[str, str]) -> None:
    assert {which: image for which, (_, image) in choose(scores).items()} == images


def test_outlines_are_drawn_where_the_masks_end() -> None:
    image = np.full((256, 128), 70, dtype=np.uint8)
    labels, probability = np.zeros_like(image), np.zeros_like(image)
    labels[100:200, 20:60] = 1
    labels[0:50, 0:50] = IGNORE
    probability[100:200, 80:120] = 128
    probability[10:20, 80:120] = 127  # less likely than not
    drawn = overlay(image, labels, probability)
    assert drawn.shape == (256, 128, 3)
    assert tuple(drawn[150, 20]) == tuple(drawn[150, 21]) == colour(TRUTH)
    assert tuple(drawn[150, 80]) == colour(PREDICTION)
    for row, column in ((150, 40), (150, 81), (150, 100), (25, 49), (10, 80)):
        assert tuple(drawn[row, column]) == (70, 70, 70)


def test_predictions_of_another_size_are_stretched() -> None:
    image, labels = np.zeros((64, 64), dtype=np.uint8), np.zeros((64, 64), dtype=np.uint8)
    probability = np.zeros((16, 16), dtype=np.uint8)
    probability[4:12, 4:12] = 255
    drawn = overlay(image, labels, probability)
    outlined = np.argwhere((drawn == colour(PREDICTION)).all(axis=2))
    assert (outlined.min(), outlined.max()) == (64, 191)


def test_why_there_are_no_images_is_said() -> None:
    (comparison,) = compare([make_record(dataset="nowhere")])
    pictures = pictures_of(comparison)
    assert pictures.dataset is None and "nowhere" in pictures.reason
