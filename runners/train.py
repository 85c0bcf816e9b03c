"""Training: one plain loop, the same for every network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from benchmark.augment import plan_epoch, steps_per_epoch, total_steps
from benchmark.bank import ImageBank, training_batch
from benchmark.losses import Outputs, class_weights_miniseg, make_loss
from benchmark.protocols import Protocol
from runners.accumulate import Backward
from runners.checkpoint import random_states, restore_random_states
from runners.optimiser import learning_rate, make_optimiser
from zoo.cards import Card
from zoo.padding import forward_padded

if TYPE_CHECKING:
    from runners.stopping import EarlyStopping


class Diverged(RuntimeError):
    """The loss is no longer finite.

    Args:
        problem: Where, in a sentence.
        curve: The mean loss of each epoch before.
    """

    def __init__(self, problem: str, curve: Sequence[float] = ()) -> None:
        super().__init__(problem)
        self.curve = tuple(curve)


class Interrupted(Exception):
    """The training was asked to stop; a checkpoint lies ready."""


@dataclass
class TrainingState:
    """How far a training is, besides weights, optimiser and random states.

    Attributes:
        step: Optimiser steps done.
        curve: Mean loss of each finished epoch.
        seconds: Time spent.
        resumed: How often it was taken up again.
        micro_batch: Images that went through the network at a time, once a batch did not fit on
            the GPU and the protocol allowed parts; None where every batch fitted.
    """

    step: int = 0
    curve: list[float] = field(default_factory=list)
    seconds: float = 0.0
    resumed: int = 0
    micro_batch: int | None = None


@dataclass(frozen=True)
class Hooks:
    """What the loop tells and asks of its surroundings.

    Attributes:
        progress: Called after a step with steps done, steps in all, and the mean loss so far in
            this epoch (None until it is known).
        checkpoint: Called with the state when one is due or the training must stop.
        should_stop: Asked after every step.
        epoch: Called at the end of each epoch with its number, from 1, and its scalars by name.
        say: Called with a sentence for the log.
    """

    progress: Callable[[int, int, float | None], None] = lambda done, total, loss: None
    checkpoint: Callable[[int, dict[str, Any]], object] = lambda step, state: None
    should_stop: Callable[[], bool] = lambda: False
    epoch: Callable[[int, dict[str, float]], object] = lambda number, scalars: None
    say: Callable[[str], object] = print


@dataclass(frozen=True)
class InputScale:
    """What grey values in 0..1 are normalised by, one mean and deviation per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return len(self.mean)


