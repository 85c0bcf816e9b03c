"""The whole of one run: from its job to its record."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from benchmark.bank import ImageBank, input_statistics
from benchmark.complexity import measure_cost
from benchmark.datasets import PreparedDataset, open_dataset
from benchmark.datasets.folds import Fold, whole
from benchmark.protocols import Protocol
from results.files import sha256_file, write_atomically
from results.predictions import PREDICTIONS
from results.provenance import describe_code, describe_environment
from results.record import Data, RunRecord, Training, now
from results.store import Store
from runners.checkpoint import load_checkpoint, remove_checkpoints, save_checkpoint
from runners.evaluate import TARGET, Evaluation, cases_csv, evaluate, write_predictions
from runners.job import Job
from runners.progress import Progress, ProgressWriter
from runners.train import Hooks, InputScale, TrainingState, fit
from runners.weights import encoder_name, load_weights, save_weights
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.plugins import load
from zoo.registry import create_model, get_card
from zoo.source import source_files, source_hash

IN_CHANNELS = 3

_LABELS = 2
"""Labels of the masks: background and infection, whatever the network's outputs."""


def run_one(job: Job, report: ProgressWriter, should_stop: Callable[[], bool]) -> RunRecord:
    """Train (or load) a network, score it on its test fold, and write the record.

    Args:
        job: What to run, and where.
        report: Receives the progress.
        should_stop: Asked after every training step.

    Returns:
        The record, as it lies in the store.

    Raises:
        Interrupted: `should_stop` said so; a checkpoint is kept.
        CovbenchError: Data or source changed since the plan was made, or weights don't fit.
    """
    started = now()
    spec, protocol, folder = job.spec, job.protocol, job.folder
    report(Progress("preparing"), now=True)
    for plugin in job.plugins:
        load(plugin)
    card = get_card(spec.model)
    dataset = open_dataset(spec.dataset, job.data, task=spec.task)
    fold = _fold(dataset, job)
    _refuse_changes(job, dataset, fold, source_hash(card))

    device = torch.device(job.device)
    num_classes = num_classes_of(protocol)
    torch.manual_seed(spec.seed)
    network = create_model(spec.model, IN_CHANNELS, num_classes, **job.options).to(device)
    print(f"[{started}] {spec.title}: built {describe_code(network).network_class}", flush=True)

    training = None
    if job.inherited is not None:
        assert job.weights is not None, "what is inherited comes with weights"
        scale = InputScale(job.inherited.mean, job.inherited.std)
        load_weights(network, job.weights, card)
    else:
        bank = ImageBank.of(dataset, protocol.input.size, fold.train, device=device)
        scale = InputScale(*input_statistics(bank, protocol, IN_CHANNELS))
        if job.weights is not None:
            load_weights(network, job.weights, card)
        else:
            state = _train(job, network, card, bank, scale, report, should_stop)
            training = _training_block(job, state)
        del bank

    report(Progress("evaluating"), now=True)
    began = time.perf_counter()
    outcome = evaluate(network, card, dataset, fold.test, protocol, scale, device)
    seconds = time.perf_counter() - began
    target = spec.task if spec.task == "lung" else TARGET
    record = RunRecord(
        spec=spec,
        started=started,
        finished=now(),
        code=describe_code(network),
        env=describe_environment(device),
        data=Data(
            manifest_hash=dataset.data_hash,
            fold_hash=fold.hash,
            n_train=job.inherited.n_train if job.inherited else len(fold.train),
            n_test=len(fold.test),
            groups_disjoint=fold.groups_disjoint,
            shared_groups=fold.shared_groups,
            mean=scale.mean,
            std=scale.std,
        ),
        training=training,
        scores={target: outcome.scores},
        counts={target: outcome.counts},
        cost=measure_cost(card, IN_CHANNELS, num_classes, spec.options),
        evaluation_seconds=seconds,
        weights_name=job.weights.name if job.weights else None,
        files=_write_files(folder, job, card, outcome, network),
    )
    Store(job.store).write(record)
    remove_checkpoints(folder)
    report.clear()
    return record


