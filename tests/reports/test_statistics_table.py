from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.metrics import METRICS
from benchmark.protocols import load_protocol
from reports.boards.methods import methods
from reports.boards.statistics_table import statistics_table
from reports.subject import read_holdings
from reports.tables.shown import show
from results.store import Store
from tests.reports.test_analysis import fill
from tests.stores import write_run


def test_ranks_chances_and_differences(tmp_path: Path) -> None:
    fill(Store(tmp_path), {"high": 0.8, "near": 0.799, "low": 0.5, "last": 0.2})
    (subject,) = read_holdings(tmp_path).subjects
    table = statistics_table(subject)
    assert table is not None
    shown = {
        row.label: [
            show(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)
        ]
        for row in table.rows
    }
    assert {row.label for row in table.rows[:2]} == {"high", "near"}
    assert shown["low"][1:3] == ["3", "0.00"]
    assert shown["last"][1:3] == ["4", "0.00"]
    best = table.rows[0].label
    assert shown[best][1] == "1 to 2"
    assert shown[best][3:7] == ["–", "–", "–", "–"]
    chances = [row.cells[2].number for row in table.rows]
    assert sum(chance for chance in chances if chance is not None) == pytest.approx(1.0)
    # Ten patients, every one of them worse: p = 2 / 2^10, times 3 comparisons.
    place = [column.key for column in table.columns].index("p_holm")
    last = table.rows[-1].cells[place].number
    assert last == pytest.approx(3 * 2 / 2**10)
    assert f"{best} was chosen as the best on these data" in table.caption
    assert "Friedman's test over all 4 rows" in table.caption
    assert "One training each" in table.caption


def test_too_little_for_statistics(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_run(store, {"a-1": 0.5, "b-1": 0.6}, model="alone")
    (subject,) = read_holdings(tmp_path).subjects
    assert statistics_table(subject) is None


def test_another_metric_is_named_and_its_direction_kept(tmp_path: Path) -> None:
    fill(Store(tmp_path), {"high": 0.8, "low": 0.5})
    (subject,) = read_holdings(tmp_path).subjects
    table = statistics_table(subject, METRICS["hd95_patient_px"])
    assert table is not None
    assert [row.label for row in table.rows] == ["high", "low"]  # HD95 falls with Dice
    assert table.columns[0].title == "HD95"


def test_methods_follow_the_protocol(tmp_path: Path) -> None:
    settings = load_protocol("miniseg-code", ["epochs=7"])
    changes = {"protocol": "miniseg-code", "settings": settings.canonical()}
    for fold in (1, 2):
        write_run(Store(tmp_path), {"a-1": 0.5, "b-1": 0.6}, model="x", fold=fold, **changes)
    (subject,) = read_holdings(tmp_path).subjects
    text = methods(subject)
    for words in (
        "One network was trained and tested on phantom (folds 1, 2; seed 0) under the protocol "
        "miniseg-code with optim.epochs=7 of covbench.",
        "one pass an epoch at each of 1.5, 1.25, 0.75 and 1 times that size",
        "7 epochs (16 steps)",
        "classes weighted by their share",
        "an empty prediction alone scores 0 in everything",
        "No patient has images on both sides of a fold.",
        "covbench 1.0 (commit abcdef0), PyTorch 2.15, on Some CPU.",
    ):
        assert words in text
    assert "bootstrap" not in text  # one row has nothing to be compared with
    assert "by Adam (learning rate 0.001, weight decay 0.0001, betas 0.9 and 0.999;" in text
    assert "The weights after the last step were scored" in text


def test_methods_tell_of_the_optimiser_and_of_early_stopping(tmp_path: Path) -> None:
    changes = ["optim.name=sgd", "nesterov=true", "min_delta=0.01"]
    settings = load_protocol("chsnet-paper", changes)
    write_run(Store(tmp_path), {"a-1": 0.5}, protocol="chsnet-paper", settings=settings.canonical())
    (subject,) = read_holdings(tmp_path).subjects
    text = methods(subject)
    for words in (
        "trained for at most 100 epochs with batches of 8 by stochastic gradient descent (learning "
        "rate 0.001, weight decay 0, Nesterov momentum 0.9; constant learning rate) on half binary",
        "A training ended early once its loss on held-out slices (10 % of the training part) had "
        "not fallen by more than 0.01 for 10 epochs. The weights of the lowest such loss were "
        "scored; none were chosen by looking at test images.",
    ):
        assert words in text
    assert "last step" not in text and "Adam" not in text