def set_precision(protocol: Protocol) -> None:
    """Switch TF32 on or off, for convolutions and matrix products alike."""
    tf32 = protocol.run.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def autocast(protocol: Protocol, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass in the protocol's precision."""
    if protocol.run.precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def fit(
    model: nn.Module,
    card: Card,
    bank: ImageBank,
    protocol: Protocol,
    scale: InputScale,
    *,
    seed: int,
    num_classes: int,
    resume: dict[str, Any] | None = None,
    hooks: Hooks | None = None,
    watch: EarlyStopping | None = None,
) -> TrainingState:
    """Train a network, from the start or from a checkpoint.

    Order and augmentation follow from (seed, epoch, index) alone, so that a training that was
    stopped and resumed ends with the same weights as one that never stopped (bit for bit on a CPU).

    Args:
        model: The network on the bank's device; changed in place.
        card: Its card, for the sizes that it accepts.
        bank: The training slices.
        protocol: The settings.
        scale: How the input is normalised.
        seed: Seed of order and augmentation (initialisation is the caller's).
        num_classes: Classes of the labels, for class weights.
        resume: The state of a checkpoint.
        hooks: Progress, checkpoints and the wish to stop.
        watch: Ends the training early, and may put its best weights back at the end.

    Returns:
        The final state: steps, curve, seconds.

    Raises:
        Diverged: The loss is not finite.
        Interrupted: `hooks.should_stop` said so; the checkpoint was handed to `hooks.checkpoint`.
    """
    hooks = hooks or Hooks()
    device = bank.device
    set_precision(protocol)
    optim = protocol.optim
    optimiser = make_optimiser(optim, model.parameters())
    weights = None
    if protocol.loss.class_weights == "miniseg":
        pixels = torch.from_numpy(bank.class_pixels(num_classes))
        weights = class_weights_miniseg(pixels).to(device)
    loss_of = make_loss(protocol.loss, weights)
    if protocol.run.channels_last:
        model = model.to(memory_format=torch.channels_last)
    forward = cast(nn.Module, torch.compile(model)) if protocol.run.compile else model

    def run(images: Tensor) -> Outputs:
        with autocast(protocol, device):
            return forward_padded(forward, images, card.divisor, card.min_size)

    in_parts = protocol.run.out_of_memory == "accumulate"
    backward = Backward(model, run, loss_of, in_parts, hooks.say)

    per_epoch = steps_per_epoch(protocol, len(bank))
    total = total_steps(protocol, len(bank))
    state = TrainingState()
    epoch_loss = torch.zeros((), dtype=torch.float64, device=device)
    if resume is not None:
        model.load_state_dict(resume["model"])
        optimiser.load_state_dict(resume["optimiser"])
        restore_random_states(resume["random"])
        state = TrainingState(**resume["progress"])
        state.resumed += 1
        backward.most = state.micro_batch
        epoch_loss.fill_(resume["epoch_loss"])
        if watch is not None:
            watch.restore(resume["watch"])

    def snapshot() -> dict[str, Any]:
        progress = {**vars(state), "seconds": state.seconds + time.perf_counter() - began}
        return {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": random_states(),
            "progress": progress,
            "epoch_loss": float(epoch_loss),
            "watch": watch.state() if watch is not None else None,
        }

    every, unit = protocol.run.checkpoint_interval
    began = last_saved = time.perf_counter()
    model.train()
    while state.step < total:
        epoch, start = divmod(state.step, per_epoch)
        batches = plan_epoch(protocol, seed, epoch, len(bank))
        for batch in batches[start : start + total - state.step]:
            lr = learning_rate(optim, state.step, total)
            for group in optimiser.param_groups:
                group["lr"] = lr
            images, target = training_batch(
                bank,
                batch,
                protocol,
                seed=seed,
                epoch=epoch,
                mean=scale.mean,
                std=scale.std,
                channels=scale.channels,
            )
            if protocol.run.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            epoch_loss += backward(images, target)
            optimiser.step()
            state.step += 1
            state.micro_batch = backward.most

            in_epoch = state.step - epoch * per_epoch
            ends = in_epoch == per_epoch or state.step == total
            # Reading the loss waits for a GPU, so a GPU is asked once an epoch.
            mean = float(epoch_loss) / in_epoch if ends or device.type == "cpu" else None
            if mean is not None and not math.isfinite(mean):
                place = f"epoch {epoch + 1}, step {state.step}"
                raise Diverged(f"The loss is {mean} in {place}.", state.curve)
            if ends and mean is not None:
                state.curve.append(mean)
                epoch_loss.zero_()
                told = {"loss": mean}
                if watch is not None:
                    if watch.ends(model, loss_of):
                        total = state.step
                    told["validation_loss"] = watch.curve[-1]
                hooks.epoch(epoch + 1, told)
            hooks.progress(state.step, total, mean)
            if unit == "min":
                due = time.perf_counter() - last_saved > 60 * every
            else:
                due = ends and len(state.curve) % int(every) == 0
            stop = hooks.should_stop()
            if state.step < total and (due or stop):
                hooks.checkpoint(state.step, snapshot())
                last_saved = time.perf_counter()
                if stop:
                    raise Interrupted
    if watch is not None:
        watch.finish(model)
    state.seconds += time.perf_counter() - began
    return state
