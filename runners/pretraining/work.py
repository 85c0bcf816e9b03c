"""One pretraining in its own process: from its job to the encoder's file."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch

from benchmark.pretraining.crops import scale_of
from benchmark.pretraining.images import ImageFolder, open_folder
from results.files import sha256_file, write_atomically
from results.provenance import describe_code, describe_environment
from results.record import now
from runners.checkpoint import load_checkpoint, remove_checkpoints, save_checkpoint
from runners.pretraining.classifier import Classifier, build_classifier
from runners.pretraining.job import PretrainJob
from runners.pretraining.result import BEGUN, ENCODER, Images, PretrainResult, read_result
from runners.pretraining.train import PretrainHooks, PretrainState, pretrain
from runners.progress import Progress, ProgressWriter
from runners.weights import save_weights
from runners.worker import Task, classify, in_words, serve
from zoo.errors import CovbenchError
from zoo.plugins import load
from zoo.registry import get_card
from zoo.source import source_hash

FAILED = "failed.json"

# Where the account of a run would name an option that a pretraining has not.
_HINTS = {
    "disk full": "Free some space, then run the same command again.",
    "error": "The log in the folder has the traceback; mend it, then run the same command again.",
}


def work(job: PretrainJob) -> None:
    """Do one pretraining and end the process; the entry point of a worker."""
    serve(
        Task(
            job.folder,
            job.device,
            job.gpu,
            job.threads,
            is_done=lambda: read_result(job.folder) is not None,
            do=lambda report, should_stop: pretrain_one(job, report, should_stop),
            fail=lambda error: _fail(job.folder, error),
        )
    )


def pretrain_one(
    job: PretrainJob, report: ProgressWriter, should_stop: Callable[[], bool]
) -> PretrainResult:
    """Train an encoder with its head, and write the encoder and what is known of it.

    Args:
        job: What to train, and where.
        report: Receives the progress.
        should_stop: Asked after every step.

    Returns:
        The result, as it lies in the job's folder.

    Raises:
        Interrupted: `should_stop` said so; a checkpoint is kept.
        CovbenchError: Images or source changed since the command began, or an image can't be read.
    """
    started = now()
    spec, recipe = job.spec, job.recipe
    report(Progress("preparing"), now=True)
    (job.folder / FAILED).unlink(missing_ok=True)
    for plugin in job.plugins:
        load(plugin)
    card = get_card(spec.model)
    images = open_folder(job.data)
    for what, was, is_now in (
        ("images", job.listing, images.listing),
        ("network's source", spec.source, source_hash(card)),
    ):
        if was != is_now:
            raise CovbenchError(
                f"The {what} of {spec.title} changed since the command began.",
                "Run the same command again: it looks anew.",
            )
    device = torch.device(job.device)
    torch.manual_seed(recipe.run.seed)
    model = build_classifier(card, dict(spec.options), len(images.classes), recipe.input.size)
    model.to(device)
    state = _train(job, model, images, device, report, should_stop)
    mean, std = scale_of(recipe.input)
    save_weights(model.encoder, job.folder / ENCODER)
    result = PretrainResult(
        spec=spec,
        started=started,
        finished=now(),
        code=describe_code(model.encoder),
        env=describe_environment(device),
        data=Images(
            manifest_hash=spec.data_hash,
            classes=len(images.classes),
            n_train=len(images.train),
            n_val=len(images.val),
            mean=mean,
            std=std,
        ),
        epochs=len(state.curve),
        steps=state.step,
        seconds=state.seconds,
        resumed=state.resumed,
        top1=state.top1[-1],
        top5=state.top5[-1] if state.top5 else None,
        curve=tuple(state.curve),
        top1_curve=tuple(state.top1),
        files={ENCODER: sha256_file(job.folder / ENCODER)},
    )
    result.write(job.folder)
    remove_checkpoints(job.folder)
    (job.folder / BEGUN).unlink(missing_ok=True)
    report.clear()
    return result


def _train(
    job: PretrainJob,
    model: Classifier,
    images: ImageFolder,
    device: torch.device,
    report: ProgressWriter,
    should_stop: Callable[[], bool],
) -> PretrainState:
    epochs = job.recipe.optim.epochs
    write_atomically(job.folder / BEGUN, job.spec.model_dump_json(indent=1))
    resume, refused = load_checkpoint(job.folder)
    for line in refused:
        print(f"[{now()}] {line}", flush=True)
    if resume is not None:
        print(f"[{now()}] resumed at step {resume['progress']['step']}", flush=True)
    top1: list[float] = list(resume["progress"]["top1"]) if resume is not None else []

    def progress(done: int, total: int, loss: float | None) -> None:
        epoch = -(-done * epochs // total)
        so_far = f", top-1 {top1[-1]:.1%} after {len(top1)}" if top1 else ""
        report(Progress(f"epoch {epoch} of {epochs}{so_far}", done, total, loss))

    def validated(state: PretrainState) -> None:
        top1[:] = state.top1
        print(
            f"[{now()}] epoch {len(top1)} of {epochs}: loss {state.curve[-1]:.4f}, "
            f"top-1 {top1[-1]:.2%}",
            flush=True,
        )

    hooks = PretrainHooks(
        progress=progress,
        checkpoint=partial(save_checkpoint, job.folder),
        should_stop=should_stop,
        validated=validated,
    )
    return pretrain(
        model, images, job.recipe, device, threads=job.threads, resume=resume, hooks=hooks
    )


def _fail(folder: Path, error: BaseException) -> None:
    status, hint = classify(error)
    hint = _HINTS.get(status, hint) if not isinstance(error, CovbenchError) else hint
    account = {"status": status, "exception": in_words(error)[:2000], "hint": hint, "time": now()}
    with suppress(OSError):
        write_atomically(folder / FAILED, json.dumps(account, indent=1))
