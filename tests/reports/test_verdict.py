from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmark.metrics import METRICS
from reports.subject import read_holdings
from reports.tables.table import Cell
from reports.verdicts.beside import order, order_words
from reports.verdicts.verdict import verdict
from results.store import Store
from tests.stores import write_run

DICE = METRICS["dice_slice"]


@pytest.mark.parametrize(
    ("printed", "measured", "interval", "word"),
    [
        ("75.63", Cell(75.0, 1.0, 5), (74.0, 76.0), "reproduced"),
        ("76.00", Cell(75.0, 1.0, 5), (74.0, 76.0), "reproduced"),
        # Two standard deviations of 1.0 reach from 73 to 77.
        ("76.01", Cell(75.0, 1.0, 5), (74.0, 76.0), "within noise"),
        ("73.20", Cell(75.0, 1.0, 5), (74.0, 76.0), "within noise"),
        ("77.01", Cell(75.0, 1.0, 5), (74.0, 76.0), "not reproduced"),
        ("72.99", Cell(75.0, 1.0, 5), (74.0, 76.0), "not reproduced"),
        # 76.01 may have been 76.006: rounding is forgiven, more is not.
        ("76.01", Cell(75.0, 0.1, 5), (74.0, 76.006), "reproduced"),
        ("76.01", Cell(75.0, 0.1, 5), (74.0, 76.004), "not reproduced"),
        ("0.75", Cell(0.7, 0.01, 5), (0.69, 0.746), "reproduced"),
        ("76.50", Cell(75.0, 1.0, 5), None, "within noise"),
        ("76.50", Cell(75.0, None, 1), (74.0, 76.0), "not reproduced"),
        ("75.00", Cell(75.0, None, 1), None, "undecided"),
        ("75.00", Cell(), None, "not measured"),
    ],
)
def test_the_word(
    printed: str, measured: Cell, interval: tuple[float, float] | None, word: str
) -> None:
    assert verdict(printed, measured, interval) == word


def test_where_numbers_are_not_comparable_no_other_word_stands() -> None:
    equal = Cell(75.0, 1.0, 5)
    word = verdict("75.00", equal, (74.0, 76.0), ["data", "split", "data"])
    assert word == "not comparable (data, split)"


def test_tau_is_over_the_rows_that_miss_no_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dice = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5}
    for row, value in dice.items():
        for fold in (1,) if row == "e" else (1, 2):
            own = {f"p{fold}{n}-1": value for n in range(3)}
            write_run(store, own, model=row, fold=fold)
    (subject,) = read_holdings(tmp_path).subjects
    printed = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 3.0, "e": 0.0}
    found = order(printed, dice, DICE, subject.analysis)
    assert found is not None
    # Of the six pairs of a, b, c, d one is out of order; ranks 1 2 3 4 and 1 2 4 3.
    assert found.n == 4
    assert found.tau.estimate == found.tau.low == found.tau.high == pytest.approx(4 / 6)
    assert found.rho == pytest.approx(1 - 6 * 2 / 60)
    assert order_words("Dice", found) == "Dice 0.67 (95 % 0.67 to 0.67; rho 0.80)"
    del dice["a"]
    assert order(printed, dice, DICE, subject.analysis) is None


def test_tau_where_measured_rows_tie(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dice = {"a": 0.1, "b": 0.3, "c": 0.3, "d": 0.4}
    for row, value in dice.items():
        write_run(store, {f"p{n}-1": value for n in range(3)}, model=row)
    (subject,) = read_holdings(tmp_path).subjects
    printed = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    found = order(printed, dice, DICE, subject.analysis)
    assert found is not None
    # Five pairs agree, one is tied here: tau-b is 5 / sqrt(5 * 6). Ranks 1 2.5 2.5 4 beside 1 2 3
    # 4: the covariance of ranks is 4.5, the sums of squares are 4.5 and 5.
    assert found.tau.estimate == pytest.approx(5 / math.sqrt(30))
    assert found.rho == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    equal = order(printed, dict.fromkeys(dice, 0.3), DICE, subject.analysis)
    assert equal is not None
    assert order_words("Dice", equal) == "Dice: undefined, since all are equal"


def test_the_interval_of_tau_is_wide_where_patients_disagree(tmp_path: Path) -> None:
    store = Store(tmp_path)
    # b and c change places from patient to patient; a is always last and d always first.
    for row, values in {
        "a": (0.1,) * 6,
        "b": (0.3, 0.5, 0.3, 0.5, 0.3, 0.5),
        "c": (0.5, 0.3, 0.5, 0.3, 0.5, 0.31),
        "d": (0.9,) * 6,
    }.items():
        write_run(store, {f"p{n}-1": value for n, value in enumerate(values)}, model=row)
    (subject,) = read_holdings(tmp_path).subjects
    printed = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    measured = {"a": 0.1, "b": 0.4, "c": 2.41 / 6, "d": 0.9}
    found = order(printed, measured, DICE, subject.analysis)
    assert found is not None
    assert found.tau.estimate == pytest.approx(1.0)
    assert (found.tau.low, found.tau.high) == (pytest.approx(4 / 6), pytest.approx(1.0))
