"""Which slices train and which test: shipped lists, grouped k-fold, random draws.

Every rule is deterministic: random order is the order of SHA-256 digests, which no machine or
library version changes.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, Protocol

from benchmark.datasets.cases import Case
from zoo.errors import CovbenchError

GroupsKnown = Literal["all", "some", "none"]


class Split(Protocol):
    """What the `split` section of a protocol says (read-only here)."""

    @property
    def kind(self) -> str:
        """Either folds or random."""

    @property
    def folds(self) -> int:
        """Number of folds where no list ships."""

    @property
    def train_fraction(self) -> float:
        """Share of the slices that trains in a random draw."""

    @property
    def draws(self) -> int:
        """Number of random draws."""

    @property
    def seed(self) -> int:
        """Seed of the split."""


@dataclass(frozen=True)
class Fold:
    """Indices of the slices that train and that test, ascending; numbered from 1.

    `shared_groups` are the known groups with slices on both sides. `groups_disjoint` is true
    only where every slice's group is known and none is shared: unknown groups prove nothing. The
    fold of `whole` has the number 0.
    """

    number: int
    train: tuple[int, ...]
    test: tuple[int, ...]
    groups_disjoint: bool
    shared_groups: tuple[str, ...]
    hash: str


@dataclass(frozen=True)
class FoldList:
    """Folds as their authors published them, with what identifies the slices.

    `tests` are the ids that each fold is tested on; a fold trains on the ids of all the others,
    so that a slice in no list is in no fold. `groups` are the studies known to span slices, by
    name; `areas` the foreground pixels of each slice, in the order of the slices.
    """

    tests: tuple[tuple[str, ...], ...]
    groups: dict[str, tuple[str, ...]]
    areas: tuple[int, ...]


@cache
def fold_list(name: str) -> FoldList:
    """The list that ships with covbench under a dataset's name.

    Raises:
        CovbenchError: None ships under that name.
    """
    file = files("benchmark.datasets") / f"{name}.toml"
    if not file.is_file():
        raise CovbenchError(
            f"No list of folds named {name!r} ships with this version of covbench.",
            "Prepare the dataset again with `covbench data prepare`, or install a newer version.",
        )
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return FoldList(
        tests=tuple(tuple(_ids(fold)) for fold in table["tests"]),
        groups={group: tuple(_ids(slices)) for group, slices in table["groups"].items()},
        areas=tuple(table["areas"]),
    )


def _ids(numbers: Iterable[int]) -> list[str]:
    return [f"{number:04d}" for number in numbers]


def make_folds(
    cases: Sequence[Case],
    foreground: Sequence[int],
    split: Split,
    *,
    groups_known: GroupsKnown,
    shipped: FoldList | None = None,
) -> tuple[Fold, ...]:
    """The folds of a dataset under a split rule.

    Args:
        cases: The slices.
        foreground: Foreground pixels of each slice.
        split: The rule. `folds` takes the shipped list where there is one, else builds a k-fold
            that keeps groups whole; `random` draws slices without regard to groups.
        groups_known: Whether the groups of all, some or no slices are known.
        shipped: The list that ships with the dataset.

    Raises:
        CovbenchError: The rule can't be met by these slices.
    """
    if split.kind == "random":
        sides = [_draw(cases, split, split.seed + draw) for draw in range(split.draws)]
    elif shipped is not None:
        sides = _listed(cases, shipped)
    else:
        sides = _grouped(cases, foreground, split)
    return tuple(
        _fold(number, cases, train, test, groups_known)
        for number, (train, test) in enumerate(sides, start=1)
    )


def whole(cases: Sequence[Case], groups_known: GroupsKnown) -> Fold:
    """All slices as one test set on which nothing is trained; its number is 0."""
    return _fold(0, cases, [], list(range(len(cases))), groups_known)


Sides = tuple[list[int], list[int]]


def _draw(cases: Sequence[Case], split: Split, seed: int) -> Sides:
    """A random share of the slices to train on; the rest tests."""
    count = round(split.train_fraction * len(cases))
    if not 0 < count < len(cases):
        raise CovbenchError(
            f"A train_fraction of {split.train_fraction} leaves one side of {len(cases)} "
            "slices empty.",
            "Choose split.train_fraction so that both sides get a slice, or add slices.",
        )
    order = sorted(range(len(cases)), key=lambda i: _shuffle_key(seed, cases[i].id))
    return sorted(order[:count]), sorted(order[count:])


def _listed(cases: Sequence[Case], shipped: FoldList) -> list[Sides]:
    """The authors' folds."""
    index = {case.id: i for i, case in enumerate(cases)}
    folds = [sorted(index[name] for name in test) for test in shipped.tests]
    return [
        (sorted(i for other in folds if other is not test for i in other), test) for test in folds
    ]


def _grouped(cases: Sequence[Case], foreground: Sequence[int], split: Split) -> list[Sides]:
    """K-fold over whole groups, greedily balanced in slices and in foreground pixels.

    The heaviest groups are placed first, where weight is the share of all slices plus the share
    of all foreground. Each goes where it least increases the sum over folds of squared shares.
    The seed orders groups of about equal weight: those within a run of as many as there are folds.
    """
    members: dict[str, list[int]] = {}
    for i, case in enumerate(cases):
        members.setdefault(case.group, []).append(i)
    if not 2 <= split.folds <= len(members):
        raise CovbenchError(
            f"{split.folds} folds can't be made of {len(members)} groups: groups are kept whole.",
            f"Set split.folds from 2 to {len(members)}."
            if len(members) > 1
            else "Name more than one patient in groups.csv, or use split.kind=random.",
        )
    pixels = {group: sum(foreground[i] for i in of) for group, of in members.items()}
    all_slices, all_pixels = len(cases), max(1, sum(foreground))

    def weight(group: str) -> int:
        return len(members[group]) * all_pixels + pixels[group] * all_slices

    shuffled = sorted(members, key=lambda group: _shuffle_key(split.seed, group))
    ranked = sorted(shuffled, key=weight, reverse=True)
    runs = [ranked[i : i + split.folds] for i in range(0, len(ranked), split.folds)]
    order = [group for run in runs for group in shuffled if group in run]
    tests: list[list[int]] = [[] for _ in range(split.folds)]
    load = [0] * split.folds
    for group in order:
        size = len(members[group])

        def increase(f: int, size: int = size, group: str = group) -> int:
            slices = len(tests[f]) * size * all_pixels**2
            return slices + load[f] * pixels[group] * all_slices**2

        lightest = min(range(split.folds), key=increase)
        tests[lightest] += members[group]
        load[lightest] += pixels[group]
    return [
        (sorted(i for other in tests if other is not test for i in other), sorted(test))
        for test in tests
    ]


def _shuffle_key(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _fold(
    number: int, cases: Sequence[Case], train: list[int], test: list[int], known: GroupsKnown
) -> Fold:
    ids = {
        "train": sorted(cases[i].id for i in train),
        "test": sorted(cases[i].id for i in test),
    }
    text = json.dumps(ids, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    shared = {cases[i].group for i in train} & {cases[i].group for i in test}
    return Fold(
        number=number,
        train=tuple(train),
        test=tuple(test),
        groups_disjoint=known == "all" and not shared,
        shared_groups=tuple(sorted(shared)),
        hash=hashlib.sha256(text.encode()).hexdigest(),
    )
