"""Rules on rows: folds, seeds, networks, patients."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.protocols import load_protocol
from results.record import RunRecord
from results.store import Store
from tests.factory import make_failure
from tests.reports.honest import (
    drop,
    edit,
    findings,
    lines_of,
    only,
    record_of,
    write_honest,
    write_rows,
)

RUN = "covbench run --models"
SMOKE_ON = "--data phantom --protocol smoke"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three networks on two folds with two seeds."""
    made = Store(tmp_path / "runs")
    write_rows(made)
    return made


def test_a_changed_fold(store: Store) -> None:
    old = record_of(store, "enet", 2, 0)
    drop(store, old)
    odd = write_honest(store, "enet", fold=2, seed=0, fold_hash="9" * 64)
    found = only(store, "folds")
    assert (found.severity, found.rows) == ("fault", ("enet",))
    assert found.text == (
        "Fold 2 holds other images here (99999999) than in the other rows (22222222)."
    )
    path = store.folder(odd.spec) / "record.json"
    assert found.rerun == (
        f"mv {path} {path}.old && {RUN} enet {SMOKE_ON} --folds 2 --seeds 0 --out {store.root}"
    )


def test_a_changed_fold_of_two_rows_is_told_of_the_table(tmp_path: Path) -> None:
    write_honest(Store(tmp_path), "enet")
    write_honest(Store(tmp_path), "unet", fold_hash="9" * 64)
    found = only(Store(tmp_path), "folds")
    assert (found.severity, found.rows) == ("fault", ())
    assert found.text == (
        "Fold 1 does not hold the same images in every row: 11111111 in enet; 99999999 in unet."
    )


@pytest.mark.parametrize(
    ("rule", "fold", "seed", "said"),
    [
        ("folds", 3, 0, "Fold 3 with seed 0 counts here, and not in most other rows."),
        ("seeds", 1, 7, "Fold 1 with seed 7 counts here, and not in most other rows."),
    ],
)
def test_a_row_with_more_runs(store: Store, rule: str, fold: int, seed: int, said: str) -> None:
    write_honest(store, "enet", fold=fold, seed=seed, hits=2)
    found = only(store, rule)
    assert (found.severity, found.rows, found.text) == ("fault", ("enet",), said)
    assert found.rerun == (
        f"{RUN} cgnet,unet {SMOKE_ON} --folds {fold} --seeds {seed} --out {store.root}"
    )


def test_a_row_that_lacks_runs(store: Store) -> None:
    drop(store, record_of(store, "enet", 2, 0))
    drop(store, record_of(store, "enet", 2, 1))
    drop(store, record_of(store, "enet", 1, 1))
    found = only(store, "incomplete")
    assert (found.severity, found.rows) == ("note", ("enet",))
    assert found.text == "Fold 1 with seed 1; fold 2 with seeds 0, 1 are missing."
    assert found.rerun == (
        f"{RUN} enet {SMOKE_ON} --folds 1 --seeds 1 --out {store.root} && "
        f"{RUN} enet {SMOKE_ON} --folds 2 --seeds 0,1 --out {store.root}"
    )


def test_a_failed_run_is_told_as_failed_and_not_as_missing(store: Store) -> None:
    drop(store, record_of(store, "enet", 2, 0))
    store.write_failure(make_failure("enet", fold=2))
    (found,) = findings(store)
    assert (found.rule, found.severity, found.rows) == ("failed", "note", ("enet",))
    assert found.text == "Fold 2 with seed 0 failed (out of memory)."
    assert found.rerun.endswith("--retry-failed")


def test_two_sources_of_one_row(store: Store) -> None:
    drop(store, record_of(store, "enet", 1, 0))
    write_honest(store, "enet", source="6" * 64)
    (found,) = [each for each in findings(store) if each.rule == "sources"]
    assert found.severity == "note"
    assert len(found.rows) == 2
    assert all(row.startswith("enet (variant ") for row in found.rows)
    assert found.rerun.startswith(f"{RUN} enet {SMOKE_ON} --folds 1,2 --seeds 0,1")


def test_weights_that_were_given(store: Store) -> None:
    for fold in (1, 2):
        for seed in (0, 1):
            write_honest(store, "segnet", fold=fold, seed=seed, weights="a" * 64)
    found = only(store, "weights")
    assert (found.severity, found.rows) == ("note", ("segnet (weights aaaaaaaa)",))


def test_patients_on_both_sides_of_a_fold_are_told_once(store: Store) -> None:
    leaked = {"groups_disjoint": False, "shared_groups": ("p4", "p3", "p2", "p1")}
    for each in store.records():
        assert isinstance(each, RunRecord)
        if each.spec.fold == 2:
            edit(store, each, lambda payload: payload["data"].update(leaked))
    found = only(store, "leak")
    assert (found.severity, found.rows, found.rerun) == ("fault", (), "")
    assert found.text == (
        "4 patients stand on both sides of fold 2 (p1, p2, p3 and 1 more), so that the scores are "
        "too high for new patients."
    )


def test_a_leak_of_one_rows_fold_is_the_rows(store: Store) -> None:
    drop(store, record_of(store, "enet", 2, 0))
    leaked = {"groups_disjoint": False, "shared_groups": ("p1",)}
    write_honest(store, "enet", fold=2, fold_hash="9" * 64, data=leaked)
    (found,) = [each for each in findings(store) if each.rule == "leak"]
    assert found.rows == ("enet",)
    assert found.text.startswith("1 patient stands on both sides of fold 2 (p1)")


def test_a_patient_who_is_tested_in_two_folds_leaks_whatever_records_say(tmp_path: Path) -> None:
    store = Store(tmp_path)
    moved = [{**line, "group": "f1p0"} for line in lines_of(2, 8)[:2]] + lines_of(2, 8)[2:]
    for model in ("enet", "unet"):
        write_honest(store, model, fold=1)
        write_honest(store, model, fold=2, lines=moved)
    found = only(store, "leak")
    assert (found.severity, found.rows) == ("fault", ())
    assert found.text.startswith("1 patient stands on both sides of folds 1, 2 (f1p0)")


def test_random_draws_may_test_a_patient_twice(tmp_path: Path) -> None:
    settings = load_protocol("smoke", ["split.kind=random"]).canonical()
    for fold in (1, 2):
        write_honest(Store(tmp_path), fold=fold, lines=lines_of(1, 8), settings=settings)
    assert findings(tmp_path) == ()


def test_unknown_patients_are_a_note(tmp_path: Path) -> None:
    write_honest(Store(tmp_path), data={"groups_disjoint": False})
    found = only(Store(tmp_path), "leak")
    assert (found.severity, found.rows) == ("note", ())
    assert found.text.startswith("The patients of some images are not known")
