"""Rules on rows: settings, folds, seeds, patients, sources, machines, code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.protocols import load_protocol
from results.record import RunRecord
from results.store import Store
from tests.factory import SMOKE, make_failure
from tests.reports.honest import (
    OTHER,
    drop,
    edit,
    findings,
    lines_of,
    only,
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


def record_of(store: Store, model: str, fold: int, seed: int) -> RunRecord:
    """A run of the store."""
    (found,) = [
        each
        for each in store.records()
        if isinstance(each, RunRecord)
        and (each.spec.model, each.spec.fold, each.spec.seed) == (model, fold, seed)
    ]
    return found


# --- settings -----------------------------------------------------------------------------------


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
    ("rule", "changes"),
    [
        ("revisions", {"training_revision": 99}),
        ("revisions", {"scoring_revision": 99}),
        ("data", {"data_hash": "e" * 64}),
    ],
)
def test_rows_of_other_code_or_data(tmp_path: Path, rule: str, changes: dict[str, Any]) -> None:
    write_honest(Store(tmp_path), "enet")
    write_honest(Store(tmp_path), "unet", **changes)
    found = findings(tmp_path)
    assert [(each.rule, each.severity) for each in found] == [(rule, "fault")] * 2


# --- folds and seeds ----------------------------------------------------------------------------


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


# --- networks -----------------------------------------------------------------------------------


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


# --- patients -----------------------------------------------------------------------------------


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


# --- machine and code ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "changes", "said"),
    [
        (
            "machines",
            {"env": {"device": "NVIDIA H100"}},
            "Run on NVIDIA H100; other rows on Some CPU.",
        ),
        ("machines", {"env": {"cpu": "Old CPU"}}, "Run on Old CPU; other rows on Some CPU."),
        (
            "threads",
            {"env": {"threads": 2}},
            "Run with 2 CPU threads; other rows with 1 CPU thread.",
        ),
        (
            "packages",
            {"env": {"packages": {"torch": "2.14"}}},
            "Run with torch 2.14; other rows with torch 2.15.",
        ),
        (
            "packages",
            {"env": {"python": "3.12"}},
            "Run with Python 3.12; other rows with Python 3.11.",
        ),
        (
            "code",
            {"code": {"version": "1.1"}},
            "Run by covbench 1.1, commit abcdef0; other rows by covbench 1.0, commit abcdef0.",
        ),
        (
            "code",
            {"code": {"git_commit": "1234567890"}},
            "Run by covbench 1.0, commit 1234567; other rows by covbench 1.0, commit abcdef0.",
        ),
    ],
)
def test_a_row_that_was_run_elsewhere(
    tmp_path: Path, rule: str, changes: dict[str, Any], said: str
) -> None:
    store = Store(tmp_path)
    write_rows(store, "cgnet", "enet")
    write_rows(store, "unet", **changes)
    found = only(store, rule)
    assert (found.severity, found.rows, found.text) == ("note", ("unet",), said)
    assert found.rerun == (
        f"{RUN} unet {SMOKE_ON} --folds 1,2 --seeds 0,1 --out {tmp_path} --force"
    )


def test_what_is_mixed_in_every_row_alike_is_told_once(tmp_path: Path) -> None:
    for model in ("enet", "unet"):
        write_honest(Store(tmp_path), model, fold=1)
        write_honest(Store(tmp_path), model, fold=2, env={"cpu": "Old CPU"})
    found = only(Store(tmp_path), "machines")
    assert (found.rows, found.text) == ((), "Every row has runs on Old CPU and Some CPU.")


def test_uncommitted_code_of_one_row(store: Store) -> None:
    edit(
        store,
        record_of(store, "enet", 2, 1),
        lambda payload: payload["code"].update(git_dirty=True),
    )
    found = only(store, "uncommitted")
    assert (found.severity, found.rows) == ("fault", ("enet",))
    assert found.text.startswith("1 of 4 runs used code with uncommitted changes")
    assert found.rerun == (f"{RUN} enet {SMOKE_ON} --folds 2 --seeds 1 --out {store.root} --force")


def test_uncommitted_code_of_every_row_is_told_once(tmp_path: Path) -> None:
    write_rows(Store(tmp_path), code={"git_dirty": True})
    found = only(Store(tmp_path), "uncommitted")
    assert (found.severity, found.rows) == ("fault", ())
    assert found.text.startswith("12 of 12 runs")


# --- commands -----------------------------------------------------------------------------------


def missing_run(root: Path, model: str = "miniseg", **spec: Any) -> str:
    """The command for the one missing run of a row beside a whole one."""
    store = Store(root)
    for fold in (1, 2):
        write_honest(store, "unet", fold=fold, **{**spec, "options": {}, "weights": None})
    write_honest(store, model, **spec)
    (found,) = [each for each in findings(store) if each.rule == "incomplete"]
    return found.rerun


def test_rows_with_options_are_quoted(tmp_path: Path) -> None:
    again = missing_run(tmp_path, options={"strict": True})
    assert again == (
        f"{RUN} 'miniseg[strict=true]' {SMOKE_ON} --folds 2 --seeds 0 --out {tmp_path}"
    )


def test_changed_settings_are_set(tmp_path: Path) -> None:
    settings = load_protocol("smoke", ["lr=0.01", "zoom=[1,1]"]).canonical()
    again = missing_run(tmp_path, settings=settings)
    assert "--protocol smoke --set 'augment.zoom=[1.0, 1.0]' --set optim.lr=0.01" in again


def test_a_protocol_of_ones_own_is_written_as_changes_of_a_shipped_one(tmp_path: Path) -> None:
    again = missing_run(tmp_path, protocol="mine", settings=SMOKE.canonical())
    assert "--protocol identical --set input.size=64" in again


@pytest.mark.parametrize(
    "spec",
    [
        {"settings": {"optim": {"sharpness": 3}}},
        {"weights": "a" * 64},
        {"options": {"weights": "0123456789abcdef.safetensors"}},
    ],
)
def test_no_command_is_given_where_none_would_do(tmp_path: Path, spec: dict[str, Any]) -> None:
    assert missing_run(tmp_path, **spec) == ""


@pytest.mark.parametrize(("model", "suffix"), [("own", ""), ("own:Net", ":Net"), ("tiny", "")])
def test_a_network_from_a_file_is_run_from_the_kept_copy(
    tmp_path: Path, model: str, suffix: str
) -> None:
    store = Store(tmp_path)
    for fold in (1, 2):
        write_honest(store, "unet", fold=fold)
    kept = store.folder(write_honest(store, model).spec) / "own.py"
    kept.write_text("")
    (found,) = findings(store)
    assert found.rerun.startswith(f"{RUN} {kept}{suffix} ")
