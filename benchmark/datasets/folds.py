"""Which slices train and which test: shipped lists, grouped k-fold, random draws.

Every rule is deterministic: random order is the order of SHA-256 digests, which no machine or
library version changes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from benchmark.datasets.cases import Case
from benchmark.datasets.lists import FoldList
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
    def test_by(self) -> str:
        """Whether a random draw is from all slices, or from each source by itself."""

    @property
    def balance(self) -> str:
        """Either none, or sources: as many training slices of each as the smallest one has."""

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
            that keeps groups whole; `random` draws slices without regard to groups. Slices that
            `balance` leaves out of the training part are in neither part of their fold.
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
        sides = _grouped(cases, foreground, split.folds, split.seed)
    if split.balance == "sources":
        sides = [(_balanced(cases, train, split.seed), test) for train, test in sides]
    return tuple(
        _fold(number, cases, train, test, groups_known)
        for number, (train, test) in enumerate(sides, start=1)
    )


def whole(cases: Sequence[Case], groups_known: GroupsKnown) -> Fold:
    """All slices as one test set on which nothing is trained; its number is 0."""
    return _fold(0, cases, [], list(range(len(cases))), groups_known)


def inner_folds(
    cases: Sequence[Case],
    foreground: Sequence[int],
    outer: Fold,
    split: Split,
    count: int,
    *,
    groups_known: GroupsKnown,
) -> tuple[Fold, ...]:
    """The training part of a fold, cut again: each part is tested by what the others train.

    Groups stay whole, unless the fold itself was drawn by slice: then these are too.

    Args:
        cases: All slices of the dataset.
        foreground: Foreground pixels of each.
        outer: The fold whose training slices are cut.
        split: The rule that made it; its seed is used.
        count: Number of parts.
        groups_known: Whether the groups of all, some or no slices are known.

    Raises:
        CovbenchError: There are too few groups (or slices).
    """
    own = [cases[i] for i in outer.train]
    groups = {case.id if split.kind == "random" else case.group for case in own}
    if len(groups) < count:
        what = "slices" if split.kind == "random" else "groups"
        raise CovbenchError(
            f"{count} inner folds can't be made of the {len(groups)} training {what} of fold "
            f"{outer.number}.",
            f"Give --inner-folds {len(groups)} or fewer, or more patients."
            if len(groups) > 1
            else "Name more than one patient in groups.csv.",
        )
    if split.kind == "random":
        order = sorted(range(len(own)), key=lambda i: _shuffle_key(split.seed, own[i].id))
        tests = [sorted(order[part::count]) for part in range(count)]
        sides = [(sorted(set(order) - set(test)), test) for test in tests]
    else:
        sides = _grouped(own, [foreground[i] for i in outer.train], count, split.seed)
    return tuple(
        _fold(
            number,
            cases,
            [outer.train[i] for i in train],
            [outer.train[i] for i in test],
            groups_known,
        )
        for number, (train, test) in enumerate(sides, start=1)
    )


def sources_of(cases: Sequence[Case], indices: Iterable[int]) -> dict[str, list[int]]:
    """Indices of slices by the source that each came from, sources by name."""
    members: dict[str, list[int]] = {}
    for i in indices:
        members.setdefault(cases[i].source, []).append(i)
    return {source: members[source] for source in sorted(members)}


Sides = tuple[list[int], list[int]]


def _draw(cases: Sequence[Case], split: Split, seed: int) -> Sides:
    """A random share of the slices, or of each source's, to train on; the rest tests."""
    everything = range(len(cases))
    parts = list(sources_of(cases, everything).values()) if split.test_by == "source" else []
    train: list[int] = []
    for part in parts or [list(everything)]:
        count = round(split.train_fraction * len(part))
        if not 0 < count < len(part):
            raise CovbenchError(
                f"A train_fraction of {split.train_fraction} leaves one side of {len(part)} "
                "slices empty.",
                "Choose split.train_fraction so that both sides get a slice, or add slices.",
            )
        train += _in_random_order(cases, part, seed)[:count]
    return sorted(train), sorted(set(everything) - set(train))


