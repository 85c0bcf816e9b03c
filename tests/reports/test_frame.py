from __future__ import annotations

import math

import pytest

from reports.frame import COLUMNS, summarise, tidy
from tests.factory import make_failure, make_record, make_score


def test_a_line_for_every_score() -> None:
    record = make_record(
        "enet",
        scores={"dice_slice": make_score("dice_slice", 0.6, n=8, undefined=2, penalised=1)},
        fold=2,
        seed=3,
        params=17,
    )
    frame = tidy([record])
    assert tuple(frame.columns) == COLUMNS
    (line,) = frame.to_dict("records")
    assert line == {
        "row": "enet",
        "model": "enet",
        "task": "infection",
        "dataset": "phantom",
        "protocol": "smoke",
        "fold": 2,
        "seed": 3,
        "run": record.spec.id,
        "status": "done",
        "target": "infection",
        "metric": "dice_slice",
        "value": 0.6,
        "unit": "fraction",
        "higher_is_better": True,
        "aggregation": "slice",
        "n": 8,
        "undefined": 2,
        "penalised": 1,
        "params": 17,
        "macs": 2_270_000_000,
    }


def test_failures_are_lines_without_a_metric() -> None:
    frame = tidy([make_record(dice=None)], [make_failure("enet", fold=2)])
    last = frame.iloc[-1]
    assert (last["row"], last["status"], last["fold"]) == ("enet", "failed (out of memory)", 2)
    assert math.isnan(last["value"])
    assert frame["value"].isna().sum() == 5  # four scores that follow from Dice, and the failure


def test_no_runs_give_an_empty_frame() -> None:
    assert tuple(tidy([]).columns) == COLUMNS
    assert summarise(tidy([])) == {}


def test_summary_is_mean_and_sample_deviation() -> None:
    frame = tidy(make_record(dice=dice, fold=fold) for fold, dice in enumerate((0.5, 0.6, 0.7), 1))
    cell = summarise(frame)["dice_slice"]
    assert cell.number == pytest.approx(0.6)
    assert cell.spread == pytest.approx(0.1)
    assert cell.n == 3


def test_undefined_runs_are_left_out_and_a_single_one_has_no_spread() -> None:
    frame = tidy([make_record(dice=None, fold=1), make_record(dice=0.5, fold=2)])
    cell = summarise(frame)["dice_slice"]
    assert (cell.value, cell.spread, cell.n) == (0.5, None, 1)


def test_a_score_that_is_never_defined_has_no_value() -> None:
    cell = summarise(tidy([make_record(dice=None)]))["dice_slice"]
    assert (cell.value, cell.spread, cell.n) == (None, None, 0)