def num_classes_of(protocol: Protocol) -> int:
    """Channels of the output: one sigmoid logit, or a softmax over background and infection."""
    return 1 if protocol.input.outputs == "sigmoid" else 2


def _fold(dataset: PreparedDataset, job: Job) -> Fold:
    if (inherited := job.inherited) is not None:
        return replace(
            whole(dataset.cases, dataset.manifest.groups_known),
            groups_disjoint=inherited.groups_disjoint,
            shared_groups=inherited.shared_groups,
        )
    for fold in dataset.folds(job.protocol.split):
        if fold.number == job.spec.fold:
            return fold
    raise CovbenchError(
        f"{job.spec.dataset} has no fold {job.spec.fold}.",
        "Give one of its folds.",
    )


def _refuse_changes(job: Job, dataset: PreparedDataset, fold: Fold, source: str) -> None:
    """A number must belong to its id, so what changed since the plan is refused."""
    spec = job.spec
    found = {
        "data": (spec.data_hash, dataset.data_hash),
        "fold": (spec.fold_hash, fold.hash),
        "network's source": (spec.source, source),
    }
    if spec.trained is not None and job.weights is not None:
        found["weights"] = (str(spec.weights), sha256_file(job.weights))
    if job.encoder is not None:
        found["encoder weights"] = (str(spec.options["weights"]), encoder_name(job.encoder))
    for what, (was, is_now) in found.items():
        if was != is_now:
            raise CovbenchError(
                f"The {what} of {spec.title} changed since the run was planned.",
                "Run the same command again: it plans anew.",
            )


def _train(
    job: Job,
    network: nn.Module,
    card: Card,
    bank: ImageBank,
    scale: InputScale,
    report: ProgressWriter,
    should_stop: Callable[[], bool],
) -> TrainingState:
    folder = job.folder
    resume, refused = load_checkpoint(folder)
    for line in refused:
        print(f"[{now()}] {line}", flush=True)
    if resume is not None:
        print(f"[{now()}] resumed at step {resume['progress']['step']}", flush=True)
    hooks = Hooks(
        progress=lambda done, total, loss: report(Progress("training", done, total, loss)),
        checkpoint=partial(save_checkpoint, folder),
        should_stop=should_stop,
    )
    return fit(
        network,
        card,
        bank,
        job.protocol,
        scale,
        seed=job.spec.seed,
        num_classes=_LABELS,
        resume=resume,
        hooks=hooks,
    )


def _training_block(job: Job, state: TrainingState) -> Training:
    on_gpu = job.device == "cuda"
    peak = (
        torch.cuda.max_memory_allocated()
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return Training(
        epochs=len(state.curve),
        steps=state.step,
        selection=job.protocol.run.select,
        seconds=state.seconds,
        resumed=state.resumed,
        peak_memory_bytes=peak,
        curve=tuple(state.curve),
    )


def _write_files(
    folder: Path, job: Job, card: Card, outcome: Evaluation, network: nn.Module
) -> dict[str, str]:
    """Write what the protocol keeps beside the record; returns file names and their SHA-256."""
    keep = job.protocol.run.keep
    written = [folder / "cases.csv"]
    write_atomically(written[0], cases_csv(outcome.rows))
    if keep in ("both", "predictions"):
        written.append(folder / PREDICTIONS)
        write_atomically(written[-1], lambda file: write_predictions(file, outcome.predictions))
    if keep == "both" and job.weights is None:
        written.append(folder / "weights.safetensors")
        save_weights(network, written[-1])
    if card.source == "file":  # the user's file may change; what was trained must stay known
        source = source_files(card)[0]
        written.append(folder / source.name)
        write_atomically(written[-1], source.read_bytes())
    return {path.name: sha256_file(path) for path in written}
