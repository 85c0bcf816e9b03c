"""Which runs may stand in one table: the same data, protocol and truth, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from benchmark.protocols import Protocol
from reports.words import without_control
from results.record import Failure, RunRecord
from results.spec import RunSpec, canonical_json, sha256
from zoo.errors import CovbenchError

Unit = tuple[int, str, int]
"""Number and hash of a fold, and a seed."""


@dataclass(frozen=True)
class Entry:
    """The runs of one row, done and failed."""

    label: str
    records: tuple[RunRecord, ...]
    failures: tuple[Failure, ...]

    @property
    def specs(self) -> list[RunSpec]:
        """The specs of all of them."""
        done = [record.spec for record in self.records]
        return done + [failure.spec for failure in self.failures]


@dataclass(frozen=True)
class Comparison:
    """Runs whose scores are comparable, by row.

    Attributes:
        spec: The spec of any of them, for what they share.
        entries: The rows, by label.
    """

    spec: RunSpec
    entries: tuple[Entry, ...]

    @property
    def key(self) -> str:
        """What its runs share, as a hash: data, truth, settings, revisions."""
        return _shared(self.spec)

    @property
    def records(self) -> list[RunRecord]:
        """All finished runs."""
        return [record for entry in self.entries for record in entry.records]

    @property
    def wanted(self) -> list[Unit]:
        """Every fold and seed that some row was run on: a whole row has them all."""
        specs = [spec for entry in self.entries for spec in entry.specs]
        return sorted({(spec.fold, spec.fold_hash, spec.seed) for spec in specs})

    @property
    def targets(self) -> list[str]:
        """What was segmented; where every run failed, the task's name stands for it."""
        found = dict.fromkeys(target for record in self.records for target in record.scores)
        return list(found) or [self.spec.truth]

    @cached_property
    def protocol(self) -> Protocol | None:
        """The protocol, or None where the settings are those of another version of covbench."""
        try:
            settings = {**self.spec.settings, "name": self.spec.protocol}
            return Protocol.model_validate_json(canonical_json(settings))
        except (ValidationError, CovbenchError):
            return None

    @property
    def changes(self) -> list[str]:
        """What differs from the shipped protocol, as `optim.epochs=30`."""
        return self.protocol.changes if self.protocol else []


def compare(records: Iterable[RunRecord], failures: Iterable[Failure] = ()) -> list[Comparison]:
    """Sort runs into comparisons.

    The data's hash, the truth that is scored against, all settings and the revisions of the code
    that trains and scores decide, whatever dataset and protocol are called: infection found
    directly and infection found inside the lungs stand side by side. A run counts once, however
    often it was copied, and its failures don't where it is recorded. Tests of runs on other data
    than they were trained on are in no comparison: see `reports.transfer`.

    Args:
        records: Finished runs.
        failures: Failed ones.

    Returns:
        The comparisons by dataset, protocol and truth. In each, networks of one label that are not
        the same, such as before and after a change of the source, are rows of their own.
    """
    done = {record.spec.id: record for record in records}
    open_ = {run.spec.id: run for run in failures if run.spec.id not in done}
    groups: dict[str, list[RunRecord | Failure]] = defaultdict(list)
    runs: list[RunRecord | Failure] = [*done.values(), *open_.values()]
    for run in runs:
        if run.spec.inner is not None:
            continue  # it serves a cascade, and tested none of the fold's test images
        if run.spec.trained is not None:
            continue
        groups[_shared(run.spec)].append(run)
    found = [Comparison(group[0].spec, _entries(group)) for group in groups.values()]
    return sorted(found, key=lambda each: _sort_key(each.spec))


def _shared(spec: RunSpec) -> str:
    parts: list[object] = [spec.data_hash, spec.truth, spec.settings]
    if spec.trained is not None:
        parts.append(spec.trained.data_hash)
    return sha256(canonical_json([*parts, spec.training_revision, spec.scoring_revision]))


def _network(spec: RunSpec) -> str:
    """What makes runs with one label the same row, as a hash."""
    parts = [spec.model, spec.options, spec.weights, spec.source]
    if spec.cascade is not None:
        parts.append(spec.cascade.model_dump(mode="json"))
    return sha256(canonical_json(parts))


def _sort_key(spec: RunSpec) -> tuple[str, ...]:
    return spec.dataset, spec.protocol, spec.truth, _shared(spec)


def _entries(runs: Iterable[RunRecord | Failure]) -> tuple[Entry, ...]:
    variants: dict[str, dict[str, list[RunRecord | Failure]]] = defaultdict(dict)
    for run in runs:
        spec = run.spec
        identity = _network(spec)
        variants[without_control(spec.row)].setdefault(identity, []).append(run)
    entries = []
    for label, by_identity in variants.items():
        for identity, own in by_identity.items():
            shown = label if len(by_identity) == 1 else f"{label} (variant {identity[:8]})"
            done = sorted(
                (run for run in own if isinstance(run, RunRecord)),
                key=lambda run: (run.spec.fold, run.spec.seed),
            )
            failed = tuple(run for run in own if isinstance(run, Failure))
            entries.append(Entry(shown, tuple(done), failed))
    return tuple(sorted(entries, key=lambda entry: entry.label))
