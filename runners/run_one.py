"""The whole of one run: from its job to its record."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from benchmark.augment import steps_per_epoch
from benchmark.bank import ImageBank, input_statistics
from benchmark.complexity import measure_cost
from benchmark.datasets import PreparedDataset, open_dataset
from benchmark.datasets.folds import Fold, whole
from benchmark.datasets.inside import InsideLungs
from benchmark.labels import kinds_of
from benchmark.losses import make_loss
from benchmark.protocols import Protocol
from results.cases import cases_name
from results.files import sha256_file, write_atomically
from results.predictions import PREDICTIONS
from results.provenance import describe_code, describe_environment
from results.record import Data, RunRecord, Training, now
from results.spec import Scalar
from results.store import Store
from results.untrusted import WEIGHTS
from runners.cascade import cost_of, lung_cards, lungs_of
from runners.checkpoint import load_checkpoint, remove_checkpoints, save_checkpoint
from runners.determinism import (
    operators_without,
    refuse_operators_without,
    set_seeds,
    use_deterministic,
)
from runners.evaluate import Evaluation, cases_csv, evaluate, write_predictions
from runners.job import Job
from runners.loggers import Loggers
from runners.progress import Progress, ProgressWriter
from runners.stages import fold_of
from runners.stopping import EarlyStopping, training_parts
from runners.train import Hooks, InputScale, TrainingState, fit
from runners.weights import encoder_name, load_weights, save_weights
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.plugins import load
from zoo.registry import create_model, get_card
from zoo.source import source_files, source_hash

SUMMED = "Pretrained on colour, the first layer's filters summed for the protocol's one channel"


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
    loggers = Loggers(job.log, job.store, job.spec, _say)
    record = None
    try:
        record = _run(job, report, should_stop, loggers)
    finally:
        loggers.close(finished=record is not None)
    return record


def _run(
    job: Job, report: ProgressWriter, should_stop: Callable[[], bool], loggers: Loggers
) -> RunRecord:
    started = now()
    spec, protocol, folder = job.spec, job.protocol, job.folder
    report(Progress("preparing"), now=True)
    for plugin in job.plugins:
        load(plugin)
    card = get_card(spec.model)
    window = protocol.input.window
    dataset = open_dataset(spec.dataset, job.data, task=spec.task, window=window)
    fold = _fold(dataset, job)
    _refuse_changes(job, dataset, fold, source_hash(card))
    if spec.cascade is not None:
        dataset = InsideLungs(dataset, lungs_of(job, dataset, fold), spec.cascade)
        slices, name = (fold.train, "training") if fold.train else (fold.test, "test")
        share = sum(float(dataset.region(i).mean()) for i in slices) / 255 / len(slices)
        _say(f"its lungs cover {share:.1%} of the {name} slices")

    device = torch.device(job.device)
    num_classes = protocol.num_classes(len(dataset.classes))
    train, held_out = training_parts(dataset, fold, protocol) if fold.train else ((), ())
    bank = ImageBank.of(dataset, protocol.input.size, train, device=device)
    in_channels = protocol.input.channels + bank.extra_channels
    if job.deterministic:
        use_deterministic()
    set_seeds(spec.seed)
    network = create_model(spec.model, in_channels, num_classes, **job.options).to(device)
    print(f"[{started}] {spec.title}: built {describe_code(network).network_class}", flush=True)
    if sums_colours(protocol, job.options):
        print(f"[{started}] {SUMMED}", flush=True)

    training = None
    if job.inherited is not None:
        scale = InputScale(job.inherited.mean, job.inherited.std)
    else:
        scale = InputScale(*input_statistics(bank, protocol, protocol.input.channels))
    if job.weights is not None:
        load_weights(network, job.weights, card)
        loggers.begin(0)
    else:
        watch = None
        if held_out:
            watched = ImageBank.of(dataset, protocol.input.size, held_out, device=device)
            watch = EarlyStopping(watched, card, protocol, scale)
        if job.deterministic:
            _name_operators(job, network, card, in_channels)
        labels = len(dataset.classes)
        state = _train(job, network, card, bank, scale, labels, report, should_stop, watch, loggers)
        training = _training_block(job, state, watch)
    del bank

    report(Progress("evaluating"), now=True)
    began = time.perf_counter()
    outcome = evaluate(network, card, dataset, fold.test, protocol, scale, device)
    seconds = time.perf_counter() - began
    record = RunRecord(
        spec=spec,
        started=started,
        finished=now(),
        code=describe_code(network),
        env=describe_environment(device),
        data=Data(
            manifest_hash=dataset.data_hash,
            fold_hash=fold.hash,
            n_train=job.inherited.n_train if job.inherited else len(train),
            n_validation=len(held_out),
            n_test=len(fold.test),
            groups_disjoint=fold.groups_disjoint,
            shared_groups=fold.shared_groups,
            mean=scale.mean,
            std=scale.std,
            classes=kinds_of(dataset.classes),
        ),
        training=training,
        scores={target: scored.scores for target, scored in outcome.targets.items()},
        counts={target: scored.counts for target, scored in outcome.targets.items()},
        cost=cost_of(job, measure_cost(card, in_channels, num_classes, spec.options)),
        evaluation_seconds=seconds,
        weights_name=job.weights.name if job.weights else None,
        files=_write_files(folder, job, outcome, network),
    )
    Store(job.store).write(record)
    remove_checkpoints(folder)
    loggers.scores(record.scores, training.epochs if training else 0)
    report.clear()
    return record


def _fold(dataset: PreparedDataset, job: Job) -> Fold:
    """The fold of a run; everything is tested where the weights come from another dataset."""
    if (inherited := job.inherited) is not None:
        return replace(
            whole(dataset.cases, dataset.manifest.groups_known),
            groups_disjoint=inherited.groups_disjoint,
            shared_groups=inherited.shared_groups,
        )
    return fold_of(dataset, job.protocol, job.spec)


def _say(line: str) -> None:
    """A line in the run's log."""
    print(f"[{now()}] {line}", flush=True)


