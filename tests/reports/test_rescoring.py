"""Stored probabilities scored once more, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reports.comparing.rescoring
from benchmark.protocols import ScoreRule
from reports.comparing.rescoring import Truth, rescore, rounding, score_rule, truths_of
from tests.factory import make_spec
from tests.predicted import SIDE, Dataset, probabilities
from zoo.errors import CovbenchError

RULE = ScoreRule()
RING = [place for place in range(25) if place // 5 in (0, 4) or place % 5 in (0, 4)]


def scored(found: dict[int, float], true: Any, rule: ScoreRule = RULE, *rest: float) -> Any:
    (row,) = whole(found, true, rule, *rest).rows
    return row


def whole(found: dict[int, float], true: Any, rule: ScoreRule = RULE, *rest: float) -> Any:
    truth = Truth(Dataset({"p-1": true}).truth["p-1"], "p", None)
    return rescore({"p-1": probabilities(found)}, {"p-1": truth}, rule, *rest)


def counts(row: Any) -> tuple[int, ...]:
    return tuple(row[name] for name in ("tp", "fp", "fn", "tn"))


def test_a_threshold_decides_which_pixels_count() -> None:
    found = {0: 0.9, 1: 0.6, 2: 0.4, 10: 0.35, 11: 0.1}
    true = [0, 1, 2, 3]
    assert counts(scored(found, true)) == (2, 0, 2, 21)
    assert counts(scored(found, true, RULE, 0.3)) == (3, 1, 1, 20)
    assert counts(scored(found, true, RULE, 0.7)) == (1, 0, 3, 21)
    assert scored(found, true)["dice"] == pytest.approx(4 / 6)
    assert (scored(found, true)["id"], scored(found, true)["group"]) == ("p-1", "p")


def test_pixels_on_the_threshold_are_counted() -> None:
    # 127 and 128 of 255 are the values next to 0.5; 0.5 itself is stored as 128.
    found = {0: 127 / 255, 1: 128 / 255, 2: 0.5, 3: 129 / 255}
    at_half = whole(found, [0])
    assert counts(at_half.rows[0]) == (0, 3, 1, 21)
    assert at_half.close == {"p-1": 2}
    # 0.4 is 102 of 255 exactly: that value holds probabilities on both sides.
    at_forty = whole({0: 102 / 255, 1: 101 / 255}, [0], RULE, 0.4)
    assert counts(at_forty.rows[0]) == (1, 0, 0, 24)
    assert at_forty.close == {"p-1": 1}


def test_ignored_pixels_count_nowhere() -> None:
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[0, 0], truth[0, 1] = 1, 255
    found = rescore(
        {"a": probabilities({0: 1, 1: 0.5, 2: 1})}, {"a": Truth(truth, "p", None)}, RULE
    )
    assert counts(found.rows[0]) == (1, 1, 0, 22)
    assert found.close == {"a": 0}


def test_empty_masks_by_either_rule() -> None:
    perfect = ScoreRule(both_empty="perfect")
    assert np.isnan(scored({}, [])["dice"])
    assert scored({}, [], perfect)["dice"] == 1
    assert scored({}, [], perfect)["hausdorff_px"] == 0
    zero = ScoreRule(pred_empty="zero-all")
    diagonal = pytest.approx(50**0.5)
    assert scored({}, [0])["hausdorff_px"] == diagonal
    assert (scored({}, [0])["dice"], scored({}, [0])["specificity"]) == (0, 1)
    assert (scored({}, [0], zero)["hausdorff_px"], scored({}, [0], zero)["specificity"]) == (0, 0)


def test_distances_between_borders_or_all_foreground() -> None:
    square = dict.fromkeys(range(25), 1.0)
    # The square's border is the ring; its centre is two pixels away from it.
    assert scored(square, RING)["hausdorff_px"] == 0
    inside = ScoreRule(surface_points="foreground")
    assert scored(square, RING, inside)["hausdorff_px"] == 2


def test_distances_are_left_out_or_taken_over() -> None:
    truths = {
        name: Truth(mask, "p", None) for name, mask in Dataset({"a": [0], "b": [0]}).truth.items()
    }
    found = {"a": probabilities({1: 1.0}), "b": probabilities({})}
    assert "hausdorff_px" not in rescore(found, truths, RULE, distances=False).rows[0]
    first = rescore(found, truths, RULE)
    marked = [{**row, "hausdorff_px": -1.0} for row in first.rows]
    again = rescore(found, truths, ScoreRule(pred_empty="zero-all"), known=marked)
    assert [row["hausdorff_px"] for row in again.rows] == [-1.0, 0.0]  # b is empty: made anew


def test_rounding_explains_some_differences_and_no_others() -> None:
    again = whole({0: 1, 1: 0.5, 7: 0.5}, [0, 1])
    own = {"id": "p-1", "tp": 1, "fp": 0, "fn": 1, "tn": 23}
    told = rounding(again, [own])
    assert (told.pixels, told.close, told.unexplained) == (2, 2, ())
    assert rounding(again, [dict(again.rows[0])]).pixels == 0
    for wrong in (
        {"tp": 0, "fn": 2, "fp": 0, "tn": 23},  # three pixels, of which two can differ
        {"tp": 1, "fn": 0, "fp": 0, "tn": 24},  # another truth
        {"tp": 2, "fn": 0, "fp": 2, "tn": 21},  # a pixel that was foreground
    ):
        assert rounding(again, [{**own, **wrong}]).unexplained == ("p-1",)
    assert rounding(again, [own, {**own, "id": "p-2"}]).unexplained == ("p-2",)


def refused(act: Any, *words: str) -> None:
    with pytest.raises(CovbenchError) as found:
        act()
    assert len(str(found.value).splitlines()) == 2
    for word in words:
        assert word in str(found.value)


def test_other_data_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset({"p-1": [0]})
    dataset.put(monkeypatch)
    assert list(truths_of(make_spec())) == ["p-1"]
    refused(lambda: truths_of(make_spec(data_hash="e" * 64)), "other data", "eeeeeeee")
    truths = truths_of(make_spec())
    refused(lambda: rescore({"x": probabilities({})}, truths, RULE), "no such image")
    refused(lambda: rescore({"p-1": np.zeros((4, 4), np.uint8)}, truths, RULE), "another size")
    strange = make_spec(settings={"score": {"both_empty": "half"}})
    refused(lambda: score_rule(strange), "doesn't know")
    assert reports.comparing.rescoring.HALF == 0.5
