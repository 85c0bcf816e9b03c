"""Patients on both sides of a fold: which, and by which slices."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.datasets.folds import Split
from benchmark.datasets.prepared import PreparedDataset


@dataclass(frozen=True)
class Leak:
    """A group on both sides of a fold, with the ids of its slices on each."""

    fold: int
    group: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def find_leaks(dataset: PreparedDataset, split: Split) -> list[Leak]:
    """The groups that a dataset's folds have on both sides, by fold and name.

    Raises:
        CovbenchError: The folds can't be made.
    """
    return [
        Leak(
            fold.number,
            group,
            tuple(dataset.cases[i].id for i in fold.train if dataset.cases[i].group == group),
            tuple(dataset.cases[i].id for i in fold.test if dataset.cases[i].group == group),
        )
        for fold in dataset.folds(split)
        for group in fold.shared_groups
    ]
