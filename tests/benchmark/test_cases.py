from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.metrics import score_case, surface_distances
from benchmark.metrics.cases import is_penalised
from benchmark.metrics.definitions import DISTANCES, OVERLAPS
from benchmark.protocols.sections import ScoreRule

DEFAULT = ScoreRule()
PERFECT = ScoreRule(both_empty="perfect")
ZERO_ALL = ScoreRule(pred_empty="zero-all")
RULES = (DEFAULT, PERFECT, ZERO_ALL, ScoreRule(both_empty="perfect", pred_empty="zero-all"))
SPACING = (0.5, 2.0)
EMPTY = np.zeros((3, 4), bool)
SOME = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
PX = [f"{name}_px" for name in DISTANCES]
MM = [f"{name}_mm" for name in DISTANCES]


def row(pred: np.ndarray, truth: np.ndarray, rule: ScoreRule = DEFAULT) -> dict[str, Any]:
    return dict(score_case(pred, truth, None, SPACING, rule))


def undefined(scores: dict[str, Any]) -> set[str]:
    return {key for key, value in scores.items() if value != value}


def distances(scores: dict[str, Any]) -> tuple[set[float], set[float]]:
    return {scores[key] for key in PX}, {scores[key] for key in MM}


def test_a_row_by_hand() -> None:
    truth = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
    assert row(SOME, truth) == {
        "tp": 1,
        "fp": 1,
        "fn": 0,
        "tn": 10,
        "status": "ok",
        "dice": 2 / 3,
        "jaccard": 1 / 2,
        "sensitivity": 1.0,
        "specificity": 10 / 11,
        "precision": 1 / 2,
        "accuracy": 11 / 12,
        "hausdorff_px": 1.0,
        "hd95_px": pytest.approx(np.percentile([0, 1, 0], 95)),
        "assd_px": pytest.approx(1 / 3),
        "hausdorff_mm": 2.0,
        "hd95_mm": pytest.approx(np.percentile([0, 2, 0], 95)),
        "assd_mm": pytest.approx(2 / 3),
    }


def test_both_empty_is_undefined() -> None:
    scores = row(EMPTY, EMPTY)
    assert scores["status"] == "both_empty"
    assert undefined(scores) == {"dice", "jaccard", "sensitivity", "precision", *PX, *MM}
    assert scores["specificity"] == scores["accuracy"] == 1
    assert scores["tn"] == 12


def test_both_empty_can_be_perfect() -> None:
    scores = row(EMPTY, EMPTY, PERFECT)
    assert scores["status"] == "both_empty"
    assert scores["dice"] == scores["jaccard"] == 1
    assert distances(scores) == ({0}, {0})
    assert undefined(scores) == {"sensitivity", "precision"}


@pytest.mark.parametrize("rule", [DEFAULT, PERFECT])
def test_an_empty_prediction_scores_worst(rule: ScoreRule) -> None:
    scores = row(EMPTY, SOME, rule)
    assert scores["status"] == "pred_empty"
    assert scores["dice"] == scores["jaccard"] == scores["sensitivity"] == 0
    assert scores["specificity"] == 1
    assert scores["accuracy"] == 10 / 12
    assert undefined(scores) == {"precision"}
    assert distances(scores) == ({5.0}, {math.hypot(1.5, 8)})  # of 3 x 4 px, 1.5 x 8 mm


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_truth_scores_worst_under_every_rule(rule: ScoreRule) -> None:
    scores = row(SOME, EMPTY, rule)
    assert scores["status"] == "truth_empty"
    assert scores["dice"] == scores["jaccard"] == scores["precision"] == 0
    assert scores["specificity"] == scores["accuracy"] == 10 / 12
    assert undefined(scores) == {"sensitivity"}
    assert distances(scores) == ({5.0}, {math.hypot(1.5, 8)})


def test_an_empty_prediction_can_score_zero_everywhere() -> None:
    scores = row(EMPTY, SOME, ZERO_ALL)
    assert {scores[name] for name in (*OVERLAPS, *PX, *MM)} == {0.0}
    assert [scores[name] for name in ("tp", "fp", "fn", "tn")] == [0, 0, 2, 10]
    assert scores["status"] == "pred_empty"


def test_zero_all_leaves_two_empty_masks_to_their_own_rule() -> None:
    assert undefined(row(EMPTY, EMPTY, ZERO_ALL)) == undefined(row(EMPTY, EMPTY))
    assert row(EMPTY, EMPTY, RULES[3]) == pytest.approx(row(EMPTY, EMPTY, PERFECT), nan_ok=True)


def test_ignored_pixels_can_empty_a_mask() -> None:
    assert score_case(SOME, SOME, SOME, None, DEFAULT)["status"] == "both_empty"
    truth = SOME.astype(np.uint8)
    truth[0, :2] = 255
    assert score_case(SOME, truth, None, None, DEFAULT)["status"] == "both_empty"


def test_everything_ignored_leaves_nothing_defined() -> None:
    scores = dict(score_case(SOME, SOME, np.ones_like(SOME), None, DEFAULT))
    assert undefined(scores) == {*OVERLAPS, *PX}
    assert [scores[name] for name in ("tp", "fp", "fn", "tn")] == [0, 0, 0, 0]


