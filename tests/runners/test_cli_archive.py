"""`covbench export` and `covbench import`: what they say, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.store import Store, load_records
from runners.cli import run_cli
from tests.archives import files
from tests.factory import make_failure
from tests.stores import write_run

DICE = {"p1-a": 0.5, "p2-a": 0.75}
WORTH = "Its hashes show damage, not honesty: whoever made it may have written anything."


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Networks on two folds with two seeds, and a failed one, in ./runs."""
    monkeypatch.chdir(tmp_path)
    made = Store(Path("runs"))
    for fold in (1, 2):
        for seed in (0, 1):
            write_run(made, DICE, data={"n_test": 2}, model="unet", fold=fold, seed=seed)
        spec = {"options": {"strict": True}, "fold": fold}
        write_run(made, DICE, data={"n_test": 2}, model="miniseg", **spec)
    made.write_failure(make_failure("fcn8s"))
    return made


def test_there_and_back(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["export", "--to", "a.covbench"]) == 0
    what = "6 runs of 2 rows on phantom under smoke (folds 1, 2, seeds 0, 1)"
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{what}; 1 account of failed attempts."
    assert second.startswith("Written: a.covbench (")
    assert run_cli(["import", "a.covbench", "--to", "other", "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{what}, 12 images scored; written by covbench ")
    assert said[1] == "Would come into other: 6 new, 1 account of failed attempts."
    assert said[2:] == [WORTH]
    assert not Path("other").exists()
    assert run_cli(["import", "a.covbench", "--to", "other"]) == 0
    assert "Into other: 6 new, 1 account" in capsys.readouterr().out
    assert run_cli(["import", "a.covbench", "--to", "other"]) == 0
    assert "Into other: 6 already there.\n" in capsys.readouterr().out
    assert len(load_records("other")) == 6


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("--models unet", {("unet", f, s) for f in (1, 2) for s in (0, 1)}),
        ("--models mini*", {("miniseg[strict=true]", f, 0) for f in (1, 2)}),
        ("--models miniseg[strict=true]", {("miniseg[strict=true]", f, 0) for f in (1, 2)}),
        ("--models !unet", {("miniseg[strict=true]", f, 0) for f in (1, 2)}),
        ("--models all,!mini* --seeds 1", {("unet", 1, 1), ("unet", 2, 1)}),
        ("--folds 2 --seeds 1", {("unet", 2, 1)}),
        ("-d phantom -p smoke -m unet --folds 1 --seeds 0", {("unet", 1, 0)}),
    ],
)
def test_a_selection(words: str, rows: set[tuple[str, int, int]], store: Store) -> None:
    assert run_cli(["export", "--to", "a.covbench", *words.split()]) == 0
    assert run_cli(["import", "a.covbench", "--to", "other"]) == 0
    specs = [record.spec for record in load_records("other")]
    assert {(spec.row, spec.fold, spec.seed) for spec in specs} == rows


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--from nowhere", "There is no folder nowhere."),
        ("--models unett", "Unknown row 'unett'."),
        ("--models unet,!unet", "There are no runs to export below runs."),
        ("--data phantom,ct100", "Unknown dataset 'ct100'."),
        ("--protocol smokey", "Unknown protocol 'smokey'."),
        ("--folds 0", "--folds '0' is no list of folds."),
        ("--seeds 9", "There are no runs to export below runs."),
        ("--to runs", "runs is a folder."),
        ("--predictions some", "Invalid value for '--predictions'"),
    ],
)
def test_what_export_refuses(
    words: str, problem: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(Path())
    assert run_cli(["export", *words.split()]) == 1
    told = capsys.readouterr()
    first, _ = told.err.splitlines()
    assert first.startswith(problem) and not told.out
    assert files(Path()) == before


@pytest.mark.parametrize("content", [None, b"", b"PK\3\4", b"\x1b[31m"])
def test_what_import_refuses(
    content: bytes | None, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("a.covbench").write_bytes(content)
    assert run_cli(["import", "a.covbench", "--to", "other"]) == 1
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 2 and not told.out
    assert not Path("other").exists()


def test_other_scores_than_here_are_named(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["export", "--models", "unet", "--folds", "1", "--seeds", "0"]) == 0
    record = next(each for each in load_records("runs") if each.spec.row == "unet")
    counts = {"infection": record.counts["infection"].model_copy(update={"tp": 99})}
    Store(Path("other")).write(record.model_copy(update={"counts": counts}))
    capsys.readouterr()
    assert run_cli(["import", "runs.covbench", "--to", "other"]) == 0
    told = capsys.readouterr().out
    assert "Into other: 1 already there" in told
    assert f"Other scores than here: {record.spec.title} (those that were here are kept)." in told
    assert load_records("other")[0].counts["infection"].tp == 99


def test_hidden_cases_and_damage_are_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    broken = next(iter(Path("runs").rglob("cases.csv")))
    broken.write_text("x")
    assert run_cli(["export", "--hide-cases"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Left out: ") and str(broken) in told
    assert "5 runs" in told and "images and patients have other names" in told
    assert run_cli(["import", "runs.covbench", "--to", "other"]) == 0
    assert "they pair within this archive alone" in capsys.readouterr().out
