"""The loop of a pretraining: epochs of steps, each followed by validation and a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.datasets.readers import read_colour
from benchmark.pretraining import Recipe
from benchmark.pretraining.crops import (
    middle_crop,
    order,
    steps_per_epoch,
    to_input,
    training_crop,
)
from benchmark.pretraining.images import ImageFolder
from benchmark.pretraining.recipe import OptimRule
from runners.checkpoint import random_states, restore_random_states
from runners.pretraining.classifier import Classifier
from runners.pretraining.loader import batches
from runners.train import Diverged, Hooks, Interrupted

_TOP = 5


@dataclass
class PretrainState:
    """How far a pretraining is, besides weights, optimiser and random states.

    Attributes:
        step: Optimiser steps done.
        curve: Mean loss of each finished epoch.
        top1: Share of the validation images that are told right, after each epoch.
        top5: Likewise with five guesses; empty where there are no more classes than that.
        seconds: Time spent, validation included.
        resumed: How often it was taken up again.
    """

    step: int = 0
    curve: list[float] = field(default_factory=list)
    top1: list[float] = field(default_factory=list)
    top5: list[float] = field(default_factory=list)
    seconds: float = 0.0
    resumed: int = 0


@dataclass(frozen=True)
class PretrainHooks(Hooks):
    """What the loop tells and asks of its surroundings.

    Attributes:
        validated: Called with the state after the validation of each epoch.
    """

    validated: Callable[[PretrainState], None] = lambda state: None


def pretrain(
    model: Classifier,
    folder: ImageFolder,
    recipe: Recipe,
    device: torch.device,
    *,
    threads: int = 1,
    resume: dict[str, Any] | None = None,
    hooks: PretrainHooks | None = None,
) -> PretrainState:
    """Train a classifier, from the start or from a checkpoint.

    Order and crops follow from (seed, epoch, image) alone, so that a training that was stopped and
    taken up again ends with the same weights as one that never stopped (bit for bit on a CPU).

    Args:
        model: On the device; changed in place.
        folder: The images.
        recipe: The settings.
        device: Where to compute.
        threads: Threads that decode images; they change no number.
        resume: The state of a checkpoint.
        hooks: Progress, checkpoints and the wish to stop. A checkpoint is handed over after every
            epoch, before its validation, and when the training must stop.

    Returns:
        The final state.

    Raises:
        Diverged: The loss is not finite.
        Interrupted: `hooks.should_stop` said so; a checkpoint was handed over.
        CovbenchError: An image can't be read.
    """
    hooks = hooks or PretrainHooks()
    tf32 = recipe.run.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    optim = recipe.optim
    optimiser = make_optimiser(model, optim)
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.run.precision == "fp16")
    if recipe.run.channels_last:
        model.to(memory_format=torch.channels_last)
    per_epoch = steps_per_epoch(recipe, len(folder.train))
    total = per_epoch * optim.epochs
    state = PretrainState()
    epoch_loss = torch.zeros((), dtype=torch.float64, device=device)
    if resume is not None:
        model.load_state_dict(resume["model"])
        optimiser.load_state_dict(resume["optimiser"])
        scaler.load_state_dict(resume["scaler"])
        restore_random_states(resume["random"])
        state = PretrainState(**resume["progress"])
        state.resumed += 1
        epoch_loss.fill_(resume["epoch_loss"])
    began = time.perf_counter() - state.seconds

    def save() -> None:
        state.seconds = time.perf_counter() - began
        progress = {key: list(v) if isinstance(v, list) else v for key, v in vars(state).items()}
        snapshot = {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "scaler": scaler.state_dict(),
            "random": random_states(),
            "progress": progress,
            "epoch_loss": float(epoch_loss),
        }
        hooks.checkpoint(state.step, snapshot)

    def validate() -> None:
        right = validation(model, folder, recipe, device, threads, hooks)
        state.top1.append(right[0])
        if len(folder.classes) > _TOP:
            state.top5.append(right[1])
        hooks.validated(state)

    if len(state.top1) < len(state.curve):  # stopped between an epoch and its validation
        validate()
    while state.step < total:
        epoch, start = divmod(state.step, per_epoch)
        model.train()
        with closing(_training_batches(folder, recipe, epoch, start, threads)) as left:
            for pictures, labels in left:
                for group in optimiser.param_groups:
                    group["lr"] = rate(optim, state.step, per_epoch)
                images = to_input(pictures.to(device, non_blocking=True), recipe.input)
                if recipe.run.channels_last:
                    images = images.contiguous(memory_format=torch.channels_last)
                with _autocast(recipe, device):
                    logits = model(images)
                loss = F.cross_entropy(
                    logits.float(), labels.to(device), label_smoothing=optim.label_smoothing
                )
                optimiser.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.step(optimiser)
                scaler.update()
                epoch_loss += loss.detach()
                state.step += 1

                in_epoch = state.step - epoch * per_epoch
                ends = in_epoch == per_epoch
                # Reading the loss waits for a GPU, so a GPU is asked once an epoch.
                mean = float(epoch_loss) / in_epoch if ends or device.type == "cpu" else None
                hooks.progress(state.step, total, mean)
                if mean is not None and not math.isfinite(mean):
                    raise Diverged(f"The loss is {mean} in epoch {epoch + 1}, step {state.step}.")
                if ends and mean is not None:
                    state.curve.append(mean)
                    epoch_loss.zero_()
                    save()
                if hooks.should_stop():
                    if not ends:
                        save()
                    raise Interrupted
        validate()
    state.seconds = time.perf_counter() - began
    return state


def make_optimiser(model: torch.nn.Module, optim: OptimRule) -> torch.optim.SGD:
    """SGD over all parameters, with decay on those that the recipe says."""
    parameters = list(model.parameters())
    spared = [each for each in parameters if optim.decay == "weights" and each.ndim < 2]
    decayed = [each for each in parameters if optim.decay == "all" or each.ndim >= 2]
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": optim.weight_decay}]
    if spared:
        groups.append({"params": spared, "weight_decay": 0.0})
    return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum, nesterov=optim.nesterov)


def rate(optim: OptimRule, step: int, per_epoch: int) -> float:
    """The learning rate of a step.

    Args:
        optim: The recipe's section.
        step: Number of the step, from 0.
        per_epoch: Steps of one epoch.
    """
    warm, total = optim.warmup_epochs * per_epoch, optim.epochs * per_epoch
    if step < warm:
        return optim.lr * (step + 1) / warm
    if optim.schedule == "cosine":
        return optim.lr * (1 + math.cos(math.pi * (step - warm) / (total - warm))) / 2
    passed = sum(step >= epoch * per_epoch for epoch in optim.step_epochs)
    return optim.lr * optim.step_factor**passed


@torch.no_grad()
def validation(
    model: Classifier,
    folder: ImageFolder,
    recipe: Recipe,
    device: torch.device,
    threads: int = 1,
    hooks: Hooks | None = None,
) -> tuple[float, float]:
    """How many validation images are told right.

    Args:
        model: The classifier.
        folder: Its `val` is used.
        recipe: How an image is prepared, and in which precision it is judged.
        device: Where to compute.
        threads: Threads that decode images.
        hooks: The wish to stop.

    Returns:
        The share with one guess and with five (of fewer classes, with as many as there are).

    Raises:
        Interrupted: `hooks.should_stop` said so.
    """
    model.eval()
    split, batch = folder.val, recipe.optim.batch
    steps = (np.arange(len(split))[at : at + batch] for at in range(0, len(split), batch))
    right = torch.zeros(_TOP, dtype=torch.int64, device=device)

    def read(row: int) -> np.ndarray:
        return middle_crop(read_colour(folder.root / split.files[row]), recipe.input)

    with closing(batches(steps, read, split.labels, threads)) as data:
        for pictures, labels in data:
            images = to_input(pictures.to(device, non_blocking=True), recipe.input)
            if recipe.run.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            with _autocast(recipe, device):
                logits = model(images)
            right += hits(logits.float(), labels.to(device))
            if hooks is not None and hooks.should_stop():
                raise Interrupted
    return float(right[0]) / len(split), float(right[-1]) / len(split)


def hits(logits: Tensor, labels: Tensor) -> Tensor:
    """How many labels are among the first 1, 2, ... 5 guesses, (5,) int64."""
    count = min(_TOP, logits.shape[1])
    guesses = logits.topk(count, dim=1).indices
    found = (guesses == labels[:, None]).sum(dim=0).cumsum(dim=0)
    return F.pad(found, (0, _TOP - count), value=int(found[-1])) if count < _TOP else found


def _training_batches(
    folder: ImageFolder, recipe: Recipe, epoch: int, start: int, threads: int
) -> Generator[tuple[Tensor, Tensor]]:
    """What is left of an epoch, from a step on."""
    split, seed = folder.train, recipe.run.seed
    steps = list(order(recipe, epoch, len(split)))[start:]

    def read(row: int) -> np.ndarray:
        picture = read_colour(folder.root / split.files[row])
        return training_crop(picture, recipe.input, seed, epoch, row)

    return batches(steps, read, split.labels, threads)


def _autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass in the recipe's precision."""
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    kind = kinds.get(recipe.run.precision)
    return nullcontext() if kind is None else torch.autocast(device.type, kind)
