from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reports.trivial
from benchmark.datasets.cases import Case
from benchmark.datasets.folds import Fold
from reports.comparison import Comparison, compare
from reports.trivial import trivial_frames
from tests.factory import make_record
from zoo.errors import CovbenchError

SIDE = 16


class Disc:
    """Four slices of two patients with a bright square that is the foreground."""

    data_hash = "d" * 64

    def __init__(self) -> None:
        names = [("a", "p"), ("b", "p"), ("c", "q"), ("d", "q")]
        self.cases = tuple(Case(case, group, SIDE, SIDE, None) for case, group in names)

    def mask(self, i: int) -> np.ndarray:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[2 : 6 + i, 2:8] = 1
        return mask

    def image(self, i: int) -> np.ndarray:
        return np.where(self.mask(i) == 1, np.uint8(200), np.uint8(10))

    def folds(self, _split: object) -> tuple[Fold, ...]:
        return (
            Fold(1, (2, 3), (0, 1), True, (), "1" * 64),
            Fold(2, (0, 1), (2, 3), True, (), "2" * 64),
        )


def comparison(**spec: Any) -> Comparison:
    (found,) = compare([make_record(fold=1, **spec), make_record(fold=2, **spec)])
    return found


@pytest.fixture
def disc(monkeypatch: pytest.MonkeyPatch) -> Disc:
    made = Disc()
    monkeypatch.setattr(reports.trivial, "open_dataset", lambda name, **_: made)
    return made


def test_scores_of_each_fold(disc: Disc) -> None:
    frames, notes = trivial_frames(comparison(), "infection")
    assert list(frames) == [
        "all-background (trivial)",
        "all-foreground (trivial)",
        "threshold (trivial)",
    ]
    dice = {
        name: frame[frame["metric"] == "dice_slice"]["value"].tolist()
        for name, frame in frames.items()
    }
    assert dice["threshold (trivial)"] == [1.0, 1.0]
    assert dice["all-background (trivial)"] == [0.0, 0.0]
    # Squares of 24, 30 and 36, 42 of 256 pixels: 2 a / (a + 256)
    expected = [(48 / 280 + 60 / 286) / 2, (72 / 292 + 84 / 298) / 2]
    assert dice["all-foreground (trivial)"] == pytest.approx(expected)
    assert notes == ["Trivial predictors need no training; a spread of theirs is over folds alone."]


def test_lungs_have_them_too(disc: Disc) -> None:
    frames, _ = trivial_frames(comparison(task="lung"), "lung")
    assert len(frames) == 3


def test_a_fold_counts_once_for_all_seeds(disc: Disc) -> None:
    (found,) = compare([make_record(seed=0), make_record(seed=1)])
    frames, _ = trivial_frames(found, "infection")
    dice = frames["threshold (trivial)"].query("metric == 'dice_slice'")
    assert len(dice) == 1


@pytest.mark.parametrize(
    ("spec", "target", "words"),
    [
        ({"data_hash": "e" * 64}, "infection", "phantom here holds other data"),
        ({"fold_hash": "9" * 64}, "infection", "is another one here"),
        ({"settings": {"x": {"y": 1}}}, "infection", "another covbench version"),
        ({}, "lung", "one class alone"),
        ({"task": "lung"}, "infection", "one class alone"),
    ],
)
def test_left_out_where_they_would_not_be_the_same(
    disc: Disc, spec: dict[str, Any], target: str, words: str
) -> None:
    frames, (note,) = trivial_frames(comparison(**spec), target)
    assert frames == {}
    assert words in note


def test_left_out_where_the_data_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, **_: object) -> None:
        raise CovbenchError(f"The dataset {name} is not prepared.", "Prepare it.")

    monkeypatch.setattr(reports.trivial, "open_dataset", missing)
    frames, notes = trivial_frames(comparison(), "infection")
    assert frames == {}
    assert notes == ["Trivial predictors are left out: The dataset phantom is not prepared."]
