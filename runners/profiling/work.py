"""What is done in the processes of a profile."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import torch

from benchmark.complexity import Cost, full_cost
from benchmark.layers import Layer, count_layers
from benchmark.speed import peaks
from benchmark.speed.nvml import gpu_uuid
from benchmark.speed.round import RoundPlan, RoundResult, time_round
from benchmark.speed.timing import Way
from results.machines import Peaks
from results.provenance import describe_code, describe_environment
from results.record import Code, Environment
from runners.profiling.targets import Settings, Target
from zoo.errors import CovbenchError

_CHANNELS = 3


@dataclass(frozen=True)
class Request:
    """One network, and how it is profiled; or only as far as the reference's drift needs it."""

    target: Target
    settings: Settings
    only_latency: bool = False


@dataclass(frozen=True)
class Facts:
    """The machine: its short name, its environment, its GPU's UUID, and the program."""

    machine: str
    env: Environment
    code: Code
    gpu: str | None


def measure_cost(request: Request) -> Cost:
    """Count one network; on one thread, since others are counted beside it."""
    torch.set_num_threads(1)
    return full_cost(lambda: request.target.build(_CHANNELS), _CHANNELS, size=request.settings.size)


def measure_round(request: Request) -> RoundResult:
    """Time one network in one round."""
    settings = request.settings
    device = _prepare(settings)
    return time_round(
        lambda: request.target.build(_CHANNELS),
        RoundPlan(
            device=device,
            shape=(_CHANNELS, settings.size, settings.size),
            limits=settings.limits,
            setting=settings.setting,
            ways=("latency",) if request.only_latency else ways_of(settings),
            peaks=settings.peaks,
        ),
    )


def ways_of(settings: Settings) -> tuple[Way, ...]:
    """The ways in which networks are run: one where it must be quick, all where it may last."""
    if settings.speed == "quick":
        return ("latency",)
    every: tuple[Way, ...] = (
        "latency",
        "end-to-end",
        "single",
        "batch-30",
        "throughput",
        "graph",  # last: where it fails, it may leave the GPU of this process unusable
    )
    return tuple(way for way in every if way != "graph" or settings.on_gpu)


def measure_peaks(settings: Settings) -> Peaks:
    """What the device can reach in the precision of the settings."""
    device = _prepare(settings)
    macs, size = peaks.measure_peaks(device, settings.setting.precision)
    return Peaks(macs_per_second=macs, bytes_per_second=size)


def describe(settings: Settings) -> Facts:
    """The machine and the program."""
    device = _prepare(settings)
    env = describe_environment(device)
    uuid = None
    if device.type == "cuda":
        uuid = gpu_uuid(device)
        name = re.sub(r"^nvidia|geforce|tesla", "", env.device.lower())
    else:
        name = re.sub(r"\(r\)|\(tm\)|amd|intel|processor|cpu|@.*", "", env.cpu.lower())
        name += f" {settings.threads} thread{'s' * (settings.threads > 1)}"
    return Facts("-".join(re.findall(r"[a-z0-9.]+", name)), env, describe_code(), uuid)


def _prepare(settings: Settings) -> torch.device:
    """Set the threads of this process and keep it on as many cores; returns the device."""
    torch.set_num_threads(settings.threads)
    if not settings.on_gpu and hasattr(os, "sched_setaffinity"):
        # The last cores: the first ones answer the machine's interrupts.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-settings.threads :])
    return torch.device(settings.device)


def layers_of(target: Target, size: int) -> list[Layer]:
    """The layers of a network, without arithmetic where it can run so."""
    shape = (1, _CHANNELS, size, size)
    try:
        with torch.device("meta"):
            network, image = target.build(_CHANNELS), torch.zeros(shape)
        return count_layers(network, image)
    except CovbenchError:
        raise
    except Exception:  # a network that looks at values needs a real image
        return count_layers(target.build(_CHANNELS), torch.zeros(shape))
