"""Per-image scores of a store, read back and checked."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from results.cases import CASES, COLUMNS, read_cases
from results.store import RECORD, Store
from tests.stores import write_run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two networks on two folds; `x` of one image is undefined."""
    made = Store(tmp_path / "runs")
    for model in ("unet", "enet"):
        for fold in (1, 2):
            scores = {f"{fold}-{number}": number / 7 for number in range(3)}
            write_run(made, {**scores, f"{fold}-none": None}, model=model, fold=fold)
    return made


def test_every_image_of_every_run_is_a_line(store: Store) -> None:
    found = read_cases(store.root)
    assert len(found.frame) == 16
    assert tuple(found.frame.columns)[: len(COLUMNS)] == COLUMNS
    assert found.left_out == ()
    assert {record.spec.id for record in found.records} == set(found.frame["run"])
    one = found.frame[(found.frame["row"] == "enet") & (found.frame["fold"] == 2)]
    assert list(one["id"]) == ["2-0", "2-1", "2-2", "2-none"]
    assert list(one["group"]) == ["2", "2", "2", "2"]
    assert list(one["dice"])[:3] == [0.0, 1 / 7, 2 / 7]  # to the last digit
    assert one["dice"].isna().to_list() == [False, False, False, True]
    assert set(one["dataset"]) == {"phantom"}
    assert set(one["protocol"]) == {"smoke"}
    assert set(one["seed"]) == {0}


def test_a_word_that_looks_like_nothing_stays_a_word(tmp_path: Path) -> None:
    write_run(Store(tmp_path), {"NA-1": 0.5, "nan": 0.25}, group=lambda image: "NA")
    frame = read_cases(tmp_path).frame
    assert list(frame["id"]) == ["NA-1", "nan"]
    assert list(frame["group"]) == ["NA", "NA"]


def test_only_wanted_runs_are_read(store: Store) -> None:
    found = read_cases(store.root, lambda spec: spec.model == "unet")
    assert set(found.frame["row"]) == {"unet"}
    assert len(found.records) == 2


def test_altered_missing_and_unnamed_files_are_left_out_and_named(store: Store) -> None:
    altered, missing, damaged, _ = sorted(store.root.rglob(RECORD))
    path = altered.parent / CASES
    lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    path.write_text(path.read_text(encoding="utf-8").replace(lines[2][2], "0.9"), encoding="utf-8")
    (missing.parent / CASES).unlink()
    damaged.write_text(damaged.read_text(encoding="utf-8").replace('"seed": 0', '"seed": 1'))
    unnamed = write_run(store, {"1-0": 0.5}, model="cgnet", listed=False)
    found = read_cases(store.root)
    reasons = {each.path: each.reason for each in found.left_out}
    assert "doesn't match the SHA-256" in reasons[altered.parent]
    assert "no cases.csv" in reasons[missing.parent]
    assert "its contents" in reasons[damaged.parent]
    assert "names no cases.csv" in reasons[store.folder(unnamed.spec)]
    assert len(found.records) == 1
    assert len(found.frame) == 4


def test_a_copied_run_counts_once(store: Store) -> None:
    shutil.copytree(store.root / "unet", store.root / "copy")
    found = read_cases(store.root)
    assert len(found.records) == 4
    assert len(found.frame) == 16


def test_an_empty_folder_has_no_scores(tmp_path: Path) -> None:
    found = read_cases(tmp_path)
    assert found.frame.empty
    assert tuple(found.frame.columns) == COLUMNS
