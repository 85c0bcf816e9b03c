"""One comparison of a store, read once: what its tables, figures and page are made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reports.analysis import Analysis, analyse
from reports.chosen import Place, of_task
from reports.comparison import Comparison, Entry, compare
from results.cases import Cases, cases_name, read_cases
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
        by_class: The same as `analysis` for every target but the first, where classes are scored.
    """

    root: Path
    comparison: Comparison
    analysis: Analysis
    machine: MachineProfile | None = None
    mark: str = ""
    by_class: Mapping[str, Analysis] = field(default_factory=dict)

    def of(self, target: str) -> Subject:
        """The same, with what the per-image scores say of one target."""
        if target == self.comparison.targets[0]:
            return self
        return replace(self, analysis=self.by_class[target])

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
        class_cases: Those of each class, by its name, where several are scored.
    """

    root: Path
    subjects: tuple[Subject, ...]
    records: tuple[RunRecord, ...]
    failures: tuple[Failure, ...]
    damaged: tuple[Damaged, ...]
    cases: Cases
    class_cases: Mapping[str, Cases] = field(default_factory=dict)


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
    class_cases = {
        target: read_cases(root, found=having, target=target)
        for target, having in _tables_of_classes(found).items()
    }
    subjects = _subjects(root, records, failures, cases, class_cases, machine)
    damaged = tuple(each for _, each in found if isinstance(each, Damaged))
    return Holdings(root, subjects, records, failures, damaged, cases, class_cases)


def _tables_of_classes(
    found: Sequence[tuple[Path, RunRecord | Damaged]],
) -> dict[str, list[tuple[Path, RunRecord | Damaged]]]:
    """The runs that kept per-image scores of each class, by its name."""
    having: dict[str, list[tuple[Path, RunRecord | Damaged]]] = defaultdict(list)
    for folder, record in found:
        if isinstance(record, RunRecord):
            targets = list(record.scores)
            for target in targets[1:]:
                if cases_name(targets, target) in record.files:
                    having[target].append((folder, record))
    return having


def merge(first: Holdings, second: Holdings, machine: MachineProfile | None = None) -> Holdings:
    """Two stores as one; a run that both hold counts once, as the first has it."""
    known = {record.spec.id for record in first.records}
    records = first.records + tuple(r for r in second.records if r.spec.id not in known)
    failures = first.failures + second.failures
    cases = _joined(first.cases, second.cases)
    class_cases = {**second.class_cases, **first.class_cases}
    for target in first.class_cases.keys() & second.class_cases.keys():
        class_cases[target] = _joined(first.class_cases[target], second.class_cases[target])
    subjects = _subjects(first.root, records, failures, cases, class_cases, machine)
    damaged = first.damaged + second.damaged
    return Holdings(first.root, subjects, records, failures, damaged, cases, class_cases)


def _joined(first: Cases, second: Cases) -> Cases:
    import pandas as pd

    scored = {record.spec.id for record in first.records}
    added = second.frame[~second.frame["run"].isin(scored)]
    return Cases(
        pd.concat([first.frame, added], ignore_index=True),
        first.records + tuple(r for r in second.records if r.spec.id not in scored),
        first.left_out + second.left_out,
    )


def _subjects(
    root: Path,
    records: tuple[RunRecord, ...],
    failures: tuple[Failure, ...],
    cases: Cases,
    class_cases: Mapping[str, Cases],
    machine: MachineProfile | None,
) -> tuple[Subject, ...]:
    of_all = _Analyses.of(cases)
    of_class = {target: _Analyses.of(each) for target, each in class_cases.items()}
    found = []
    for comparison in compare(records, failures):
        by_class = {
            target: of_class.get(target, _Analyses(cases, {})).of_comparison(comparison)
            for target in comparison.targets[1:]
        }
        analysis = of_all.of_comparison(comparison)
        found.append(Subject(root, comparison, analysis, machine, by_class=by_class))
    names = Counter(each.name for each in found)
    return tuple(
        replace(each, mark=each.comparison.key[:8]) if names[each.name] > 1 else each
        for each in found
    )


@dataclass(frozen=True, eq=False)
class _Analyses:
    """The comparisons that some per-image scores make, by key."""

    cases: Cases
    places: Mapping[str, Place]

    @classmethod
    def of(cls, cases: Cases) -> _Analyses:
        return cls(cases, {each.key: Place(each, cases) for each in compare(cases.records)})

    def of_comparison(self, comparison: Comparison) -> Analysis:
        """What they say of the rows of a comparison; nothing where none of its runs has any."""
        place = self.places.get(comparison.key)
        if place is None:
            return Analysis(Place(Comparison(comparison.spec, ()), self.cases), ())
        return analyse(place)


def one_subject(
    subjects: Sequence[Subject],
    root: Path,
    data: str | None,
    protocol: str | None,
    task: str | None,
) -> Subject:
    """The one comparison of a store that is meant.

    Args:
        subjects: All of them.
        root: The folder of the store, for errors.
        data: Name of the dataset.
        protocol: Name of the protocol, with its changes or without.
        task: See `of_task`.

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
    found = of_task(found, task, lambda each: each.comparison.spec.truth)
    if len(found) > 1:
        places = dict.fromkeys(str(each.analysis.place) for each in found)
        raise CovbenchError(
            f"There are several comparisons below {root}: {'; '.join(places)}.",
            "Choose one with --data, --protocol and --task; a changed protocol is named with its "
            "changes.",
        )
    return found[0]


def slug(text: str) -> str:
    """A text as part of a file's name or of a label in LaTeX."""
    import re

    return re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")
