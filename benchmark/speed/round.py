"""One round of one network: every way of running it, timed in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.speed import roofline, ways
from benchmark.speed.clock import Limits, time_passes
from benchmark.speed.state import MachineState
from benchmark.speed.timing import BatchPoint, Way
from benchmark.speed.watch import Watch, energy_meter


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
    with torch.inference_mode(), Watch(plan.device) as watch:
        for way in plan.ways:
            timer.time(way)
    return RoundResult(
        times=timer.times,
        batches=timer.batches,
        state=watch.state,
        memory=timer.memory,
        joules=timer.joules,
        curve=tuple(timer.curve),
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
        self.curve: list[BatchPoint] = []
        self.busy: float | None = None
        self._plan = plan
        self._network = ways.prepare(network, plan.device, plan.setting)
        self._energy = energy_meter(plan.device)
        self._compiled_away = not plan.setting.compiled

    def time(self, way: Way) -> None:
        """Time one way; out of memory it is left out, unless it is a single image."""
        batch = {"batch-30": 30, "throughput": 1}.get(way, 1)
        try:
            self._time(way, batch)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise

    def _time(self, way: Way, batch: int) -> None:
        plan, device = self._plan, self._plan.device
        if way == "throughput":
            self.curve = ways.throughput_curve(self._network, plan.shape, device, plan.setting)
            batch = ways.best_point(self.curve).batch
        image = ways.make_image((batch, *plan.shape), device, plan.setting)
        if not self._compiled_away:  # compiling takes a while, and none of the clock's time
            self._network(image)
            self._compiled_away = True
        ways.forget_peak(device)
        before = self._energy()
        if way in ("single", "batch-30"):
            self.times[way] = ways.published_passes(self._network, image, plan.limits.most_seconds)
            passes = len(self.times[way]) + ways.PUBLISHED_DROPPED
        else:
            count = _Counter(self._pass(way, image))
            self.times[way] = time_passes(count, plan.limits)
            passes = count.calls
        after, memory = self._energy(), ways.peak_memory(device)
        self.batches[way] = batch
        if before is not None and after is not None:
            self.joules[way] = (after - before) / (passes * batch)
        if memory[0] is not None and memory[1] is not None:
            self.memory[way] = memory[0], memory[1]
        if way == "graph":
            latency = float(np.median(self.times["latency"]))
            self.busy = ways.busy_share(image, self._graph, latency)

    def _pass(self, way: Way, image: Tensor) -> Callable[[], object]:
        if way == "graph":
            self._graph = ways.graph_pass(self._network, image)
            return self._graph
        if way == "end-to-end":
            return ways.end_to_end_pass(self._network, image, self._plan.setting)
        return ways.single_pass(self._network, image)


class _Counter:
    """A function that counts its calls, those of the warm-up too."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._run = run
        self.calls = 0

    def __call__(self) -> None:
        self._run()
        self.calls += 1


def _attainable(
    build: Callable[[], nn.Module], shape: tuple[int, int, int], peaks: tuple[float, float]
) -> float | None:
    try:
        with torch.device("meta"):
            network, image = build(), torch.zeros(1, *shape)
        return roofline.attainable_seconds(roofline.operations(network, image), *peaks)
    except Exception:  # a network that looks at values can't run without any
        return None
