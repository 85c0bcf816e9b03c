"""Which runs a user means: two rows, one row in two stores, rows under two protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from reports.comparison import Comparison, compare
from reports.sides import Side
from results.cases import Cases
from results.spec import RunSpec
from zoo.errors import CovbenchError, unknown

INFECTION = "infection"

T = TypeVar("T")


def of_task(found: Sequence[T], task: str | None, truth: Callable[[T], str]) -> list[T]:
    """The comparisons that are scored against what a task asks for.

    Args:
        found: The comparisons.
        task: A task; hierarchical runs are scored against the infection. None is the infection
            where some are scored against it, as a store of cascades holds their lungs, too.
        truth: What one of them is scored against.

    Raises:
        CovbenchError: There is none.
    """
    truths = sorted({truth(each) for each in found})
    if task is None and INFECTION not in truths:
        return list(found)
    wanted = INFECTION if task in (None, "hierarchical") else task
    if wanted not in truths:
        raise unknown("task", str(task), truths, ", ".join(truths))
    return [each for each in found if truth(each) == wanted]


@dataclass(frozen=True, eq=False)
class Place:
    """Where rows can be compared: runs of one store on the same data under the same settings."""

    comparison: Comparison
    cases: Cases

    @property
    def spec(self) -> RunSpec:
        """The spec of any of the runs, for what they share."""
        return self.comparison.spec

    @property
    def protocol(self) -> str:
        """The protocol's name with its changes: `smoke with optim.epochs=30`."""
        changes = ", ".join(self.comparison.changes)
        return f"{self.spec.protocol} with {changes}" if changes else self.spec.protocol

    @property
    def rows(self) -> list[str]:
        """The rows that have finished runs here."""
        return [entry.label for entry in self.comparison.entries if entry.records]

    def side(self, row: str, label: str | None = None) -> Side | None:
        """The finished runs of a row, or None where it has none here."""
        for entry in self.comparison.entries:
            if entry.label == row and entry.records:
                left_out = tuple(
                    run
                    for run in self.cases.left_out
                    if run.spec is None or self._would_hold(run.spec, entry.records[0].spec.row)
                )
                return Side(label or row, entry.records, self.cases.frame, left_out)
        return None

    def _would_hold(self, spec: RunSpec, row: str) -> bool:
        """Whether a run of this spec would be one of a row's here."""
        same = (spec.data_hash, spec.settings) == (self.spec.data_hash, self.spec.settings)
        return same and spec.row == row and spec.trained is None and spec.inner is None

    def __str__(self) -> str:
        what = "" if self.spec.truth == INFECTION else f", {self.spec.truth}"
        return f"{self.spec.dataset}, {self.protocol}{what}"


def places_of(
    cases: Cases, folder: Path, data: str | None = None, protocol: str | None = None
) -> list[Place]:
    """Where the rows of a store can be compared.

    Args:
        cases: The per-image scores of the store.
        folder: Its folder, for errors.
        data: Name of the one dataset.
        protocol: Name of the one protocol, with its changes or without.

    Raises:
        CovbenchError: There is no such place.
    """
    found = [Place(each, cases) for each in compare(cases.records)]
    if not found:
        lost = f" {cases.left_out[0].path}: {cases.left_out[0].reason}." if cases.left_out else ""
        raise CovbenchError(
            f"There are no per-image scores of what is asked for below {folder}.{lost}",
            "Start some runs: covbench run --out FOLDER",
        )
    datasets = sorted({each.spec.dataset for each in found})
    if data is not None:
        found = [each for each in found if each.spec.dataset == data]
        if not found:
            raise unknown("dataset", data, datasets, ", ".join(datasets))
    return found if protocol is None else under(found, protocol)


def under(found: Sequence[Place], protocol: str) -> list[Place]:
    """The places under a protocol, named with its changes or without."""
    own = [each for each in found if protocol in (each.spec.protocol, each.protocol)]
    if not own:
        known = sorted({each.protocol for each in found})
        raise unknown("protocol", protocol, known, ", ".join(known))
    return own


