"""The plan: which runs a command asks for, and which of them are still to do."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.datasets import Fold, PreparedDataset, open_dataset
from benchmark.protocols import Protocol
from results.files import parse_json, sha256_file, write_atomically
from results.index import Known, known_records
from results.predictions import predicted_ids
from results.spec import RunSpec
from results.store import Store
from runners.job import Job
from runners.stages import HIERARCHICAL, Ask, Place, check_ask, serving
from runners.weights import encoder_name
from zoo.errors import CovbenchError, one_line
from zoo.limits import read_limited
from zoo.registry import get_card
from zoo.selection import Row
from zoo.source import source_hash

_PLAN = "plan.json"


_DIRECT = Ask()


@dataclass(frozen=True)
class Resources:
    """Where runs find their parts on this machine, and what each may use of it."""

    store: Path
    data: Path
    plugins: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = 1
    deterministic: bool = False
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All runs of a command, in order, and what the store says of them.

    Attributes:
        jobs: Every run that was asked for.
        done: Ids of those that have a record.
        failed: Ids of those that failed before and are not to be tried again.
        notes: What was asked for and is not applicable, a sentence each.
        again: Lung runs that have a record, and must be run again for the sake of their
            predictions, which a cascade that is still to do takes.
    """

    jobs: tuple[Job, ...]
    done: frozenset[str]
    failed: frozenset[str]
    notes: tuple[str, ...] = ()
    again: tuple[Job, ...] = ()

    @property
    def todo(self) -> tuple[Job, ...]:
        """The runs that are missing."""
        settled = self.done | self.failed
        return tuple(job for job in self.jobs if job.spec.id not in settled)


def make_plan(
    rows: Sequence[Row],
    datasets: Sequence[str],
    protocol: Protocol,
    resources: Resources,
    *,
    ask: Ask = _DIRECT,
    joined: Sequence[Row] = (),
    folds: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    weights: Path | None = None,
    retry_failed: bool = False,
    force: bool = False,
) -> Plan:
    """Work out the runs of a command.

    Args:
        rows: Networks with their options.
        datasets: Names of prepared datasets.
        protocol: The settings.
        resources: Folders and device.
        ask: What is to be segmented, and how.
        joined: Networks that are run as cascades, whatever the task.
        folds: Numbers of folds; None for the protocol's own.
        seeds: Seeds; None for the protocol's own.
        weights: A weights file to score instead of training.
        retry_failed: Whether runs that failed before are to be tried again.
        force: Whether all are to be done, as if nothing was recorded.

    Returns:
        The plan: a run comes after those that it needs. Of the same row, fold and seed there is
        one run.

    Raises:
        CovbenchError: A dataset is not prepared, or lacks a fold, or none serves the task.
    """
    check_ask(ask, protocol)
    store = Store(resources.store)
    second = [(row, ask.task) for row in rows]
    second += [pair for row in joined if (pair := (row, HIERARCHICAL)) not in second]
    networks = {*(row for row, _ in second), *([ask.lung] if ask.lung else [])}
    sources = {row.name: source_hash(get_card(row.name)) for row in networks}
    encoders = {row: _encoder_file(row) for row in networks}
    weights_hash = sha256_file(weights) if weights else None
    made = _Jobs(protocol, resources, encoders, weights, weights_hash, {})
    opened = [open_dataset(name, resources.data, window=protocol.input.window) for name in datasets]
    lacks = serving(opened, list(dict.fromkeys(task for _, task in second)))
    for dataset in opened:
        by_number = {fold.number: fold for fold in dataset.folds(protocol.split)}
        for fold in _chosen_folds(dataset, by_number, folds or protocol.split.run_folds):
            for seed in seeds or protocol.split.seeds:
                place = Place(dataset, by_number[fold], protocol, seed, sources)
                for row, task in second:
                    if task not in lacks[dataset.name]:
                        made.add(place, row, task, ask)
    jobs = made.by_id
    lines = [
        f"{name} can't serve {', '.join(lacking)}: left out."
        for name, lacking in lacks.items()
        if lacking
    ]
    if force:
        return Plan(tuple(jobs.values()), frozenset(), frozenset(), tuple(lines))
    done, failed = set(), set()
    recorded = known_records(resources.store)
    for run_id, job in jobs.items():
        known = recorded.get(store.folder(job.spec))
        if isinstance(known, Known) and known.id == run_id:
            done.add(run_id)
        elif failures := store.failures(job.spec):
            jobs[run_id] = job.model_copy(update={"attempt": failures[-1].attempt + 1})
            if not retry_failed:
                failed.add(run_id)
    again = _without_lungs(jobs, done, failed, store, opened)
    lines += [
        f"{job.spec.title} is run again: it left no predictions here, which a cascade needs."
        for job in again
    ]
    return Plan(
        tuple(jobs.values()),
        frozenset(done - {job.spec.id for job in again}),
        frozenset(failed),
        tuple(lines),
        again,
    )


