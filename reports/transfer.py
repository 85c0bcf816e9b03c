"""Runs on datasets that their networks never saw: sorted into what is trained on and tested on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from reports.comparison import Comparison
from reports.subject import slug
from results.record import RunRecord
from results.spec import RunSpec, canonical_json, sha256
from results.untrusted import WEIGHTS


@dataclass(frozen=True)
class Transfer:
    """One network under one protocol: its runs on their own data, and tests of them on others.

    Attributes:
        spec: The spec of any of its tests.
        own: The runs that were trained, by the hash of their data.
        tests: Their tests, by the hash of the data trained on and that of the data tested on.
        stale: How many tests are left out, since their run was trained again.
        names: Names of the data by their hash, each of its own.
    """

    spec: RunSpec
    own: Mapping[str, tuple[RunRecord, ...]]
    tests: Mapping[tuple[str, str], tuple[RunRecord, ...]]
    stale: int
    names: Mapping[str, str]

    @property
    def name(self) -> str:
        """What findings and files call it."""
        parts = [self.spec.row, self.spec.protocol, *self.comparison.changes]
        return slug("-".join(["transfer", *parts, self.identity]))

    @property
    def identity(self) -> str:
        """What tells it from another of the same label."""
        return _network(self.spec)[:8]

    def holds(self, spec: RunSpec) -> bool:
        """Whether a run is of this network and protocol."""
        return _network(spec) == _network(self.spec)

    @cached_property
    def comparison(self) -> Comparison:
        """Its protocol, with what was changed of it."""
        return Comparison(self.spec, ())

    @property
    def trained_on(self) -> list[str]:
        """Hashes of the data that its runs were trained on, by name."""
        return self._by_name({trained for trained, _ in self.tests})

    @property
    def tested_on(self) -> list[str]:
        """Hashes of the data of all columns: what was trained on stands before what was not."""
        rows = self.trained_on
        return [*rows, *self._by_name({tested for _, tested in self.tests} - set(rows))]

    @property
    def records(self) -> list[RunRecord]:
        """All tests."""
        return [record for own in self.tests.values() for record in own]

    def _by_name(self, hashes: Iterable[str]) -> list[str]:
        return sorted(hashes, key=lambda each: self.names[each])


def transfers(records: Iterable[RunRecord]) -> tuple[Transfer, ...]:
    """The tests on other datasets among some runs, by network and protocol.

    Args:
        records: All runs of a store.

    Returns:
        One entry for each network, task and settings that has such tests, by row and protocol. Of
        a run whose weights were trained again, only the tests of the present weights count.
    """
    known = {record.spec.id: record for record in records}
    weights = {run: record.files.get(WEIGHTS) for run, record in known.items()}
    groups: dict[str, list[RunRecord]] = defaultdict(list)
    for record in known.values():
        if record.spec.inner is not None:
            continue  # it serves a cascade, and tested none of the fold's test images
        if record.spec.trained is not None or record.training is not None:
            groups[_network(record.spec)].append(record)
    found = [_transfer(group, weights) for group in groups.values()]
    tested = [each for each in found if each is not None]
    return tuple(
        sorted(tested, key=lambda each: (each.spec.row, each.spec.protocol, each.spec.task))
    )


def _network(spec: RunSpec) -> str:
    """What tests on several datasets share: the network, and all rules but the data."""
    parts = (spec.model, spec.options, spec.source, spec.task, spec.settings)
    revisions = (spec.training_revision, spec.scoring_revision)
    return sha256(canonical_json([*parts, *revisions, *_cascade(spec)]))


def _cascade(spec: RunSpec) -> list[dict[str, object]]:
    """How lungs reach the network of a cascade; true ones are those of each dataset."""
    if spec.cascade is None:
        return []
    rule = spec.cascade.model_dump(mode="json")
    return [rule | ({"lung_source": ""} if spec.cascade.lungs == "truth" else {})]


def _transfer(records: list[RunRecord], weights: Mapping[str, str | None]) -> Transfer | None:
    """The tests of one network; `weights` are the present ones of every run of the store."""
    own: dict[str, list[RunRecord]] = defaultdict(list)
    tests: dict[tuple[str, str], list[RunRecord]] = defaultdict(list)
    lung_runs: dict[str, str] = {}
    for record in records:
        if record.spec.trained is None:
            own[record.spec.data_hash].append(record)
            if record.spec.needs:
                lung_runs[record.spec.id] = record.spec.needs[0]
    stale = 0
    for record in sorted(records, key=lambda each: each.finished):
        trained = record.spec.trained
        if trained is None:
            continue
        present = weights.get(trained.run), weights.get(lung_runs.get(trained.run, ""))
        given = record.spec.weights, trained.lungs
        if any(now and now != then for now, then in zip(present, given, strict=True)):
            stale += 1
            continue
        tests[trained.data_hash, record.spec.data_hash].append(record)
    if not tests:
        return None
    for key, several in tests.items():  # where the run itself is not here, its last test counts
        last = {_run(each): each for each in several}
        stale += len(several) - len(last)
        tests[key] = sorted(last.values(), key=_order)
    return Transfer(
        spec=next(iter(tests.values()))[0].spec,
        own={key: tuple(sorted(each, key=_order)) for key, each in own.items()},
        tests={key: tuple(each) for key, each in tests.items()},
        stale=stale,
        names=_names(records),
    )


def _run(test: RunRecord) -> str:
    assert test.spec.trained is not None, "it is a test on another dataset"
    return test.spec.trained.run


def _order(record: RunRecord) -> tuple[int, int]:
    trained = record.spec.trained
    return (trained.fold if trained else record.spec.fold), record.spec.seed


def _names(records: Iterable[RunRecord]) -> dict[str, str]:
    """Names of the data; of several under one name, each with the beginning of its hash."""
    names: dict[str, str] = {}
    for record in records:
        names[record.spec.data_hash] = record.spec.dataset
        if record.spec.trained is not None:
            names.setdefault(record.spec.trained.data_hash, record.spec.trained.dataset)
    taken = list(names.values())
    return {
        key: name if taken.count(name) == 1 else f"{name} {key[:8]}" for key, name in names.items()
    }
