"""Trained runs on a dataset that they never saw: which can be tested there, and as what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmark.datasets import PreparedDataset, open_dataset
from benchmark.datasets.folds import whole
from benchmark.protocols import Protocol
from reports.words import listed
from results.record import RunRecord
from results.spec import SCORING_REVISION, RunSpec, Trained
from results.store import Store, load_records
from results.untrusted import WEIGHTS
from runners.job import Inherited, Job
from runners.plan import Plan, Resources
from runners.testable import (
    LeftOut,
    cascade_on,
    check_cascade,
    check_masks,
    check_source,
    check_truth,
    lungs_of,
    protocol_of,
    weights_of,
)
from runners.trained import Wanted, trained_runs
from zoo.errors import CovbenchError

_SHOWN = 3


@dataclass(frozen=True)
class Transfers:
    """The plan of such tests, and sentences on runs that are left out or need a word."""

    plan: Plan
    notes: tuple[str, ...]


@dataclass
class _Here:
    """The store of the trained runs, and the prepared datasets of this machine.

    Attributes:
        store: The store.
        data: The folder of the datasets.
        opened: Those that were asked for, by name and task.
        groups: Groups in the training parts of folds, by the fold's hash.
    """

    store: Store
    data: Path
    opened: dict[tuple[str, str], PreparedDataset] = field(default_factory=dict)
    groups: dict[str, frozenset[str] | None] = field(default_factory=dict)

    @cached_property
    def runs(self) -> dict[str, RunRecord]:
        """All records of the store by id, also those that are not tested themselves."""
        return {record.spec.id: record for record in load_records(self.store.root)}

    def dataset(self, name: str, task: str = "infection") -> PreparedDataset:
        """A dataset with the truth of a task, opened once."""
        if (name, task) not in self.opened:
            self.opened[name, task] = open_dataset(name, self.data, task=task)
        return self.opened[name, task]

    def trained_groups(self, spec: RunSpec, protocol: Protocol) -> frozenset[str] | None:
        """The groups in the training part of a run's fold.

        None where they can't be told: the data are not here, or lack the groups of some slices.
        """
        if spec.fold_hash not in self.groups:
            self.groups[spec.fold_hash] = self._look_up(spec, protocol)
        return self.groups[spec.fold_hash]

    def _look_up(self, spec: RunSpec, protocol: Protocol) -> frozenset[str] | None:
        try:
            dataset = self.dataset(spec.dataset, spec.task)
            folds = dataset.folds(protocol.split) if dataset.data_hash == spec.data_hash else ()
        except CovbenchError:
            return None
        for fold in folds:
            if fold.hash == spec.fold_hash and dataset.manifest.groups_known == "all":
                return frozenset(dataset.cases[place].group for place in fold.train)
        return None


def plan_transfers(
    source: Path, datasets: Sequence[str], resources: Resources, wanted: Wanted
) -> Transfers:
    """Work out which trained runs are to be tested on which datasets.

    A run is tested on all slices of a dataset, with the weights, the normalisation and the
    protocol of its training. Runs that were trained on that very dataset are left out, and so is
    what can't be tested, where something remains.

    Args:
        source: Folder of the records of the trained runs.
        datasets: Names of prepared datasets to test on.
        resources: Where the new records go, and what they may use.
        wanted: Which of the trained runs.

    Raises:
        CovbenchError: No run is left, one that is named by its id can't be tested, or a dataset is
            not prepared.
    """
    records = trained_runs(source, wanted)
    here = _Here(Store(source), resources.data)
    jobs: dict[str, Job] = {}
    left_out: dict[_Reason, list[RunRecord]] = {}
    for name in datasets:
        here.dataset(name)  # a name that nobody knows is said before all else
        for record in records:
            try:
                job = _job(record, name, resources, here)
            except LeftOut as why:
                if wanted.runs and not why.harmless:
                    raise CovbenchError(f"{record.spec.title}: {why.reason}.", why.remedy) from None
                left_out.setdefault((why.reason, why.remedy), []).append(record)
            else:
                jobs[job.spec.id] = job
    if not jobs:
        (reason, remedy), own = next(iter(left_out.items()))
        raise CovbenchError(f"None of these runs can be tested: {_of(own)}: {reason}.", remedy)
    notes = [f"Left out: {_of(own)}: {reason}." for (reason, _), own in left_out.items()]
    return Transfers(_plan(jobs, Store(resources.store)), (*notes, *_overlaps(jobs.values())))


_Reason = tuple[str, str]


def _job(record: RunRecord, name: str, resources: Resources, here: _Here) -> Job:
    """The test of a trained run on a dataset.

    Raises:
        LeftOut: There is none.
    """
    spec, store = record.spec, here.store
    check_cascade(spec)
    check_masks(spec, here.dataset(name))
    dataset = here.dataset(name, spec.task)
    check_truth(record, dataset)
    protocol = protocol_of(spec)
    check_source(store, spec)
    weights = weights_of(store, record)
    lungs = lungs_of(store, spec, here.runs if spec.needs else {})
    fold = whole(dataset.cases, dataset.manifest.groups_known)
    trained = here.trained_groups(spec, protocol)
    shared = sorted((trained or frozenset()) & {case.group for case in dataset.cases})
    known = trained is not None and dataset.manifest.groups_known == "all"
    return Job(
        spec=spec.model_copy(
            update={
                "dataset": name,
                "data_hash": dataset.data_hash,
                "fold": fold.number,
                "fold_hash": fold.hash,
                "weights": record.files[WEIGHTS],
                "trained": Trained(
                    run=spec.id,
                    dataset=spec.dataset,
                    data_hash=spec.data_hash,
                    fold=spec.fold,
                    fold_hash=spec.fold_hash,
                    lungs=lungs.files[WEIGHTS] if lungs else None,
                ),
                "cascade": cascade_on(spec, dataset),
                "needs": (),
                "scoring_revision": SCORING_REVISION,
            }
        ),
        protocol=protocol,
        store=resources.store.resolve(),
        data=resources.data.resolve(),
        plugins=resources.plugins,
        weights=weights.resolve(),
        inherited=Inherited(
            mean=record.data.mean,
            std=record.data.std,
            n_train=record.data.n_train,
            groups_disjoint=known and not shared,
            shared_groups=tuple(shared),
        ),
        lungs=store.folder(lungs.spec).resolve() if lungs else None,
        device=resources.device,
        threads=resources.threads,
    )


def _plan(jobs: dict[str, Job], store: Store) -> Plan:
    """What of it is recorded; what failed before is tried again."""
    done = {run for run, job in jobs.items() if store.read(job.spec) is not None}
    for run, job in jobs.items():
        if run not in done and (failures := store.failures(job.spec)):
            jobs[run] = job.model_copy(update={"attempt": failures[-1].attempt + 1})
    return Plan(tuple(jobs.values()), frozenset(done), frozenset())


def _overlaps(jobs: Iterable[Job]) -> list[str]:
    """Sentences on patients that runs were trained on and are tested on."""
    shared: dict[tuple[str, str], Counter[str]] = {}
    for job in jobs:
        assert job.spec.trained is not None and job.inherited is not None, "it is a transfer"
        pair = job.spec.trained.dataset, job.spec.dataset
        shared.setdefault(pair, Counter()).update(job.inherited.shared_groups)
    return [
        f"Groups of {tested} with the name of one that runs on {trained} were trained on: "
        f"{len(own)} ({_few(sorted(own))}). If these are the same patients, the scores are too "
        "high; records and reports say so."
        for (trained, tested), own in shared.items()
        if own
    ]


def _of(records: Sequence[RunRecord]) -> str:
    if len(records) == 1:
        return records[0].spec.title
    rows = list(dict.fromkeys(record.spec.row for record in records))
    return f"{len(records)} runs of {_few(rows)}"


def _few(words: Sequence[str]) -> str:
    more = len(words) - _SHOWN
    return listed([*words[:_SHOWN], *([f"{more} more"] if more > 0 else [])])
