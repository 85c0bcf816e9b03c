"""The plan: which runs a command asks for, and which of them are still to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.datasets import PreparedDataset, open_dataset
from benchmark.protocols import Protocol
from results.files import sha256_file, write_atomically
from results.index import Known, known_records
from results.spec import RunSpec
from results.store import Store
from runners.job import Job
from runners.weights import encoder_name
from zoo.errors import CovbenchError
from zoo.registry import get_card
from zoo.selection import Row
from zoo.source import source_hash

_PLAN = "plan.json"
_TASK = "infection"


@dataclass(frozen=True)
class Resources:
    """Where runs find their parts on this machine, and what each may use of it."""

    store: Path
    data: Path
    plugins: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class Plan:
    """All runs of a command, in order, and what the store says of them.

    Attributes:
        jobs: Every run that was asked for.
        done: Ids of those that have a record.
        failed: Ids of those that failed before and are not to be tried again.
    """

    jobs: tuple[Job, ...]
    done: frozenset[str]
    failed: frozenset[str]

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
        folds: Numbers of folds; None for the protocol's own.
        seeds: Seeds; None for the protocol's own.
        weights: A weights file to score instead of training.
        retry_failed: Whether runs that failed before are to be tried again.
        force: Whether all are to be done, as if nothing was recorded.

    Returns:
        The plan. Of the same row, fold and seed there is one run.

    Raises:
        CovbenchError: A dataset is not prepared, or lacks a fold.
    """
    store = Store(resources.store)
    sources = {row.name: source_hash(get_card(row.name)) for row in rows}
    encoders = {row: _encoder_file(row) for row in rows}
    weights_hash = sha256_file(weights) if weights else None
    jobs: dict[str, Job] = {}
    for name in datasets:
        dataset = open_dataset(name, resources.data)
        if _TASK not in dataset.manifest.tasks:
            raise CovbenchError(
                f"{name} has classes for {', '.join(dataset.manifest.tasks)}, not for {_TASK}.",
                "Prepare it again with a label_map that has the classes 0 and 1 alone.",
            )
        hashes = {fold.number: fold.hash for fold in dataset.folds(protocol.split)}
        for fold in _chosen_folds(dataset, hashes, folds or protocol.split.run_folds):
            for seed in seeds or protocol.split.seeds:
                for row in rows:
                    encoder = encoders[row]
                    spec = RunSpec(
                        model=row.name,
                        options=dict(row.options) | ({"weights": encoder[1]} if encoder else {}),
                        dataset=name,
                        data_hash=dataset.manifest_hash,
                        fold=fold,
                        fold_hash=hashes[fold],
                        protocol=protocol.name,
                        settings=protocol.canonical(),
                        seed=seed,
                        source=sources[row.name],
                        weights=weights_hash,
                    )
                    file = encoder[0] if encoder else None
                    jobs[spec.id] = _job(spec, protocol, resources, weights, file)
    if force:
        return Plan(tuple(jobs.values()), frozenset(), frozenset())
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
    return Plan(tuple(jobs.values()), frozenset(done), frozenset(failed))


def save_plan(store: Path, plan: Plan) -> None:
    """Note in a store what was asked of it, so that `covbench status` knows what is missing."""
    wanted = {**read_plan(store), **{job.spec.folder: job.spec.title for job in plan.jobs}}
    write_atomically(store / _PLAN, json.dumps(wanted, indent=1))


def read_plan(store: Path) -> dict[str, str]:
    """Folder and title of every run that was ever asked of a store; empty where none was noted."""
    try:
        wanted = json.loads((store / _PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return wanted if isinstance(wanted, dict) else {}


def _encoder_file(row: Row) -> tuple[Path, str] | None:
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


def _job(
    spec: RunSpec,
    protocol: Protocol,
    resources: Resources,
    weights: Path | None,
    encoder: Path | None,
) -> Job:
    return Job(
        spec=spec,
        protocol=protocol,
        store=resources.store.resolve(),
        data=resources.data.resolve(),
        plugins=resources.plugins,
        weights=weights.resolve() if weights else None,
        encoder=encoder.resolve() if encoder else None,
        device=resources.device,
        threads=resources.threads,
    )


def _chosen_folds(
    dataset: PreparedDataset, hashes: dict[int, str], wanted: Sequence[int] | None
) -> list[int]:
    if wanted is None:
        return sorted(hashes)
    for fold in wanted:
        if fold not in hashes:
            raise CovbenchError(
                f"{dataset.name} has no fold {fold}.",
                f"Its folds are {min(hashes)}-{max(hashes)}: give --folds within them.",
            )
    return list(wanted)
