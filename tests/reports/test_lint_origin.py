"""Rules on machine and code, and the commands that do runs again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.protocols import load_protocol
from results.store import Store
from tests.factory import SMOKE
from tests.reports.honest import (
    edit,
    findings,
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
