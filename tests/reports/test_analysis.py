from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.metrics import METRICS
from reports.analysis import Analysis
from reports.subject import Holdings, read_holdings
from results.cases import CASES
from results.store import RECORD, Store
from tests.factory import make_failure, make_scores
from tests.stores import write_run

DICE = METRICS["dice_patient"]
PATIENTS = "abcdefghij"


def fill(store: Store, rows: dict[str, float], *, spread: float = 0.02, folds: int = 2) -> None:
    """Networks with a mean Dice each, on ten patients of two images in so many folds."""
    for place, (row, mean) in enumerate(rows.items()):
        rng = np.random.default_rng(place)
        for fold in range(1, folds + 1):
            own = PATIENTS[fold - 1 :: folds]
            noise = rng.normal(0, spread, len(own))
            dice = {
                f"{p}-{i}": float(mean + n) for p, n in zip(own, noise, strict=True) for i in (1, 2)
            }
            average = sum(dice.values()) / len(dice)
            write_run(store, dice, model=row, fold=fold, scores=make_scores(average))


def only(root: Path) -> Analysis:
    (subject,) = read_holdings(root).subjects
    return subject.analysis


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    fill(made, {"high": 0.8, "near": 0.795, "low": 0.5, "lower": 0.495, "last": 0.2})
    return made


def test_ties_are_decided_by_the_interval_of_the_difference(store: Store) -> None:
    marks = only(store.root).marks(DICE)
    assert marks == {"high": "best", "near": "best", "low": "second", "lower": "second"}


def test_marks_among_the_rows_that_a_table_shows(store: Store) -> None:
    assert only(store.root).marks(DICE, ("low", "last")) == {"low": "best", "last": "second"}
    assert only(store.root).marks(DICE, ("low",)) == {}


def test_a_mean_is_the_mean_over_runs(store: Store) -> None:
    (subject,) = read_holdings(store.root).subjects
    for row in subject.analysis.rows:
        entry = subject.entry(row)
        assert entry is not None
        runs = [record.scores["infection"]["dice_patient"].value for record in entry.records]
        interval = subject.analysis.interval(row, DICE)
        assert interval is not None
        assert interval.estimate == pytest.approx(np.mean([r for r in runs if r is not None]))
        assert interval.low < interval.estimate < interval.high


def test_a_mean_is_over_a_rows_own_images_where_others_lack_some(tmp_path: Path) -> None:
    store = Store(tmp_path)
    scores = {"a-1": 0.2, "b-1": 0.6, "c-1": 1.0}
    write_run(store, scores, model="whole")
    write_run(store, {**scores, "c-1": None}, model="part")
    analysis = only(store.root)
    whole = analysis.interval("whole", DICE)
    assert whole is not None
    assert whole.estimate == pytest.approx(0.6)
    paired = analysis.resampled(DICE)
    assert paired is not None
    assert (paired.left_out, paired.estimates.tolist()) == (("c",), pytest.approx([0.4, 0.4]))


def test_pooled_scores_come_from_the_counts_of_the_images(store: Store) -> None:
    interval = only(store.root).interval("high", METRICS["dice_pooled"])
    assert interval is not None
    assert interval.estimate == pytest.approx(2 / (2 + 2 + 3))  # tp 1, fp 2, fn 3 in every image


def test_rows_without_all_runs_are_said_and_left_out(store: Store) -> None:
    write_run(store, {"a-1": 0.9, "c-1": 0.9}, model="part", fold=1)
    analysis = only(store.root)
    assert "part" not in analysis.rows
    assert analysis.skipped == (
        "part has fold 1 with seed 0, of 2 runs: it has no interval and no rank.",
    )


def test_a_grid_with_holes_has_no_rows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for fold, seed in ((1, 0), (1, 1), (2, 0)):
        write_run(store, {"a-1": 0.5, "b-1": 0.6}, model="x", fold=fold, seed=seed)
    analysis = only(store.root)
    assert analysis.rows == ()
    assert "not every fold has every seed" in analysis.skipped[0]
    assert analysis.interval("x", DICE) is None


def test_one_patient_has_no_interval(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for model in ("x", "y", "z"):
        write_run(store, {"a-1": 0.5, "a-2": 0.6}, model=model)
    analysis = only(store.root)
    assert analysis.resampled(DICE) is None
    assert analysis.resampled(METRICS["miou_pooled"]) is None
    assert (analysis.friedman(DICE), analysis.tests(DICE, "x"), analysis.standings(DICE)) == (
        None,
        (),
        (),
    )


def test_holdings_name_what_is_damaged(store: Store) -> None:
    def spoil(holdings: Holdings, place: int, name: str) -> None:
        (store.folder(holdings.records[place].spec) / name).write_text("{}")

    whole = read_holdings(store.root)
    spoil(whole, 0, RECORD)
    spoil(whole, 1, CASES)
    store.write_failure(make_failure("broken"))
    found = read_holdings(store.root)
    assert (len(found.records), len(found.damaged), len(found.failures)) == (9, 1, 1)
    assert len(found.cases.left_out) == 2
    (subject,) = found.subjects
    assert subject.entry("broken") is not None
    assert whole.records[1].spec.row not in subject.analysis.rows
