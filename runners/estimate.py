"""About how long a plan takes on this machine's CPU, before anything is trained.

A step's time is taken as its multiply-adds at the rate of a dense convolution, plus its
activations at the rate of an element-wise layer, plus a share for every layer called; the three
rates are measured here on one thread, in about a second, and threads are taken to share the
arithmetic. Good to a factor of about two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.augment import plan_epoch, total_steps
from benchmark.datasets import open_dataset
from runners.job import Job
from runners.stages import fold_of
from runners.stopping import training_parts
from zoo.padding import forward_padded
from zoo.registry import create_model, get_card

_BACKWARD = 2.0
"""Arithmetic of a backward pass in units of its forward pass."""


@dataclass(frozen=True)
class Work:
    """One image's forward pass: multiply-adds, activations (elements), and layers called."""

    macs: float
    elements: float
    layers: int


@dataclass(frozen=True)
class _Rates:
    """Multiply-adds and activation elements a second, and seconds a layer call."""

    macs: float
    elements: float
    call: float


def estimate_seconds(jobs: Sequence[Job], slots: int) -> float | None:
    """The time that runs take on a CPU.

    Args:
        jobs: The runs.
        slots: Runs at a time.

    Returns:
        Seconds, good to a factor of about two; None on a GPU, where nothing was measured.
    """
    if any(job.device != "cpu" for job in jobs):
        return None
    total = sum(_job_seconds(job, _measure_rates()) for job in jobs)
    return total / min(slots, max(1, len(jobs)))


def _job_seconds(job: Job, rates: _Rates) -> float:
    protocol = job.protocol
    dataset = open_dataset(job.spec.dataset, job.data, task=job.spec.task)
    fold = fold_of(dataset, protocol, job.spec)
    work = _work(
        job.spec.model,
        tuple(sorted((k, v) for k, v in job.spec.options.items() if k != "weights")),
        protocol.input.channels,
        protocol.num_classes(len(dataset.classes)),
        protocol.input.size,
    )
    train, held_out = training_parts(dataset, fold, protocol)

    def seconds(images: float, calls: float, passes: float) -> float:
        return passes * _pass_seconds(work, rates, images, calls, job.threads)

    batches = plan_epoch(protocol, job.spec.seed, 0, len(train))
    area = sum(len(b.indices) * (b.size / protocol.input.size) ** 2 for b in batches) / len(batches)
    steps = 0 if job.weights else total_steps(protocol, len(train))  # if none is stopped early
    epochs = -(-steps // len(batches))
    seen = len(fold.test) + epochs * len(held_out)
    return seconds(steps * area, steps, 1 + _BACKWARD) + seconds(seen, seen, 1.0) + 1.0


@cache
def _work(
    model: str, options: tuple[tuple[str, object], ...], channels: int, classes: int, size: int
) -> Work:
    card = get_card(model)
    with torch.device("meta"):
        network = create_model(model, channels, classes, **dict(options)).eval()
        image = torch.zeros(1, channels, size, size)
    return _work_of(network, lambda: forward_padded(network, image, card.divisor, card.min_size))


def training_seconds(
    network: nn.Module, image: torch.Tensor, images: float, batch: int, threads: int
) -> float:
    """The time that so many images take to train on.

    Args:
        network: On the meta device.
        image: One image, on the meta device.
        images: How many there are, over all epochs.
        batch: Images of one step.
        threads: CPU threads.

    Returns:
        Seconds, good to a factor of about two; without the time to read the images.
    """
    work = _work_of(network.eval(), lambda: network(image))
    one = _pass_seconds(work, _measure_rates(), images, images / batch, threads)
    return (1 + _BACKWARD) * one


def _pass_seconds(work: Work, rates: _Rates, images: float, calls: float, threads: int) -> float:
    """A forward pass of so many images, in so many calls."""
    arithmetic = (work.macs / rates.macs + work.elements / rates.elements) / threads
    return images * arithmetic + calls * work.layers * rates.call


def _work_of(network: nn.Module, forward: Callable[[], object]) -> Work:
    elements = layers = 0

    def note(module: nn.Module, inputs: object, output: object) -> None:
        nonlocal elements, layers
        layers += 1
        if isinstance(output, torch.Tensor):
            elements += output.numel()

    for module in network.modules():
        if not any(module.children()):
            module.register_forward_hook(note)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        forward()
    return Work(counter.get_total_flops() / 2, elements, layers)


@cache
def _measure_rates() -> _Rates:
    """What one thread does here; on a busy machine more of them can't be measured in a moment."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        convolution, norm = nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(16)
        dense, wide, tiny = (
            torch.rand(1, 64, 64, 64),
            torch.rand(4, 16, 128, 128),
            torch.rand(1, 16, 2, 2),
        )
        with torch.no_grad():
            conv = _best_seconds(lambda: convolution(dense))
            elementwise = _best_seconds(lambda: norm(wide))
            call = _best_seconds(lambda: norm(tiny))
    finally:
        torch.set_num_threads(before)
    return _Rates(64 * 64 * 9 * 64 * 64 / conv, wide.numel() / elementwise, call)


def _best_seconds(action: Callable[[], object]) -> float:
    best = float("inf")
    until = time.perf_counter() + 0.25
    while time.perf_counter() < until:
        began = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - began)
    return best