def one_place(found: Sequence[Place]) -> Place:
    """The one place where all rows are compared.

    Raises:
        CovbenchError: There are several.
    """
    if len(found) > 1:
        raise _several("these rows", found)
    return found[0]


def two_rows(found: Sequence[Place], first: str, second: str) -> tuple[Side, Side]:
    """Two rows that stand in one table.

    Raises:
        CovbenchError: A name is no row, both are the same, or they share none or several tables.
    """
    _check_rows(found, (first, second))
    if first == second:
        raise CovbenchError(f"{first} is compared with itself.", "Name two different rows.")
    both = []
    for each in found:
        one, other = each.side(first), each.side(second)
        if one and other:
            both.append((each, one, other))
    if len(both) > 1:
        raise _several(f"{first} and {second}", [each for each, _, _ in both])
    if not both:
        places = [
            f"{row} under {' and '.join(str(each) for each in found if row in each.rows)}"
            for row in (first, second)
        ]
        raise CovbenchError(
            f"{first} and {second} share no data and protocol: {'; '.join(places)}.",
            "Run both under one; or compare one row under two with --protocols P1,P2.",
        )
    return both[0][1:]


def two_stores(
    first: Sequence[Place],
    second: Sequence[Place],
    folders: tuple[Path, Path],
    row: str | None = None,
) -> tuple[Side, Side]:
    """One row that two stores hold, on the same data; under the same settings where both have them.

    Raises:
        CovbenchError: They hold none or several such rows.
    """
    common = sorted({r for each in first for r in each.rows} & {r for o in second for r in o.rows})
    if row is None and len(common) != 1:
        raise CovbenchError(
            f"{folders[0]} and {folders[1]} share {len(common)} rows.",
            f"Choose one with --models: {', '.join(common)}"
            if common
            else "Name two stores that hold runs of the same network.",
        )
    row = row or common[0]
    for own in (first, second):
        _check_rows(own, (row,))
    pairs = [
        (one, other)
        for one, other in product(first, second)
        if _same_data(one, other) and row in one.rows and row in other.rows
    ]
    alike = [pair for pair in pairs if pair[0].spec.settings == pair[1].spec.settings]
    pairs = alike or pairs
    if not pairs:
        raise CovbenchError(
            f"{row} is not scored on the same data in {folders[0]} and {folders[1]}.",
            "Run it on the same prepared dataset in both.",
        )
    if len(pairs) > 1:
        raise _several(row, [each for pair in pairs for each in pair])
    one, other = (
        place.side(row, f"{row} in {folder}")
        for place, folder in zip(pairs[0], folders, strict=True)
    )
    assert one is not None and other is not None, "the pairs are of places that have the row"
    return one, other


def two_protocols(found: Sequence[Place], first: str, second: str) -> tuple[Place, Place]:
    """The runs under two protocols on the same data.

    Raises:
        CovbenchError: A name is no protocol of the store, or they share none or several datasets.
    """
    own = [under(found, name) for name in (first, second)]
    pairs = [
        (one, other) for one, other in product(*own) if one is not other and _same_data(one, other)
    ]
    if not pairs:
        raise CovbenchError(
            f"{first} and {second} are not two protocols on the same data.",
            f"This store holds: {'; '.join(dict.fromkeys(map(str, found)))}.",
        )
    if len(pairs) > 1:
        raise _several("these protocols", [each for pair in pairs for each in pair])
    return pairs[0]


def _same_data(one: Place, other: Place) -> bool:
    return (one.spec.data_hash, one.spec.truth) == (other.spec.data_hash, other.spec.truth)


def _check_rows(found: Sequence[Place], rows: Sequence[str]) -> None:
    """Refuse a name that no row has."""
    known = {row for each in found for row in each.rows}
    for row in rows:
        if row not in known:
            raise unknown("row", row, known, ", ".join(sorted(known)))


def _several(what: str, found: Sequence[Place]) -> CovbenchError:
    places = dict.fromkeys(map(str, found))
    return CovbenchError(
        f"There are several comparisons of {what}: {'; '.join(places)}.",
        "Choose one with --data, --protocol and --task; a changed protocol is named with its "
        "changes.",
    )
