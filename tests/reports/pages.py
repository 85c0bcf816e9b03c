"""Stores made up in memory, for tests of the page."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from reports.analysis import analyse
from reports.boards.standings import leaderboard_tables
from reports.chosen import Place
from reports.comparison import compare
from reports.subject import Holdings, Subject
from reports.tables.table import Table
from results.cases import COLUMNS, Cases
from results.machines import MachineProfile
from results.record import Failure, RunRecord
from tests.factory import make_record

MEASURES = ("dice", "sensitivity", "specificity", "hausdorff_px", "hd95_px")


def make_holdings(
    records: Iterable[RunRecord],
    failures: Iterable[Failure] = (),
    *,
    patients: int = 4,
    undefined: Collection[tuple[str, str]] = (),
    machine: MachineProfile | None = None,
    root: Path = Path("/data/anna/runs"),
) -> Holdings:
    """A store of these runs; each fold has patients of its own, of two images each.

    A run's scores of images scatter about its mean Dice, alike for the same patient and row. Pairs
    of a row and a patient that are `undefined` have no score.
    """
    runs = tuple(records)
    lines = [line for record in runs for line in _lines(record, patients)]
    names = [*COLUMNS, "tp", "fp", "fn", "tn", *MEASURES]
    frame = pd.DataFrame(lines, columns=names)
    for row, patient in undefined:
        frame.loc[(frame["row"] == row) & (frame["group"] == patient), list(MEASURES)] = math.nan
    cases = Cases(frame, runs, ())
    failed = tuple(failures)
    subjects = tuple(
        Subject(root, each, analyse(Place(each, cases)), machine) for each in compare(runs, failed)
    )
    return Holdings(root, subjects, runs, failed, (), cases)


def tables_of(holdings: Holdings) -> list[Table]:
    """The leaderboards, without the trivial predictors, which need the data."""
    return leaderboard_tables(
        holdings.records, holdings.failures, trivial=lambda comparison, target: ({}, [])
    )


def make_runs(
    model: str,
    dice: float,
    folds: Iterable[int] = (1, 2),
    seeds: Iterable[int] = (0, 1),
    epochs: int = 3,
    **changes: Any,
) -> list[RunRecord]:
    """The runs of a row: all folds with all seeds."""
    found = []
    for fold in folds:
        for seed in seeds:
            own = dice + 0.01 * fold + 0.001 * seed
            record = make_record(model, own, fold=fold, seed=seed, **changes)
            assert record.training is not None
            curve = tuple(round(1 / (1 + epoch), 4) for epoch in range(epochs))
            training = record.training.model_copy(update={"epochs": epochs, "curve": curve})
            found.append(record.model_copy(update={"training": training}))
    return found


def _lines(record: RunRecord, patients: int) -> list[dict[str, Any]]:
    spec = record.spec
    score = record.scores["infection"]["dice_slice"].value or 0.0
    found = []
    for patient in range(patients):
        noise = random.Random(f"{spec.row} {spec.fold} {patient}").uniform(-0.1, 0.1)
        for image in (1, 2):
            dice = min(1.0, max(0.0, score + noise + 0.01 * image))
            name = f"patient-{spec.fold}{patient:02d}"
            found.append(
                {
                    **dict(zip(COLUMNS[:7], _words(record), strict=True)),
                    "run": spec.id,
                    "id": f"{name}-{image}",
                    "group": name,
                    **{"tp": 100 * dice, "fp": 50, "fn": 50, "tn": 1000},
                    **{each: 100 - 100 * dice if "px" in each else dice for each in MEASURES},
                }
            )
    return found


def _words(record: RunRecord) -> tuple[Any, ...]:
    spec = record.spec
    return spec.row, spec.model, spec.dataset, spec.protocol, spec.task, spec.fold, spec.seed