def _balanced(cases: Sequence[Case], train: list[int], seed: int) -> list[int]:
    """As many training slices of each source as the smallest of them has; the same at any fold."""
    sources = sources_of(cases, train).values()
    least = min(len(source) for source in sources)
    return sorted(i for source in sources for i in _in_random_order(cases, source, seed)[:least])


def _in_random_order(cases: Sequence[Case], indices: Iterable[int], seed: int) -> list[int]:
    return sorted(indices, key=lambda i: _shuffle_key(seed, cases[i].id))


def hold_out(
    cases: Sequence[Case], train: Sequence[int], share: float, *, by: str, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Set a share of a fold's training slices aside, for watching the training.

    Args:
        cases: The slices of the dataset.
        train: Indices of the training slices.
        share: How much of them is held out, at least one slice.
        by: "slice" holds out single slices. "group" holds out whole groups in random order, until
            the share is reached; the group that reaches it may go beyond, but one group at least
            stays to train on.
        seed: Seed of the split.

    Returns:
        Indices of those that stay and of those held out, ascending.

    Raises:
        CovbenchError: Nothing would stay.
    """
    names = {i: cases[i].group if by == "group" else cases[i].id for i in train}
    # Another order than that of the draws, which would hold out the edge of the training part.
    order = sorted(set(names.values()), key=lambda name: _shuffle_key(seed, f"validation:{name}"))
    if len(order) < 2:
        raise CovbenchError(
            f"No validation part can be held out of one training {by}.",
            "Set stop.validation_by=slice, or stop.early=false together with run.select=last.",
        )
    sizes = Counter(names.values())
    wanted = max(1, round(share * len(names)))
    chosen: set[str] = set()
    held = 0
    for name in order[:-1]:
        if held >= wanted:
            break
        chosen.add(name)
        held += sizes[name]
    return (
        tuple(sorted(i for i in train if names[i] not in chosen)),
        tuple(sorted(i for i in train if names[i] in chosen)),
    )


def _listed(cases: Sequence[Case], shipped: FoldList) -> list[Sides]:
    """The authors' folds, as far as their slices are here."""
    index = {case.id: i for i, case in enumerate(cases)}

    def here(names: Iterable[str]) -> list[int]:
        return sorted(index[name] for name in names if name in index)

    folds = [here(test) for test in shipped.tests]
    if shipped.trains is not None:
        return [(here(train), test) for train, test in zip(shipped.trains, folds, strict=True)]
    return [
        (sorted(i for other in folds if other is not test for i in other), test) for test in folds
    ]


def _grouped(
    cases: Sequence[Case], foreground: Sequence[int], count: int, seed: int
) -> list[Sides]:
    """K-fold over whole groups, greedily balanced in slices and in foreground pixels.

    The heaviest groups are placed first, where weight is the share of all slices plus the share
    of all foreground. Each goes where it least increases the sum over folds of squared shares.
    The seed orders groups of about equal weight: those within a run of as many as there are folds.
    """
    members: dict[str, list[int]] = {}
    for i, case in enumerate(cases):
        members.setdefault(case.group, []).append(i)
    if not 2 <= count <= len(members):
        raise CovbenchError(
            f"{count} folds can't be made of {len(members)} groups: groups are kept whole.",
            f"Set split.folds from 2 to {len(members)}."
            if len(members) > 1
            else "Name more than one patient in groups.csv, or use split.kind=random.",
        )
    pixels = {group: sum(foreground[i] for i in of) for group, of in members.items()}
    all_slices, all_pixels = len(cases), max(1, sum(foreground))

    def weight(group: str) -> int:
        return len(members[group]) * all_pixels + pixels[group] * all_slices

    shuffled = sorted(members, key=lambda group: _shuffle_key(seed, group))
    ranked = sorted(shuffled, key=weight, reverse=True)
    runs = [ranked[i : i + count] for i in range(0, len(ranked), count)]
    order = [group for run in runs for group in shuffled if group in run]
    tests: list[list[int]] = [[] for _ in range(count)]
    load = [0] * count
    for group in order:
        size = len(members[group])

        def increase(f: int, size: int = size, group: str = group) -> int:
            slices = len(tests[f]) * size * all_pixels**2
            return slices + load[f] * pixels[group] * all_slices**2

        lightest = min(range(count), key=increase)
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
