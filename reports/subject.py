"""One comparison of a store, read once: what its tables, figures and page are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports.analysis import Analysis, analyse
from reports.chosen import Place
from reports.comparison import Comparison, Entry, compare
from results.cases import Cases, read_cases
from results.machines import MachineProfile
from results.record import Failure, RunRecord
from results.store import Damaged, Store
from zoo.errors import CovbenchError, unknown


@dataclass(frozen=True, eq=False)
class Subject:
    """Runs on one dataset under one protocol.

    Attributes:
        root: The folder of the store.
        comparison: All finished and failed runs, by row.
        analysis: What the per-image scores say of the rows that have every run.
        machine: A profile of the networks' speed, where one was chosen.
        mark: What tells it from another of the same name: other data, or another revision.
    """

    root: Path
    comparison: Comparison
    analysis: Analysis
    machine: MachineProfile | None = None
    mark: str = ""

    @property
    def name(self) -> str:
        """Dataset and protocol in a file's name: `phantom-smoke`."""
        spec = self.comparison.spec
        parts = [spec.dataset, spec.protocol, *self.comparison.changes]
        if spec.truth != "infection":
            parts.append(spec.truth)
        if self.mark:
            parts.append(self.mark)
        return slug("-".join(parts))

    def entry(self, row: str) -> Entry | None:
        """The runs of a row, by its label."""
        return next((each for each in self.comparison.entries if each.label == row), None)


@dataclass(frozen=True, eq=False)
class Holdings:
    """What a store holds.

    Attributes:
        root: Its folder.
        subjects: Its comparisons, by dataset, protocol and truth.
        records: All valid records.
        failures: The last failure of each run that has no record.
        damaged: Records that can't be read.
        cases: Its per-image scores, with the runs whose file can't be used.
    """

    root: Path
    subjects: tuple[Subject, ...]
    records: tuple[RunRecord, ...]
    failures: tuple[Failure, ...]
    damaged: tuple[Damaged, ...]
    cases: Cases


def read_holdings(root: Path, machine: MachineProfile | None = None) -> Holdings:
    """Read a store: records, failures, per-image scores.

    Args:
        root: The folder of the store.
        machine: A profile of the networks' speed, for what is shown of it.

    Returns:
        Everything that reports are made of; files that are damaged are named in it.
    """
    store = Store(root)
    found = list(store.found())  # thousands are read once
    records = tuple(each for _, each in found if isinstance(each, RunRecord))
    recorded = {folder for folder, each in found if isinstance(each, RunRecord)}
    failures = tuple(store.all_failures(recorded))
    cases = read_cases(root, found=found)
    subjects = _subjects(root, records, failures, cases, machine)
    damaged = tuple(each for _, each in found if isinstance(each, Damaged))
    return Holdings(root, subjects, records, failures, damaged, cases)


def merge(first: Holdings, second: Holdings, machine: MachineProfile | None = None) -> Holdings:
    """Two stores as one; a run that both hold counts once, as the first has it."""
    import pandas as pd

    known = {record.spec.id for record in first.records}
    records = first.records + tuple(r for r in second.records if r.spec.id not in known)
    failures = first.failures + second.failures
    scored = {record.spec.id for record in first.cases.records}
    frame = second.cases.frame
    added = frame[~frame["run"].isin(scored)]
    cases = Cases(
        pd.concat([first.cases.frame, added], ignore_index=True),
        first.cases.records + tuple(r for r in second.cases.records if r.spec.id not in scored),
        first.cases.left_out + second.cases.left_out,
    )
    subjects = _subjects(first.root, records, failures, cases, machine)
    return Holdings(first.root, subjects, records, failures, first.damaged + second.damaged, cases)


def _subjects(
    root: Path,
    records: tuple[RunRecord, ...],
    failures: tuple[Failure, ...],
    cases: Cases,
    machine: MachineProfile | None,
) -> tuple[Subject, ...]:
    places = {each.key: Place(each, cases) for each in compare(cases.records)}
    found = []
    for comparison in compare(records, failures):
        place = places.get(comparison.key)
        nothing = Analysis(Place(Comparison(comparison.spec, ()), cases), ())
        found.append(Subject(root, comparison, analyse(place) if place else nothing, machine))
    names = Counter(each.name for each in found)
    return tuple(
        replace(each, mark=each.comparison.key[:8]) if names[each.name] > 1 else each
        for each in found
    )


def one_subject(
    subjects: Sequence[Subject], root: Path, data: str | None, protocol: str | None
) -> Subject:
    """The one comparison of a store that is meant.

    Args:
        subjects: All of them.
        root: The folder of the store, for errors.
        data: Name of the dataset.
        protocol: Name of the protocol, with its changes or without.

    Raises:
        CovbenchError: There is none, or there are several.
    """
    found = [each for each in subjects if each.comparison.records]
    if not found:
        raise CovbenchError(
            f"There are no finished runs below {root}.", "Start some: covbench run --out FOLDER"
        )
    datasets = sorted({each.comparison.spec.dataset for each in found})
    if data is not None and data not in datasets:
        raise unknown("dataset", data, datasets, ", ".join(datasets))
    found = [each for each in found if data in (None, each.comparison.spec.dataset)]
    protocols = {each.analysis.place.protocol for each in found}
    if protocol is not None:
        found = [
            each
            for each in found
            if protocol in (each.comparison.spec.protocol, each.analysis.place.protocol)
        ]
        if not found:
            raise unknown("protocol", protocol, protocols, ", ".join(sorted(protocols)))
    if len(found) > 1:
        places = dict.fromkeys(str(each.analysis.place) for each in found)
        raise CovbenchError(
            f"There are several comparisons below {root}: {'; '.join(places)}.",
            "Choose one with --data and --protocol; a changed protocol is named with its changes.",
        )
    return found[0]


def slug(text: str) -> str:
    """A text as part of a file's name or of a label in LaTeX."""
    import re

    return re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")
