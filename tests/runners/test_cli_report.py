"""`covbench report`: what it writes, what it refuses, and the five planted faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from results.store import RECORD, Store
from runners.cli import run_cli
from tests.reports.honest import OTHER, drop, edit, record_of, write_honest, write_rows


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three networks on two folds with two seeds, on data that aren't here."""
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    made = Store(tmp_path / "runs")
    write_rows(made, data={"manifest_hash": "d" * 64})
    return made


def report(store: Store, tmp_path: Path, *words: str) -> int:
    given = ["--from", str(store.root), "--to", str(tmp_path / "report"), "--figures", "none"]
    return run_cli(["report", *given, *words])


def mixed_protocol(store: Store) -> None:
    drop(store, record_of(store, "enet", 2, 0))
    write_honest(store, "enet", fold=2, seed=0, settings=OTHER.canonical())


def leaked_patient(store: Store) -> None:
    for fold in (1, 2):
        for seed in (0, 1):
            for model in ("cgnet", "enet", "unet"):
                record = record_of(store, model, fold, seed)
                edit(
                    store,
                    record,
                    lambda payload: payload["data"].update(
                        groups_disjoint=False, shared_groups=["patient-7"]
                    ),
                )


def changed_fold(store: Store) -> None:
    drop(store, record_of(store, "enet", 2, 0))
    write_honest(store, "enet", fold=2, seed=0, fold_hash="9" * 64)


def edited_record(store: Store) -> None:
    path = store.folder(record_of(store, "enet", 2, 0).spec) / RECORD
    path.write_text(path.read_text().replace('"version": "1.0"', '"version": "9.9"'))


def impossible_pair(store: Store) -> None:
    """With a SHA-256 that fits: only the numbers tell."""
    edit(
        store,
        record_of(store, "enet", 2, 0),
        lambda payload: payload["scores"]["infection"]["jaccard_pooled"].update(value=0.95),
    )


PLANTED = {
    mixed_protocol: "optim.lr=0.01",
    leaked_patient: "patient-7",
    changed_fold: "Fold 2 holds other images here",
    edited_record: "don't match its SHA-256",
    impossible_pair: "accard",
}


def test_a_fair_store_passes(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(store, tmp_path, "--strict", "--json") == 0
    items = json.loads(capsys.readouterr().out)
    board = [item for item in items if item["table"] == "phantom, protocol smoke"]
    assert {item["name"] for item in board} == {"cgnet", "enet", "unet"}
    assert all("notes" not in item for item in board)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_a_note_and_strict_refuses(
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    plant: Callable[[Store], None],
) -> None:
    plant(store)
    assert report(store, tmp_path, "--strict") == 3
    error = capsys.readouterr().err
    assert PLANTED[plant] in error
    assert len(error.strip().splitlines()) == 2
    assert "covbench " in error.splitlines()[1]
    assert not list((tmp_path / "report").rglob("*.*"))
    assert report(store, tmp_path, "--formats", "md") == 0
    assert PLANTED[plant] in (tmp_path / "report" / "leaderboard.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--spread", "sds"), "sds"),
        (("--layout", "miniseg-tabel3"), "miniseg-table3"),
        (("--layout", "nowhere.toml"), "nowhere.toml"),
        (("--baseline", "unte"), "unet"),
        (("--metric", "dise"), "dise"),
        (("--machine", "cray"), "cray"),
        (("--formats", "docx"), "docx"),
        (("--figures", "pie"), "pie"),
        (("--against", "miniseg-table9"), "miniseg-table9"),
        (("--from", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    assert report(store, tmp_path, *words) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 2


def test_a_page_and_figures_on_request(store: Store, tmp_path: Path) -> None:
    words = ["--html", "--no-images", "--figures", "ranks,confusion", "--formats", "svg"]
    assert report(store, tmp_path, *words) == 0
    folder = tmp_path / "report"
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".svg", ".md", ".tex"}
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert {path.name for path in folder.iterdir()} == {"figures", "report.html"}