def sums_colours(protocol: Protocol, options: Mapping[str, Scalar]) -> bool:
    """Whether weights for colour images meet a protocol that gives a network its grey only once.

    Weights of one's own, from a file, must have the right number of channels already.
    """
    weights = options.get("weights")
    own = weights is None or str(weights).endswith(".safetensors")
    return not own and protocol.input.channels == 1


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
    labels: int,
    report: ProgressWriter,
    should_stop: Callable[[], bool],
    watch: EarlyStopping | None,
    loggers: Loggers,
) -> TrainingState:
    folder = job.folder
    resume, refused = load_checkpoint(folder)
    for line in refused:
        _say(line)
    if resume is not None:
        _say(f"resumed at step {resume['progress']['step']}")
    loggers.begin(len(resume["progress"]["curve"]) if resume is not None else 0)
    per_epoch = steps_per_epoch(job.protocol, len(bank))

    def tell(done: int, total: int, loss: float | None) -> None:
        epoch, epochs = -(-done // per_epoch), -(-total // per_epoch)
        report(Progress("training", done, total, loss, epoch, epochs))

    hooks = Hooks(
        progress=tell,
        checkpoint=partial(save_checkpoint, folder),
        should_stop=should_stop,
        epoch=lambda number, scalars: loggers.scalars(scalars, number),
        say=_say,
    )
    return fit(
        network,
        card,
        bank,
        job.protocol,
        scale,
        seed=job.spec.seed,
        num_classes=labels,
        resume=resume,
        hooks=hooks,
        watch=watch,
    )


def _name_operators(job: Job, network: nn.Module, card: Card, in_channels: int) -> None:
    """Say which operators are not deterministic on a GPU; refuse them where it is one."""
    size = job.protocol.input.size
    rule = job.protocol.loss.model_copy(update={"class_weights": "none"})
    names = operators_without(network, card, make_loss(rule), in_channels, size)
    if job.device == "cuda":
        refuse_operators_without(names, job.spec.title)
    but = f", on a GPU all but {', '.join(names)}" if names else ""
    _say(f"every operator of a step is deterministic{but}")


def _training_block(job: Job, state: TrainingState, watch: EarlyStopping | None) -> Training:
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
        validation_curve=tuple(watch.curve) if watch else (),
        chosen_epoch=watch.chosen_epoch if watch else None,
        micro_batch=state.micro_batch,
    )


def _write_files(folder: Path, job: Job, outcome: Evaluation, network: nn.Module) -> dict[str, str]:
    """Write what the protocol keeps beside the record; returns file names and their SHA-256."""
    keep = job.protocol.run.keep
    written: list[Path] = []
    for target, scored in outcome.targets.items():
        written.append(folder / cases_name(list(outcome.targets), target))
        write_atomically(written[-1], cases_csv(scored.rows))
    if keep in ("both", "predictions"):
        written.append(folder / PREDICTIONS)
        write_atomically(written[-1], lambda file: write_predictions(file, outcome.predictions))
    if keep == "both" and job.weights is None:
        written.append(folder / WEIGHTS)
        save_weights(network, written[-1])
    # A user's file may change; what was trained must stay known.
    cards = (get_card(job.spec.model), *lung_cards(job))
    sources = dict.fromkeys(source_files(each)[0] for each in cards if each.source == "file")
    for source in sources:
        path = folder / source.name
        written.append(path if path not in written else folder / f"lung_{source.name}")
        write_atomically(written[-1], source.read_bytes())
    return {path.name: sha256_file(path) for path in written}
