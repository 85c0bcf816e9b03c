"""Rules on settings: rows that are spread over several tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.protocols import load_protocol
from results.store import Store
from tests.reports.honest import (
    OTHER,
    drop,
    findings,
    lines_of,
    only,
    record_of,
    write_honest,
    write_rows,
)

NAME = "phantom-smoke"
RUN = "covbench run --models"
SMOKE_ON = "--data phantom --protocol smoke"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three networks on two folds with two seeds."""
    made = Store(tmp_path / "runs")
    write_rows(made)
    return made


def test_a_fold_run_under_another_learning_rate(store: Store) -> None:
    for seed in (0, 1):
        drop(store, record_of(store, "enet", 2, seed))
        write_honest(store, "enet", fold=2, seed=seed, settings=OTHER.canonical())
    found = only(store, "protocols")
    assert (found.severity, found.subject, found.rows) == ("fault", NAME, ("enet",))
    assert found.text == (
        "Fold 2 with seeds 0, 1 were run with optim.lr=0.01 (here 0.001), so that the row lacks "
        "them here."
    )
    assert found.rerun == f"{RUN} enet {SMOKE_ON} --folds 2 --seeds 0,1 --out {store.root}"


def test_a_fold_under_other_settings_that_few_rows_have(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for model in ("cgnet", "enet", "unet"):
        write_honest(store, model)
    write_honest(store, "unet", fold=2)
    write_honest(store, "enet", fold=2, settings=OTHER.canonical())
    (found,) = [each for each in findings(store) if each.rule == "protocols"]
    assert found.rows == ("enet",)
    assert found.text == (
        "Fold 2 with seed 0 was run with optim.lr=0.01 (here 0.001), so that the row lacks it here."
    )


def test_two_protocols_that_were_really_run_are_two_tables(store: Store) -> None:
    write_rows(store, settings=OTHER.canonical())
    assert findings(store) == ()


def test_a_try_under_another_protocol_does_not_stand_for_a_missing_run(store: Store) -> None:
    drop(store, record_of(store, "enet", 1, 0))
    for model in ("cgnet", "enet", "unet"):
        write_honest(store, model, fold=1, seed=0, settings=OTHER.canonical())
    assert [each.rule for each in findings(store)] == ["incomplete"]


@pytest.mark.parametrize(
    ("rule", "severity", "changes", "said"),
    [
        ("precision", "fault", ["precision=bf16"], "run.precision=bf16 (here fp32)"),
        (
            "empty masks",
            "fault",
            ["both_empty=perfect"],
            "score.both_empty=perfect (here undefined)",
        ),
        ("empty masks", "fault", ["pred_empty=zero-all"], "score.pred_empty=zero-all (here worst)"),
        ("protocols", "note", ["epochs=30"], "optim.epochs=30 (here 100)"),
        (
            "protocols",
            "note",
            ["epochs=30", "precision=bf16"],
            "optim.epochs=30 (here 100), run.precision=bf16 (here fp32)",
        ),
    ],
)
def test_rows_of_two_tables_that_would_be_read_as_one(
    tmp_path: Path, rule: str, severity: str, changes: list[str], said: str
) -> None:
    store = Store(tmp_path)
    write_honest(store, "enet")
    settings = load_protocol("smoke", changes).canonical()
    # One of the images is empty on both sides: leave it out, so that both rules score alike.
    write_honest(store, "unet", settings=settings, lines=lines_of(1, 8)[:5])
    write_honest(store, "cgnet", settings=settings, lines=lines_of(1, 8)[:5])
    found = [each for each in findings(store) if each.subject == NAME]
    assert [(each.rule, each.severity, each.rows) for each in found] == [(rule, severity, ())]
    assert found[0].text == (
        f"Other rows were run with {said}, and are not in this table: cgnet, unet."
    )
    assert found[0].rerun == f"{RUN} cgnet,unet {SMOKE_ON} --folds 1 --seeds 0 --out {tmp_path}"
    (other,) = [each for each in findings(store) if each.subject != NAME]
    assert other.text.endswith("and are not in this table: enet.")
    assert f"--set {said.split(' ')[0]}" in other.rerun


def test_a_table_that_holds_all_rows_is_fair_by_itself(store: Store) -> None:
    settings = load_protocol("smoke", ["precision=bf16"]).canonical()
    write_rows(store, "unet", settings=settings)
    assert findings(store) == ()


def test_protocols_of_other_names_are_not_read_as_one(tmp_path: Path) -> None:
    write_honest(Store(tmp_path), "enet")
    settings = load_protocol("smoke", ["precision=bf16"]).canonical()
    write_honest(Store(tmp_path), "unet", settings=settings, protocol="mine")
    assert findings(tmp_path) == ()


@pytest.mark.parametrize(
    ("rule", "changes", "models"),
    [
        ("revisions", {"training_revision": 99}, ["unet"]),
        ("revisions", {"scoring_revision": 99}, ["unet"]),
        ("data", {"data_hash": "e" * 64}, []),
    ],
)
def test_rows_of_other_code_or_data(
    tmp_path: Path, rule: str, changes: dict[str, Any], models: list[str]
) -> None:
    """Only this covbench's own revision can be run; which data a name means is not known."""
    write_honest(Store(tmp_path), "enet")
    write_honest(Store(tmp_path), "unet", **changes)
    found = findings(tmp_path)
    assert [(each.rule, each.severity) for each in found] == [(rule, "fault")] * 2
    assert [each.rerun.split()[3] for each in found if each.rerun] == models
