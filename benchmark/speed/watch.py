"""Watching the machine while a network is timed: what disturbed the measurement, if anything."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import psutil
import torch

from benchmark.speed.nvml import Gpu, Sample, gpu_uuid
from benchmark.speed.state import SHARED, THROTTLED, MachineState

INTERVAL = 0.1
"""Seconds between two looks at a GPU."""

_OTHERS_EVERY = 10
"""Looks for each listing of processes, which takes NVML longest."""

THROTTLED_SHARE = 0.05
"""Share of the looks with a reason for lower clocks above which a GPU counts as throttled: GPUs
touch their power cap for moments without any effect."""

SHARED_CORES = 0.05
"""Share of the cores in use by others above which a CPU counts as shared. An idle machine's own
services take less: 0.1 cores of two, 3 of 64."""

_TICK = 0.01
"""The kernel counts a core's time in such seconds; each core may be one off."""


class Watch:
    """A context that watches the machine while it lasts; `state()` says afterwards what it saw.

    On a GPU, a thread asks NVML about ten times a second; it holds Python's lock for some tenths
    of a millisecond each time. On a CPU the kernel adds up all by itself, so this looks only at
    the beginning and at the end.

    Args:
        device: The GPU that is measured; None, or a CPU, for the CPU.
        nvml: The module `pynvml`; None to import it.
        uuid: Of the GPU; None to ask torch.

    Attributes:
        cpu_seconds: What the thread took of a core's time.
    """

    def __init__(
        self, device: torch.device | None = None, nvml: Any = None, uuid: str | None = None
    ) -> None:
        self.cpu_seconds = 0.0
        self._gpu: Gpu | None = None
        if device is not None and device.type == "cuda":
            self._gpu = Gpu(uuid or gpu_uuid(device), nvml)
        self._samples: list[Sample] = []
        self._others: list[int] = []
        self._joules: float | None = None
        self._limit: float | None = None
        self._cores: float | None = None
        self._seconds = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Watch:
        if self._gpu is not None:
            self._joules = self._gpu.joules()
            self._limit = self._gpu.power_limit()
            if self._gpu.known:
                self._thread.start()
        self._began = time.perf_counter(), _cpu_use()
        return self

    def __exit__(self, *exception: object) -> None:
        began, before = self._began
        self._seconds = time.perf_counter() - began
        after = _cpu_use()
        self._cores = _others_share(before, after)
        if self._gpu is None:
            return
        after_joules = self._gpu.joules()
        self._joules = _difference(self._joules, after_joules)
        self._end.set()
        if self._gpu.known:
            self._thread.join()
        self._gpu.close()

    def _look_on(self) -> None:
        began = time.thread_time()
        assert self._gpu is not None
        while True:
            # Waits first: at the very beginning the GPU is still idle.
            ended = self._end.wait(INTERVAL)
            if ended and self._samples:
                break
            if len(self._samples) % _OTHERS_EVERY == 0:
                others = self._gpu.others(torch.cuda.is_initialized())
                if others is not None:
                    self._others.append(others)
            self._samples.append(self._gpu.look())
            if ended:
                break
        self.cpu_seconds = time.thread_time() - began

    def state(self) -> MachineState:
        """What was seen, once the context has ended."""
        return self._cpu_state() if self._gpu is None else self._gpu_state()

    def _cpu_state(self) -> MachineState:
        shared = self._cores is not None and self._cores > SHARED_CORES + _TICK / self._seconds
        return MachineState(samples=2, others=self._cores, flags=(SHARED,) if shared else ())

    def _gpu_state(self) -> MachineState:
        others = max(self._others, default=None)
        sm = _known(each.sm_mhz for each in self._samples)
        watts = _known(each.watts for each in self._samples)
        held = [each.reasons for each in self._samples if each.reasons is not None]
        throttled = bool(held) and sum(map(bool, held)) > THROTTLED_SHARE * len(held)
        return MachineState(
            samples=len(self._samples),
            others=others,
            sm_clock_mhz=(min(sm), float(np.median(sm)), max(sm)) if sm else None,
            memory_clock_mhz=_median(each.memory_mhz for each in self._samples),
            power_watts=(float(np.median(watts)), max(watts)) if watts else None,
            power_limit_watts=self._limit,
            temperature_c=max(_known(each.celsius for each in self._samples), default=None),
            throttle=tuple(dict.fromkeys(reason for reasons in held for reason in reasons)),
            utilization=_median(each.utilization for each in self._samples),
            joules=self._joules,
            flags=((THROTTLED,) if throttled else ()) + ((SHARED,) if others else ()),
        )


def _known(values: Iterable[float | None]) -> list[float]:
    return [float(value) for value in values if value is not None]


def _median(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return float(np.median(known)) if known else None


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _cpu_use() -> tuple[float, float, float]:
    """Seconds of the cores that this process may use: in all, busy, and busy for this process.

    Busy is also what a virtual machine's host took for others ("steal").
    """
    cores = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        mine = os.sched_getaffinity(0)
        if max(mine) < len(cores):
            cores = [times for index, times in enumerate(cores) if index in mine]
    idle = sum(each.idle + getattr(each, "iowait", 0.0) for each in cores)
    # What a core does for guests is also in `user`.
    guests = sum(getattr(each, "guest", 0) + getattr(each, "guest_nice", 0) for each in cores)
    total = sum(sum(each) for each in cores) - guests
    own = 0.0
    process = psutil.Process()
    # The CPU time of children that have ended is with their parents.
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            times = each.cpu_times()
            own += times.user + times.system + times.children_user + times.children_system
    return total, total - idle, own


def _others_share(
    before: tuple[float, float, float], after: tuple[float, float, float]
) -> float | None:
    """Share of the cores' time that others used; None where the kernel doesn't tell."""
    total, busy, own = (late - early for early, late in zip(before, after, strict=True))
    return min(1.0, max(0.0, busy - own) / total) if total > 0 else None