def _without_lungs(
    jobs: Mapping[str, Job],
    done: Collection[str],
    failed: Collection[str],
    store: Store,
    datasets: Sequence[PreparedDataset],
) -> tuple[Job, ...]:
    """The recorded lung runs without usable predictions that a run which is to do needs."""
    todo = [job for job in jobs.values() if job.spec.id not in done and job.spec.id not in failed]
    needed = dict.fromkeys(need.id for job in todo for need in job.needs if need.id in done)
    known = {each.name: {case.id for case in each.cases} for each in datasets}
    found = []
    for run_id in needed:
        job = jobs[run_id]
        record = store.read(job.spec)
        if record is None or not predicted_ids(store.root, record) & known[job.spec.dataset]:
            found.append(job)
    return tuple(found)


@dataclass(frozen=True)
class _Jobs:
    """The jobs of a plan while it is made, by id: a run that serves several rows is there once."""

    protocol: Protocol
    resources: Resources
    encoders: Mapping[Row, Encoder | None]
    weights: Path | None
    weights_hash: str | None
    by_id: dict[str, Job]

    def add(self, place: Place, row: Row, task: str, ask: Ask) -> None:
        """Add the run of a row at a place, after the runs that it needs."""
        named = _with_encoder(row, self.encoders[row])
        if task != HIERARCHICAL:
            self._add(place.spec(named, task, weights=self.weights_hash), row)
            return
        lung = ask.lung or row
        asked = replace(ask, lung=_with_encoder(lung, self.encoders[lung]))
        spec, needs = place.cascade(named, asked)
        for each in needs:
            self._add(each, lung, needed=True)
        self._add(spec, row, needs=tuple(needs))

    def _add(
        self, spec: RunSpec, row: Row, *, needed: bool = False, needs: tuple[RunSpec, ...] = ()
    ) -> None:
        if spec.id in self.by_id and not needed:
            return
        encoder, resources = self.encoders[row], self.resources
        self.by_id[spec.id] = Job(
            spec=spec,
            needs=needs,
            protocol=_keeping(self.protocol, spec, needed=needed),
            store=resources.store.resolve(),
            data=resources.data.resolve(),
            plugins=resources.plugins,
            weights=self.weights.resolve() if self.weights else None,
            encoder=encoder[0].resolve() if encoder else None,
            device=resources.device,
            threads=resources.threads,
            deterministic=resources.deterministic,
            log=resources.log,
        )


def _keeping(protocol: Protocol, spec: RunSpec, *, needed: bool) -> Protocol:
    """The protocol with what a run must leave behind for the runs that need it."""
    keep = protocol.run.keep
    if spec.inner is not None:
        keep = "predictions"  # weights of a part serve nobody
    elif needed and keep == "none":
        keep = "predictions"
    if keep == protocol.run.keep:
        return protocol
    return protocol.model_copy(update={"run": protocol.run.model_copy(update={"keep": keep})})


def save_plan(store: Path, plan: Plan) -> None:
    """Note in a store what was asked of it, so that `covbench status` knows what is missing."""
    wanted = {**read_plan(store), **{job.spec.folder: job.spec.title for job in plan.jobs}}
    write_atomically(store / _PLAN, json.dumps(wanted, indent=1))


def read_plan(store: Path) -> dict[str, str]:
    """Folder and title of every run that was ever asked of a store; empty where none was noted."""
    try:
        wanted = parse_json(read_limited(store / _PLAN, "manifest_bytes"))
    except (OSError, ValueError, CovbenchError):
        return {}
    if not isinstance(wanted, dict):
        return {}
    return {
        folder: one_line(title)
        for folder, title in wanted.items()
        if isinstance(title, str) and _is_below(folder)
    }


def _is_below(folder: str) -> bool:
    """Whether a name can only be a folder inside of the store, as the runs' own are."""
    path = Path(folder)
    inside = not path.is_absolute() and bool(path.parts) and ".." not in path.parts
    return inside and folder.isprintable() and len(folder) < 1000 and len(path.name) < 256


Encoder = tuple[Path, str]
"""A file of an encoder's weights, and the name of its contents."""


def _encoder_file(row: Row) -> Encoder | None:
    """The file that a row's encoder starts from, and the name of its contents, if it has one."""
    weights = dict(row.options).get("weights")
    if not isinstance(weights, str) or not weights.endswith(".safetensors"):
        return None
    path = Path(weights)
    if not path.is_file():
        raise CovbenchError(
            f"There is no weights file {path} for {row.name}.", "Check the path after weights=."
        )
    return path, encoder_name(path)


def _with_encoder(row: Row, encoder: Encoder | None) -> Row:
    """The row with the name of its encoder's weights in place of their path."""
    if encoder is None:
        return row
    return Row(row.name, tuple(sorted({**dict(row.options), "weights": encoder[1]}.items())))


def _chosen_folds(
    dataset: PreparedDataset, folds: Mapping[int, Fold], wanted: Sequence[int] | None
) -> list[int]:
    if wanted is None:
        return sorted(folds)
    for fold in wanted:
        if fold not in folds:
            raise CovbenchError(
                f"{dataset.name} has no fold {fold}.",
                f"Its folds are {min(folds)}-{max(folds)}: give --folds within them.",
            )
    return list(wanted)