def test_ignored_pixels_have_no_surface() -> None:
    pred, truth, ignore = np.zeros((3, 8, 8), bool)
    pred[1, 1] = truth[1, 2] = True
    pred[7, 7] = ignore[7, 7] = True
    scores = score_case(pred, truth, ignore, None, DEFAULT)
    assert scores["hausdorff_px"] == 1
    assert scores["fp"] == 1


def test_without_a_spacing_there_are_no_millimetres() -> None:
    assert not set(MM) & set(score_case(SOME, SOME, None, None, DEFAULT))


def test_the_rule_chooses_the_points() -> None:
    full, ring = np.ones((9, 9), bool), np.ones((9, 9), bool)
    ring[1:-1, 1:-1] = False
    scores = score_case(full, ring, None, (0.5, 0.5), ScoreRule(surface_points="foreground"))
    assert (scores["hausdorff_px"], scores["hausdorff_mm"]) == (4, 2)
    scores = score_case(full, ring, None, (1.0, 0.5), ScoreRule(surface_points="foreground"))
    assert (scores["hausdorff_px"], scores["hausdorff_mm"]) == (4, 2)
    assert score_case(full, ring, None, None, DEFAULT)["hausdorff_px"] == 0


def test_label_maps_are_foreground_wherever_they_are_not_zero() -> None:
    labels = np.array([[0, 1, 2], [3, 0, 0]], np.uint8)
    assert score_case(labels, labels > 0, None, None, DEFAULT)["dice"] == 1
    assert score_case(labels.astype(np.int64), labels, None, None, DEFAULT)["dice"] == 1


def test_what_is_no_label_map_is_refused() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        score_case(SOME.astype(np.float32), SOME, None, None, DEFAULT)
    with pytest.raises(ValueError, match="255"):
        score_case(SOME.astype(np.uint8) * 255, SOME, None, None, DEFAULT)
    with pytest.raises(ValueError, match="one shape"):
        score_case(SOME, SOME.T, None, None, DEFAULT)


masks = arrays(np.bool_, (6, 5))


@given(masks, masks, st.none() | masks, st.sampled_from(RULES))
def test_swapping_the_masks_swaps_sensitivity_and_precision(
    pred: np.ndarray, truth: np.ndarray, ignore: np.ndarray | None, rule: ScoreRule
) -> None:
    there = dict(score_case(pred, truth, ignore, SPACING, rule))
    back = dict(score_case(truth, pred, ignore, SPACING, rule))
    if rule.pred_empty == "zero-all" and "pred_empty" in (there["status"], back["status"]):
        return  # the one rule that treats the two masks differently
    back["sensitivity"], back["precision"] = back["precision"], back["sensitivity"]
    for name in ("dice", "jaccard", "sensitivity", "precision", "accuracy", *PX, *MM):
        assert there[name] == pytest.approx(back[name], nan_ok=True)


@given(masks, masks, masks)
def test_a_label_of_255_is_the_same_as_ignore(
    pred: np.ndarray, truth: np.ndarray, ignore: np.ndarray
) -> None:
    labels = np.where(ignore, np.uint8(255), truth.astype(np.uint8))
    named = score_case(pred, truth, ignore, SPACING, DEFAULT)
    marked = score_case(pred, labels, None, SPACING, DEFAULT)
    assert marked == pytest.approx(named, nan_ok=True)


@given(masks, masks, st.sampled_from(RULES))
def test_nothing_is_worse_than_the_diagonal(
    pred: np.ndarray, truth: np.ndarray, rule: ScoreRule
) -> None:
    scores = row(pred, truth, rule)
    for key in (*PX, *MM):
        limit = math.hypot(6, 5) if key in PX else math.hypot(6 * SPACING[0], 5 * SPACING[1])
        assert math.isnan(scores[key]) or 0 <= scores[key] <= limit


@given(masks, masks)
def test_distances_are_those_of_the_kernel(pred: np.ndarray, truth: np.ndarray) -> None:
    scores = row(pred, truth)
    if scores["status"] == "ok":
        direct = surface_distances(pred, truth, SPACING)
        assert [scores[key] for key in MM] == [direct.hausdorff, direct.hd95, direct.assd]


@pytest.mark.parametrize(
    ("status", "rule", "expected"),
    [
        ("ok", DEFAULT, set()),
        ("both_empty", PERFECT, set()),
        ("pred_empty", DEFAULT, {*OVERLAPS, *DISTANCES} - {"specificity", "accuracy"}),
        ("truth_empty", DEFAULT, {*OVERLAPS, *DISTANCES} - {"specificity", "accuracy"}),
        ("pred_empty", ZERO_ALL, {*OVERLAPS, *DISTANCES}),
        ("truth_empty", ZERO_ALL, {*OVERLAPS, *DISTANCES} - {"specificity", "accuracy"}),
    ],
)
def test_who_is_penalised(status: str, rule: ScoreRule, expected: set[str]) -> None:
    names = (*OVERLAPS, *DISTANCES)
    assert {name for name in names if is_penalised(status, name, rule)} == expected
