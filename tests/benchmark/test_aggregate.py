from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from benchmark.metrics import METRICS, InconsistentScores, Score, aggregate, score_case
from benchmark.metrics.aggregate import check_identities
from benchmark.metrics.definitions import DISTANCES, OVERLAPS
from benchmark.protocols.sections import ScoreRule

DEFAULT = ScoreRule()
ZERO_ALL = ScoreRule(pred_empty="zero-all")
PERFECT = ScoreRule(both_empty="perfect")
EMPTY, SOME = np.zeros((3, 4), bool), np.eye(3, 4, dtype=bool)
HALF = SOME & (np.arange(4) < 1)  # one of the three: Dice 1/2
Rows = list[dict[str, Any]]


def rows_of(*pairs: tuple[np.ndarray, np.ndarray], rule: ScoreRule = DEFAULT) -> Rows:
    return [dict(score_case(pred, truth, None, (0.5, 0.5), rule)) for pred, truth in pairs]


def counts(score: Score) -> tuple[int, int, int]:
    return score.n, score.undefined, score.penalised


FOUR = ((SOME, SOME), (HALF, SOME), (EMPTY, SOME), (EMPTY, EMPTY))
GROUPS = ("a", "a", "a", "b")


def test_four_images_by_hand() -> None:
    scores = aggregate(rows_of(*FOUR), GROUPS, DEFAULT)
    # Pooled: TP 3+1, FN 2+3, FP 0, TN the rest of 48 pixels.
    assert scores["dice_pooled"].value == pytest.approx(8 / 13)
    assert scores["jaccard_pooled"].value == pytest.approx(4 / 9)
    assert scores["miou_pooled"].value == pytest.approx((4 / 9 + 39 / 44) / 2)
    assert scores["sensitivity_pooled"].value == pytest.approx(4 / 9)
    assert scores["specificity_pooled"].value == 1
    assert scores["precision_pooled"].value == 1
    assert scores["accuracy_pooled"].value == pytest.approx(43 / 48)
    assert counts(scores["dice_pooled"]) == (4, 0, 0)
    assert scores["dice_slice"].value == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert counts(scores["dice_slice"]) == (3, 1, 1)
    assert scores["dice_patient"].value == pytest.approx(0.5)
    assert counts(scores["dice_patient"]) == (1, 1, 1)
    assert scores["specificity_slice"].value == 1
    assert counts(scores["specificity_slice"]) == (4, 0, 0)
    assert counts(scores["precision_slice"]) == (2, 2, 0)
    assert scores["hausdorff_slice_px"].value == pytest.approx((0 + math.sqrt(8) + 5) / 3)
    assert scores["hausdorff_slice_mm"].value == pytest.approx((0 + math.sqrt(8) + 5) / 6)
    assert counts(scores["hausdorff_slice_mm"]) == (3, 1, 1)


def test_patients_count_alike_however_many_images_they_have() -> None:
    rows = rows_of((SOME, SOME), (HALF, SOME), (HALF, SOME), (HALF, SOME))
    scores = aggregate(rows, ("one", "many", "many", "many"), DEFAULT)
    assert scores["dice_slice"].value == pytest.approx((1 + 3 * 0.5) / 4)
    assert scores["dice_patient"].value == pytest.approx((1 + 0.5) / 2)
    assert counts(scores["dice_patient"]) == (2, 0, 0)


def test_an_undefined_image_does_not_undo_its_patient() -> None:
    scores = aggregate(rows_of((SOME, SOME), (EMPTY, EMPTY)), ("a", "a"), DEFAULT)
    assert scores["dice_patient"].value == 1
    assert counts(scores["dice_patient"]) == (1, 0, 0)


def test_two_empty_masks_can_enter_as_perfect() -> None:
    scores = aggregate(rows_of(*FOUR, rule=PERFECT), GROUPS, PERFECT)
    assert scores["dice_slice"].value == pytest.approx((1 + 1 / 2 + 0 + 1) / 4)
    assert counts(scores["dice_slice"]) == (4, 0, 1)
    assert counts(scores["sensitivity_slice"]) == (3, 1, 1)


def test_zero_all_penalises_every_measure_and_no_pooled_one() -> None:
    scores = aggregate(rows_of(*FOUR, rule=ZERO_ALL), GROUPS, ZERO_ALL)
    assert scores["specificity_slice"].value == pytest.approx(3 / 4)
    assert counts(scores["specificity_slice"]) == (4, 0, 1)
    assert counts(scores["specificity_patient"]) == (2, 0, 1)
    assert scores["hausdorff_slice_px"].value == pytest.approx((0 + math.sqrt(8) + 0) / 3)
    assert scores["specificity_pooled"].value == 1


def test_a_truth_without_foreground_is_penalised_where_it_counts() -> None:
    scores = aggregate(rows_of((SOME, EMPTY), (SOME, SOME)), ("a", "b"), DEFAULT)
    assert scores["dice_slice"].value == 0.5
    assert counts(scores["dice_slice"]) == (2, 0, 1)
    assert counts(scores["sensitivity_slice"]) == (1, 1, 0)
    assert counts(scores["hd95_patient_px"]) == (2, 0, 1)


def test_nothing_defined_is_none() -> None:
    scores = aggregate(rows_of((EMPTY, EMPTY)), ("a",), DEFAULT)
    for key in ("dice_pooled", "miou_pooled", "dice_slice", "dice_patient", "assd_slice_mm"):
        assert scores[key].value is None
        assert counts(scores[key]) == (0, 1, 0)
    assert scores["specificity_pooled"].value == 1


