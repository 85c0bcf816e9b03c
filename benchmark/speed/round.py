"""One round of one network: every way of running it, timed in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.speed import roofline, ways
from benchmark.speed.clock import Limits, time_passes
from benchmark.speed.nvml import Gpu, gpu_uuid
from benchmark.speed.state import MachineState
from benchmark.speed.throughput import best_point, out_of_memory, throughput_curve
from benchmark.speed.timing import BatchPoint, Way
from benchmark.speed.watch import Watch

_LARGE = ("batch-30", "throughput")
"""Ways whose memory may not suffice where that of a single image does."""


@dataclass(frozen=True)
class RoundPlan:
    """How a network is timed in one round.

    Attributes:
        device: Where it runs.
        shape: Channels, height and width of an image.
        limits: How long each way is warmed up and measured.
        setting: Precision, memory format, compilation.
        ways: The ways to run it; `latency` is always among them.
        peaks: What the device can reach: multiply-adds and bytes per second.
    """

    device: torch.device
    shape: tuple[int, int, int]
    limits: Limits
    setting: ways.Setting
    ways: tuple[Way, ...] = ("latency",)
    peaks: tuple[float, float] | None = None


@dataclass(frozen=True)
class RoundResult:
    """What one round gave.

    Attributes:
        times: Seconds of each pass, by way.
        batches: Images in each pass, by way.
        memory: Largest memory of tensors and of their allocator on a GPU, in bytes, by way.
        joules: Energy of one image, by way, where the GPU counts it.
        curve: Images per second against batch size.
        busy: Share of the time of a pass in which the GPU computed.
        attainable_seconds: Least time in which the device could run one image's operations.
        state: The machine meanwhile.
    """

    times: dict[Way, list[float]]
    batches: dict[Way, int]
    state: MachineState
    memory: dict[Way, tuple[int, int]] = field(default_factory=dict)
    joules: dict[Way, float] = field(default_factory=dict)
    curve: tuple[BatchPoint, ...] = ()
    busy: float | None = None
    attainable_seconds: float | None = None

    def joined(self, other: RoundResult) -> RoundResult:
        """This result with the passes of another one of the same network behind its own."""
        return RoundResult(
            times={way: [*times, *other.times.get(way, [])] for way, times in self.times.items()},
            batches=self.batches,
            state=max(self.state, other.state, key=lambda state: len(state.flags)),
            memory=self.memory,
            joules=self.joules,
            curve=self.curve,
            busy=self.busy,
            attainable_seconds=self.attainable_seconds,
        )


def time_round(build: Callable[[], nn.Module], plan: RoundPlan) -> RoundResult:
    """Time a network in all the ways of a plan.

    Args:
        build: Gives the network, in evaluation mode, on the default device of the moment.
        plan: How.

    Returns:
        The result. A way whose memory does not suffice is left out; single images must fit.

    Raises:
        Exception: Whatever the network raises.
    """
    timer = _Timer(build(), plan)
    with Watch(plan.device) as watch:
        for way in plan.ways:
            timer.time(way)
    return RoundResult(
        times=timer.times,
        batches=timer.batches,
        state=watch.state(),
        memory=timer.memory,
        joules=timer.joules,
        curve=timer.curve,
        busy=timer.busy,
        attainable_seconds=_attainable(build, plan.shape, plan.peaks) if plan.peaks else None,
    )


class _Timer:
    """Times one prepared network way after way, and keeps what it finds."""

    def __init__(self, network: nn.Module, plan: RoundPlan) -> None:
        self.times: dict[Way, list[float]] = {}
        self.batches: dict[Way, int] = {}
        self.memory: dict[Way, tuple[int, int]] = {}
        self.joules: dict[Way, float] = {}
        self.curve: tuple[BatchPoint, ...] = ()
        self.busy: float | None = None
        self._plan, self._device = plan, plan.device
        self._network = ways.prepare(network, plan.device, plan.setting)
        self._gpu = Gpu(gpu_uuid(plan.device)) if plan.device.type == "cuda" else None

    def time(self, way: Way) -> None:
        """Time one way; what is no single image may fail for want of memory, and is left out.

        So is a network that can't be recorded as a graph.
        """
        try:
            self._time(way)
        except (RuntimeError, MemoryError) as error:
            if way != "graph" and (way not in _LARGE or not out_of_memory(error)):
                raise

    def _time(self, way: Way) -> None:
        batch = 30 if way == "batch-30" else 1
        if way == "throughput":
            self.curve = throughput_curve(self._network, self._images, self._device)
            best = best_point(self.curve)
            if best is None:
                return
            batch = best.batch
        run = _Counter(self._pass(way, batch))
        self._forget_peak()
        before = self._joules()
        if way in ("single", "batch-30"):
            times = ways.published_times(run, most_seconds=self._plan.limits.most_seconds)
        else:
            times = time_passes(run, self._plan.limits)
        after = self._joules()
        self.times[way], self.batches[way] = times, batch
        if before is not None and after is not None:
            self.joules[way] = (after - before) / (run.calls * batch)
        if self._gpu is not None:
            self.memory[way] = (
                torch.cuda.max_memory_allocated(self._device),
                torch.cuda.max_memory_reserved(self._device),
            )
        if isinstance(run.run, ways.GraphPass):
            self.busy = ways.busy_share(run.run, float(np.median(self.times["latency"])))

    def _pass(self, way: Way, batch: int) -> ways.Run:
        setting = self._plan.setting
        if way == "end-to-end":
            host = torch.randn(batch, *self._plan.shape)
            return ways.end_to_end_pass(self._network, host, self._device, setting)
        if way == "graph":
            recorded = ways.graph_pass(self._network, self._images(batch), self._device)
            if recorded is None:
                raise RuntimeError("only a GPU has graphs")
            return recorded
        return ways.single_pass(self._network, self._images(batch), self._device)

    def _images(self, batch: int) -> Tensor:
        return ways.place(torch.randn(batch, *self._plan.shape), self._device, self._plan.setting)

    def _forget_peak(self) -> None:
        if self._gpu is not None:
            torch.cuda.reset_peak_memory_stats(self._device)

    def _joules(self) -> float | None:
        return self._gpu.joules() if self._gpu is not None else None


class _Counter:
    """A function that counts its calls, those of the warm-up too."""

    def __init__(self, run: ways.Run) -> None:
        self.run = run
        self.calls = 0

    def __call__(self) -> None:
        self.run()
        self.calls += 1


def _attainable(
    build: Callable[[], nn.Module], shape: tuple[int, int, int], peaks: tuple[float, float]
) -> float | None:
    try:
        with torch.device("meta"):
            network, image = build(), torch.zeros(1, *shape)
        return roofline.attainable_seconds(roofline.operations(network, image), peaks)
    except Exception:  # a network that looks at values can't run without any
        return None
