from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.metrics import Confusion, confusion

RATIOS = (
    "dice",
    "jaccard",
    "jaccard_background",
    "miou",
    "sensitivity",
    "specificity",
    "precision",
    "accuracy",
)
counts = st.integers(0, 10**7)
confusions = st.builds(Confusion, counts, counts, counts, counts)
grids = arrays(np.bool_, (5, 7))


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12)


def test_a_case_counted_by_hand() -> None:
    pred = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)
    truth = np.array([[1, 1, 0, 1], [1, 0, 0, 0]], bool)
    found = confusion(pred, truth)
    assert found == Confusion(tp=2, fp=1, fn=2, tn=3)
    assert found.dice == 4 / 7
    assert found.jaccard == 2 / 5
    assert found.jaccard_background == 3 / 6
    assert found.miou == pytest.approx(0.45)
    assert found.sensitivity == 2 / 4
    assert found.specificity == 3 / 4
    assert found.precision == 2 / 3
    assert found.accuracy == 5 / 8


def test_ignored_pixels_are_in_no_count() -> None:
    pred = np.array([[1, 1, 0, 0]], bool)
    truth = np.array([[1, 0, 1, 0]], bool)
    assert confusion(pred, truth, np.array([[0, 1, 1, 0]], bool)) == Confusion(1, 0, 0, 1)
    assert confusion(pred, truth, np.ones((1, 4), bool)) == Confusion(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("found", "undefined"),
    [
        (Confusion(0, 0, 0, 0), set(RATIOS)),
        (Confusion(0, 0, 0, 9), {"dice", "jaccard", "miou", "sensitivity", "precision"}),
        (Confusion(9, 0, 0, 0), {"jaccard_background", "miou", "specificity"}),
        (Confusion(0, 4, 0, 5), {"sensitivity"}),
        (Confusion(0, 0, 4, 5), {"precision"}),
        (Confusion(1, 2, 3, 4), set()),
    ],
)
def test_zero_over_zero_is_nan_and_nothing_else_is(found: Confusion, undefined: set[str]) -> None:
    assert {name for name in RATIOS if math.isnan(getattr(found, name))} == undefined


@given(confusions)
def test_ratios_lie_between_zero_and_one(found: Confusion) -> None:
    for name in RATIOS:
        value = getattr(found, name)
        assert math.isnan(value) or 0 <= value <= 1


@given(confusions)
def test_identities_between_the_ratios(found: Confusion) -> None:
    assert same(found.jaccard, found.dice / (2 - found.dice))
    if found.tp:
        harmonic = 2 / (1 / found.precision + 1 / found.sensitivity)
        assert same(found.dice, harmonic)
    if found.tp + found.fn and found.tn + found.fp:
        low, high = sorted((found.sensitivity, found.specificity))
        assert low - 1e-12 <= found.accuracy <= high + 1e-12


@given(confusions)
def test_swapping_foreground_and_background_swaps_the_ratios(found: Confusion) -> None:
    other = Confusion(tp=found.tn, fp=found.fn, fn=found.fp, tn=found.tp)
    assert same(found.sensitivity, other.specificity)
    assert same(found.jaccard, other.jaccard_background)
    assert same(found.miou, other.miou)
    assert same(found.accuracy, other.accuracy)


@given(grids, grids, grids)
def test_counts_partition_the_valid_pixels(
    pred: np.ndarray, truth: np.ndarray, ignore: np.ndarray
) -> None:
    found = confusion(pred, truth, ignore)
    assert found.tp + found.fp + found.fn + found.tn == np.count_nonzero(~ignore)
    assert found.tp + found.fp == np.count_nonzero(pred & ~ignore)
    assert found.tp + found.fn == np.count_nonzero(truth & ~ignore)
    assert found == confusion(pred[~ignore], truth[~ignore])


@given(grids, grids)
def test_swapping_the_masks_swaps_the_errors(pred: np.ndarray, truth: np.ndarray) -> None:
    there, back = confusion(pred, truth), confusion(truth, pred)
    assert back == Confusion(there.tp, there.fn, there.fp, there.tn)
    assert same(there.dice, back.dice)
    assert same(there.sensitivity, back.precision)


@given(grids, grids, st.integers(0, 5))
def test_counts_of_parts_add_up(pred: np.ndarray, truth: np.ndarray, cut: int) -> None:
    parts = confusion(pred[:cut], truth[:cut]) + confusion(pred[cut:], truth[cut:])
    assert parts == confusion(pred, truth)


def test_masks_of_other_shapes_or_types_are_refused() -> None:
    mask = np.zeros((3, 4), bool)
    with pytest.raises(ValueError, match="one shape"):
        confusion(mask, mask.T)
    with pytest.raises(ValueError, match="bool"):
        confusion(mask.astype(np.uint8), mask)
    with pytest.raises(ValueError, match="one shape"):
        confusion(mask, mask, np.zeros((4, 3), bool))
