from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.datasets import Case
from benchmark.metrics import aggregate, confusion
from benchmark.protocols.sections import ScoreRule
from benchmark.trivial import TRIVIAL, Threshold, fit_threshold, trivial_rows

DEFAULT = ScoreRule()


@dataclass(frozen=True)
class FakeFold:
    train: tuple[int, ...]
    test: tuple[int, ...]


@dataclass
class FakeDataset:
    """A prepared dataset in memory, which remembers what was read."""

    pairs: list[tuple[np.ndarray, np.ndarray]]
    spacing: tuple[float, float] | None = None
    read: list[int] = field(default_factory=list)

    @property
    def cases(self) -> tuple[Case, ...]:
        return tuple(
            Case(f"case{i}", f"patient{i // 2}", *image.shape, self.spacing)
            for i, (image, _) in enumerate(self.pairs)
        )

    def image(self, i: int) -> np.ndarray:
        self.read.append(i)
        return self.pairs[i][0]

    def mask(self, i: int) -> np.ndarray:
        return self.pairs[i][1]

    def at_size(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.arange(size), np.arange(size)

        def stretched(array: np.ndarray) -> np.ndarray:
            height, width = array.shape
            return array[np.ix_(rows * height // size, columns * width // size)]

        images, masks = zip(*self.pairs, strict=True)
        return np.stack([*map(stretched, images)]), np.stack([*map(stretched, masks)])


def bright_lesions(count: int = 4, shape: tuple[int, int] = (20, 24)) -> FakeDataset:
    """Grey 200 and more is a lesion, all else is below; case k's lesion is k + 2 rows high."""
    rng = np.random.default_rng(3)
    pairs = []
    for k in range(count):
        mask = np.zeros(shape, np.uint8)
        mask[4 : 6 + k, 5:15] = 1
        image = np.where(mask, rng.integers(200, 256, shape), rng.integers(0, 200, shape))
        image[4, 5] = 200
        pairs.append((image.astype(np.uint8), mask))
    return FakeDataset(pairs)


def run(dataset: FakeDataset, fold: FakeFold, rule: ScoreRule = DEFAULT, **options: Any) -> Any:
    return trivial_rows(dataset, fold, rule, **options)  # type: ignore[arg-type]


FOLD = FakeFold(train=(0, 1), test=(2, 3))


def test_the_three_rows_on_separable_lesions() -> None:
    results = run(bright_lesions(), FOLD)
    assert tuple(results) == TRIVIAL
    lesion = (4 * 10 + 5 * 10) / (2 * 20 * 24)
    rows, scores = results["all-background"]
    assert [row["status"] for row in rows] == ["pred_empty"] * 2
    assert scores["dice_pooled"].value == 0
    assert scores["specificity_pooled"].value == 1
    assert scores["hausdorff_slice_px"].value == pytest.approx(math.hypot(20, 24))
    assert scores["hausdorff_slice_px"].penalised == 2
    rows, scores = results["all-foreground"]
    assert scores["sensitivity_pooled"].value == 1
    assert scores["precision_pooled"].value == pytest.approx(lesion)
    assert scores["dice_pooled"].value == pytest.approx(2 * lesion / (1 + lesion))
    rows, scores = results["threshold"]
    assert scores["dice_pooled"].value == 1
    assert scores["hausdorff_slice_px"].value == 0
    assert {row["predictor"] for row in rows} == {"grey >= 200"}


def test_rows_name_their_case_and_give_the_scores() -> None:
    for rows, scores in run(bright_lesions(), FakeFold((0,), (3, 1))).values():
        assert [row["id"] for row in rows] == ["case3", "case1"]
        assert [row["group"] for row in rows] == ["patient1", "patient0"]
        assert scores == aggregate(rows, [row["group"] for row in rows], DEFAULT)


def test_the_threshold_never_sees_the_test_images() -> None:
    dataset = bright_lesions()
    for i in FOLD.test:  # on these alone, dark lesions would be the better choice
        image, mask = dataset.pairs[i]
        dataset.pairs[i] = (255 - image, mask)
    rows, scores = run(dataset, FOLD)["threshold"]
    assert rows[0]["predictor"] == "grey >= 200"
    assert scores["dice_pooled"].value < 0.5


def test_dark_lesions_get_a_threshold_from_above() -> None:
    dataset = bright_lesions()
    dataset.pairs = [(255 - image, mask) for image, mask in dataset.pairs]
    rows, scores = run(dataset, FOLD)["threshold"]
    assert rows[0]["predictor"] == "grey <= 55"
    assert scores["dice_pooled"].value == 1


def test_ignored_pixels_count_nowhere() -> None:
    dataset = bright_lesions()
    for image, mask in dataset.pairs:
        image[:3], mask[:3] = 255, 255
    results = run(dataset, FOLD)
    assert results["threshold"][1]["dice_pooled"].value == 1
    row = results["all-foreground"][0][0]
    assert row["tp"] + row["fp"] == 17 * 24


def test_one_class_or_all_of_them() -> None:
    dataset = bright_lesions()
    for _, mask in dataset.pairs:
        mask[10:12, 20:] = 2
    both, first = run(dataset, FOLD), run(dataset, FOLD, target=1)
    assert both["all-foreground"][0][0]["tp"] - first["all-foreground"][0][0]["tp"] == 8
    assert first["threshold"][1]["dice_pooled"].value == 1


def test_scored_on_a_square_when_the_protocol_says_so() -> None:
    dataset = bright_lesions()
    dataset.spacing = (0.5, 2.0)
    rule = ScoreRule(size=40)
    results = run(dataset, FOLD, rule)
    row = results["all-foreground"][0][0]
    assert row["tp"] + row["fp"] == 40 * 40
    row = results["all-background"][0][0]
    assert row["hausdorff_px"] == pytest.approx(math.hypot(40, 40))
    assert row["hausdorff_mm"] == pytest.approx(math.hypot(20 * 0.5, 24 * 2.0))
    assert dataset.read == []
    native = run(dataset, FOLD)["all-background"][0][0]
    assert native["hausdorff_mm"] == pytest.approx(row["hausdorff_mm"])


def test_the_rule_reaches_the_rows() -> None:
    rule = ScoreRule(pred_empty="zero-all")
    scores = run(bright_lesions(), FOLD, rule)["all-background"][1]
    assert scores["specificity_slice"].value == 0
    assert scores["specificity_slice"].penalised == 2
    assert scores["hausdorff_slice_px"].value == 0


def test_a_training_fold_without_foreground_gives_the_empty_threshold() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    threshold = fit_threshold([(image, np.zeros((16, 16), np.uint8))])
    assert threshold == Threshold(256, above=True)
    assert not threshold(image).any()
    assert fit_threshold([]) == threshold


def test_thresholds_include_their_value() -> None:
    image = np.array([[9, 10, 11]], np.uint8)
    assert Threshold(10, above=True)(image).tolist() == [[False, True, True]]
    assert Threshold(10, above=False)(image).tolist() == [[True, True, False]]
    assert str(Threshold(10, above=True)) == "grey >= 10"
    assert str(Threshold(10, above=False)) == "grey <= 10"


images = arrays(np.uint8, (4, 6))
labels = arrays(np.uint8, (4, 6), elements=st.sampled_from([0, 0, 1, 255]))


@given(st.lists(st.tuples(images, labels), min_size=1, max_size=3))
def test_no_other_threshold_has_a_higher_dice(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    image = np.concatenate([image for image, _ in pairs])
    mask = np.concatenate([mask for _, mask in pairs])

    def dice(threshold: Threshold) -> float:
        counts = confusion(threshold(image), mask == 1, mask == 255)
        return 0.0 if math.isnan(counts.dice) else counts.dice

    every = [Threshold(value, above) for above in (True, False) for value in range(256)]
    assert dice(fit_threshold(pairs)) == max(map(dice, every))
