"""Which groups (patients, scans, studies) lie on both sides of a fold, and by which slices."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.datasets.folds import Split
from benchmark.datasets.prepared import PreparedDataset


@dataclass(frozen=True)
class Leak:
    """One known group that a fold both trains and tests on, with the ids of its slices."""

    fold: int
    group: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def find_leaks(dataset: PreparedDataset, split: Split) -> tuple[Leak, ...]:
    """Every known group on both sides of a fold, in the order of the folds.

    None found proves something only where the dataset's groups are known.

    Raises:
        CovbenchError: The split can't be made of this dataset.
    """
    return tuple(
        Leak(
            fold.number,
            group,
            *(
                tuple(dataset.cases[i].id for i in side if dataset.cases[i].group == group)
                for side in (fold.train, fold.test)
            ),
        )
        for fold in dataset.folds(split)
        for group in fold.shared_groups
    )
