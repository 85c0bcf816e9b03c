"""Trained runs on a dataset that they never saw: which can be tested there, and as what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.datasets import PreparedDataset, open_dataset
from benchmark.datasets.folds import whole
from benchmark.protocols import Protocol
from reports.comparison import Comparison
from reports.words import listed
from results.files import sha256_file
from results.record import RunRecord
from results.spec import SCORING_REVISION, RunSpec, Trained
from results.store import Store
from results.untrusted import WEIGHTS
from runners.job import Inherited, Job
from runners.plan import Plan, Resources
from runners.trained import Wanted, trained_runs
from zoo.errors import CovbenchError
from zoo.registry import get_card
from zoo.source import source_hash

TASKS = ("infection", "lung")
"""What can be tested on another dataset."""

_SHOWN = 3


@dataclass(frozen=True)
class Transfers:
    """The plan of such tests, and sentences on runs that are left out or need a word."""

    plan: Plan
    notes: tuple[str, ...]


class _LeftOut(Exception):
    """A run can't be tested on a dataset: a reason that goes for others too, and a remedy."""

    def __init__(self, reason: str, remedy: str, *, harmless: bool = False) -> None:
        self.reason = reason
        self.remedy = remedy
        self.harmless = harmless


@dataclass
class _Here:
    """The prepared datasets of this machine, each opened once.

    Attributes:
        data: Their folder.
        opened: Those that were asked for, by name and task.
        groups: Groups in the training parts of folds, by the fold's hash.
    """

    data: Path
    opened: dict[tuple[str, str], PreparedDataset] = field(default_factory=dict)
    groups: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def dataset(self, name: str, task: str = "infection") -> PreparedDataset:
        """A dataset with the truth of a task."""
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
    here = _Here(resources.data)
    jobs: dict[str, Job] = {}
    left_out: dict[_Reason, list[RunRecord]] = {}
    store = Store(source)
    for name in datasets:
        here.dataset(name)  # a name that nobody knows is said before all else
        for record in records:
            try:
                job = _job(store, record, name, resources, here)
            except _LeftOut as why:
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


def _job(store: Store, record: RunRecord, name: str, resources: Resources, here: _Here) -> Job:
    """The test of a trained run on a dataset.

    Raises:
        _LeftOut: There is none.
    """
    spec = record.spec
    dataset = _dataset(spec, name, here)
    protocol = _protocol(spec)
    _check_source(store, spec)
    weights = _weights(store, record)
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
                ),
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
        device=resources.device,
        threads=resources.threads,
    )


def _dataset(spec: RunSpec, name: str, here: _Here) -> PreparedDataset:
    if spec.task not in TASKS:
        raise _LeftOut(
            f"the task {spec.task} can't be tested on another dataset yet",
            f"Choose runs of these tasks: {', '.join(TASKS)}.",
        )
    dataset = here.dataset(name)
    if spec.task not in dataset.manifest.tasks:
        raise _LeftOut(
            f"{name} has masks for {', '.join(dataset.manifest.tasks)}, not for {spec.task}",
            "Choose another dataset with --data, or prepare it with such masks.",
        )
    dataset = here.dataset(name, spec.task)
    if dataset.data_hash == spec.data_hash:
        raise _LeftOut(
            f"trained on {name} itself",
            "Give another dataset with --data.",
            harmless=True,
        )
    return dataset


def _protocol(spec: RunSpec) -> Protocol:
    protocol = Comparison(spec, ()).protocol
    if protocol is None or protocol.canonical() != spec.settings:
        raise _LeftOut(
            "its protocol is that of another version of covbench",
            "Use the version that its record names.",
        )
    return protocol


def _check_source(store: Store, spec: RunSpec) -> None:
    """A network is what its code says: the weights alone are not it."""
    try:
        source = source_hash(get_card(spec.model))
    except CovbenchError as error:
        kept = next(store.folder(spec).glob("*.py"), None)
        raise _LeftOut(
            f"there is no network {spec.model} here",
            f"Name the file that it is in: --models {kept}" if kept else error.remedy,
        ) from None
    if source != spec.source:
        raise _LeftOut(
            "the network's source changed since it was trained",
            "Use the version of covbench or of the file that it was trained with, or train again.",
        )


def _weights(store: Store, record: RunRecord) -> Path:
    """The weights that a run kept, checked."""
    path = store.folder(record.spec) / WEIGHTS
    expected = record.files.get(WEIGHTS)
    if expected is None:
        raise _LeftOut(
            "no weights were kept",
            "Train again so that they are: covbench run ... --set keep=both --force",
        )
    if not path.is_file():
        raise _LeftOut(f"its {WEIGHTS} is gone", "Put the file back, or train it again.")
    if sha256_file(path) != expected:
        raise _LeftOut(
            f"its {WEIGHTS} is not the one of its record", "Put the file back, or train it again."
        )
    return path


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
