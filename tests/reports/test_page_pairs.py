"""Pairs on the page, set beside what `covbench compare` gives."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from benchmark.metrics import METRICS
from benchmark.statistics import Resampled
from reports.comparing.compare import pair_tables
from reports.page.pairs import COMPARED, chance_better, pairs_data
from reports.tables.shown import show
from tests.reports.pages import make_holdings, make_runs


def test_pairs_are_those_of_covbench_compare() -> None:
    runs = [*make_runs("unet", 0.6), *make_runs("enet", 0.58), *make_runs("cgnet", 0.5)]
    # Two rows have no score of a patient each, which pairs of the others are not to lose.
    undefined = [("cgnet", "patient-100"), ("dfn", "patient-201")]
    holdings = make_holdings([*runs, *make_runs("dfn", 0.5)], undefined=undefined)
    analysis = holdings.subjects[0].analysis
    found = pairs_data(analysis)
    assert found is not None and found["rows"] == ["cgnet", "dfn", "enet", "unet"]
    assert [metric["key"] for metric in found["metrics"]] == list(COMPARED)
    sides = {side.label: side for side in analysis.sides}
    units = []
    for shown in found["metrics"]:
        for (one, other), own in zip(combinations(found["rows"], 2), shown["pairs"], strict=True):
            means, difference = pair_tables(sides[one], sides[other], METRICS[shown["key"]])
            n, estimate, low, high, _, told, *both = own
            row = difference.rows[0]
            printed = [show(*each) for each in zip(row.cells, difference.columns, strict=True)]
            assert [f"{each:.2f}" for each in (estimate, low, high)] == printed[:3]
            expected = [
                show(row.cells[place], means.columns[place])
                for row in means.rows
                for place in (1, 2, 3)
            ]
            assert [f"{each:.2f}" for each in both] == expected
            assert abs(told) == (low > 0 or high < 0)
            units.append(n)
    assert units[:6] == [6, 7, 7, 7, 7, 8]  # cgnet with dfn lacks two of eight patients


def test_which_row_is_told_to_be_better_follows_the_metric() -> None:
    holdings = make_holdings([*make_runs("unet", 0.7), *make_runs("enet", 0.3)])
    found = pairs_data(holdings.subjects[0].analysis)
    assert found is not None
    dice, _, distance = (metric["pairs"][0] for metric in found["metrics"])
    assert dice[1] < 0 < distance[1]  # enet minus unet
    assert (dice[4:6], distance[4:6]) == ([0.0, -1], [0.0, -1])  # unet is better by both


def test_values_are_the_units_own() -> None:
    holdings = make_holdings([*make_runs("unet", 0.7), *make_runs("enet", 0.3)], patients=2)
    found = pairs_data(holdings.subjects[0].analysis)
    assert found is not None
    metric = found["metrics"][0]
    assert metric["names"] == ["patient-100", "patient-101", "patient-200", "patient-201"]
    frame = holdings.cases.frame
    own = frame[(frame["row"] == "unet") & (frame["group"] == "patient-201")]["dice"]
    assert metric["values"][1][3] == pytest.approx(100 * own.mean(), abs=1e-4)


def test_a_single_row_has_no_pairs() -> None:
    assert pairs_data(make_holdings(make_runs("unet", 0.7)).subjects[0].analysis) is None


def test_ties_count_half() -> None:
    resampled = Resampled(
        rows=("a", "b"),
        estimates=np.array([1.0, 1.0]),
        means=np.array([[1.0, 2.0, 3.0, 3.0], [0.0, 2.0, 4.0, 1.0]]),
        widening=1.0,
        n=4,
        unit="patient",
        left_out=(),
        level=0.95,
        higher_is_better=True,
        bounds=(0.0, 5.0),
    )
    assert chance_better(resampled, "a", "b") == 0.625  # yes, tie, no, yes
    assert chance_better(replace(resampled, higher_is_better=False), "a", "b") == 0.375