def test_millimetres_only_where_the_data_have_them() -> None:
    with_mm, without = rows_of((HALF, SOME)), [dict(score_case(HALF, SOME, None, None, DEFAULT))]
    assert not [key for key in aggregate(without, ("a",), DEFAULT) if key.endswith("_mm")]
    both = aggregate(with_mm + without, ("a", "b"), DEFAULT)
    assert counts(both["assd_slice_mm"]) == (1, 1, 0)
    assert counts(both["assd_slice_px"]) == (2, 0, 0)
    assert set(both) == set(METRICS)


def test_rows_read_back_from_csv_give_the_same_scores() -> None:
    rows = rows_of(*FOUR)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if value != value else value for key, value in row.items()})
    text.seek(0)
    again = list(csv.DictReader(text))
    assert aggregate(again, GROUPS, DEFAULT) == aggregate(rows, GROUPS, DEFAULT)


def test_rows_and_groups_must_match() -> None:
    with pytest.raises(ValueError, match="group"):
        aggregate([], [], DEFAULT)
    with pytest.raises(ValueError, match="group"):
        aggregate(rows_of((SOME, SOME)), ("a", "b"), DEFAULT)


mask = arrays(np.bool_, (4, 5))
datasets = st.lists(st.tuples(mask, mask, st.sampled_from("abc")), min_size=1, max_size=6)
rules = st.sampled_from([DEFAULT, ZERO_ALL, PERFECT])


@given(datasets, rules, st.randoms())
def test_the_order_of_the_rows_does_not_matter(data: Any, rule: ScoreRule, random: Any) -> None:
    items = [(*rows_of((pred, truth), rule=rule), group) for pred, truth, group in data]
    shuffled = random.sample(items, len(items))
    scores, again = (
        aggregate([row for row, _ in side], [group for _, group in side], rule)
        for side in (items, shuffled)
    )
    assert scores == again


@given(datasets, rules)
def test_what_holds_for_every_score(data: Any, rule: ScoreRule) -> None:
    rows = rows_of(*((pred, truth) for pred, truth, _ in data), rule=rule)
    groups = [group for *_, group in data]
    scores = aggregate(rows, groups, rule)
    for key, score in scores.items():
        total = len(set(groups)) if score.aggregation == "patient" else len(rows)
        assert score.n + score.undefined == total
        assert score.penalised <= score.n
        assert (score.value is None) == (score.n == 0)
        assert (score.unit, score.higher_is_better) == (
            METRICS[key].unit,
            METRICS[key].higher_is_better,
        )
        if score.unit == "fraction" and score.value is not None:
            assert 0 <= score.value <= 1


@given(mask, mask, rules)
def test_of_one_image_slice_and_patient_agree(
    pred: np.ndarray, truth: np.ndarray, rule: ScoreRule
) -> None:
    (row,) = rows_of((pred, truth), rule=rule)
    scores = aggregate([row], ["a"], rule)
    for metric in METRICS.values():
        if metric.aggregation == "slice":
            other = scores[metric.key.replace("slice", "patient")]
            assert scores[metric.key].value == other.value
            assert scores[metric.key].value == pytest.approx(row[metric.column]) or math.isnan(
                row[metric.column]
            )
    if row["status"] == "ok":
        for name in OVERLAPS:
            assert scores[f"{name}_pooled"].value == scores[f"{name}_slice"].value


GOOD = {"dice": 0.5, "jaccard": 1 / 3, "sensitivity": 0.4, "specificity": 0.9, "accuracy": 0.8}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jaccard": 0.81, "dice": 0.75}, "Jaccard"),
        ({"jaccard": math.nan}, "Jaccard"),
        ({"accuracy": 0.95}, "accuracy"),
        ({"accuracy": 0.3}, "accuracy"),
        ({"accuracy": math.nan}, "accuracy"),
    ],
)
def test_impossible_scores_are_an_internal_error(change: dict[str, float], message: str) -> None:
    check_identities(GOOD)
    with pytest.raises(InconsistentScores, match=message):
        check_identities(GOOD | change)


def test_undefined_ends_bound_nothing() -> None:
    check_identities(GOOD | {"sensitivity": math.nan, "accuracy": 0.95})
    check_identities(GOOD | {"dice": math.nan, "jaccard": math.nan})


def test_a_score_is_frozen_and_finite() -> None:
    score = aggregate(rows_of((SOME, SOME)), ("a",), DEFAULT)["dice_slice"]
    with pytest.raises(ValidationError):
        score.value = 0.5  # type: ignore[misc]
    fields = score.model_dump()
    for wrong in ({"value": math.nan}, {"value": math.inf}, {"n": -1}, {"unit": "%"}, {"x": 1}):
        with pytest.raises(ValidationError):
            Score(**(fields | wrong))
    assert Score.model_validate_json(score.model_dump_json()) == score


def test_the_table_of_metrics() -> None:
    measures = {metric.measure for metric in METRICS.values()}
    assert measures == {"miou", *OVERLAPS, *DISTANCES}
    assert "recall" not in measures
    assert "recall" in METRICS["sensitivity_pooled"].synonyms
    for key, metric in METRICS.items():
        parts = (metric.measure, metric.aggregation, metric.unit)
        assert key == "_".join(parts).removesuffix("_fraction")
        assert metric.higher_is_better == (metric.measure not in DISTANCES)
    assert len({metric.header for metric in METRICS.values()}) == len(METRICS)
    assert METRICS["hd95_slice_mm"].header == r"HD95 (slice, mm) $\downarrow$"
    assert METRICS["dice_pooled"].header == r"Dice (pooled) $\uparrow$"
