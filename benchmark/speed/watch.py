"""A look at the machine, ten times a second, while a network is timed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Any, Protocol

import psutil
import torch

from benchmark.speed.state import SHARED, THROTTLED, MachineState

_SECONDS_GPU = 0.1
_SECONDS_CPU = 0.5  # reading /proc costs a millisecond
_SHARED_CORES = 0.25
"""Cores in use by others above which a CPU is shared; an idle machine's own services use less."""

_HARMLESS = 0x1 | 0x2
"""Reasons for low clocks that are no throttling: the GPU is idle, or its clocks were set."""

_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


class _Probe(Protocol):
    """Looks at the machine now and then, and sums up what it saw."""

    seconds: float

    def look(self) -> None: ...

    def state(self) -> MachineState: ...


class Watch:
    """Samples the machine in a thread for as long as a block runs.

    Args:
        device: What the network runs on.

    Attributes:
        state: What was seen; there after the block.
    """

    state: MachineState

    def __init__(self, device: torch.device) -> None:
        self._probe: _Probe = _gpu_probe(device) if device.type == "cuda" else CpuProbe()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Watch:
        self._probe.look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._probe.look()
        self.state = self._probe.state()

    def _sample(self) -> None:
        while not self._over.wait(self._probe.seconds):
            self._probe.look()


class CpuProbe:
    """How many cores others used: the whole machine's time less this process's own.

    What a virtual machine was denied by its host ("steal") counts as others' use.
    """

    seconds = _SECONDS_CPU

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []

    def look(self) -> None:
        """Note the processor time of everybody, and of this process, since the start."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # Time in a guest is counted as user time too.
        every = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        own = os.times()
        self._samples.append((every, every - idle - own.user - own.system))

    def state(self) -> MachineState:
        """The share of the machine's time that others used, from the first look to the last."""
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        passed = ended - began
        others = max(0.0, (after - before) / passed) if passed > 0 else 0.0
        cores = psutil.cpu_count() or 1
        return MachineState(
            samples=len(self._samples),
            others=others,
            flags=(SHARED,) if others * cores > _SHARED_CORES else (),
        )


@dataclass(frozen=True)
class _Sample:
    sm_clock: float | None
    memory_clock: float | None
    power: float | None
    temperature: float | None
    reasons: int
    utilization: float | None
    others: int


class GpuProbe:
    """Clocks, power, temperature, throttling and other processes of a GPU, by NVML.

    What a GPU or its driver doesn't tell is None.

    Args:
        nvml: The module `pynvml`, initialised.
        uuid: The GPU's UUID, with or without "GPU-"; CUDA's own numbers don't tell which it is.
    """

    seconds = _SECONDS_GPU

    def __init__(self, nvml: Any, uuid: str) -> None:
        self._nvml = nvml
        name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        self._gpu = nvml.nvmlDeviceGetHandleByUUID(name)
        self._samples: list[_Sample] = []
        self._energy: list[float] = []

    def joules(self) -> float | None:
        """Energy since the driver was loaded, in joules."""
        energy = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if energy is None else energy / 1e3

    def _ask(self, function: str, *arguments: Any) -> Any:
        """What NVML answers, or None where it doesn't know."""
        ask = getattr(self._nvml, function, None)
        if ask is None:
            return None
        try:
            return ask(self._gpu, *arguments)
        except self._nvml.NVMLError:
            return None

    def look(self) -> None:
        """Note the present state."""
        nvml = self._nvml
        reasons = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if reasons is None:  # an older driver
            reasons = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        use = self._ask("nvmlDeviceGetUtilizationRates")
        processes = self._ask("nvmlDeviceGetComputeRunningProcesses") or []
        watts = self._ask("nvmlDeviceGetPowerUsage")
        energy = self.joules()
        if energy is not None:
            self._energy.append(energy)
        self._samples.append(
            _Sample(
                sm_clock=self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
                memory_clock=self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
                power=None if watts is None else watts / 1e3,
                temperature=self._ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
                reasons=(reasons or 0) & ~_HARMLESS,
                utilization=None if use is None else use.gpu / 100,
                others=sum(each.pid != os.getpid() for each in processes),
            )
        )

    def state(self) -> MachineState:
        """All samples together."""
        seen = self._samples
        limit = self._ask("nvmlDeviceGetEnforcedPowerLimit")
        reasons = 0
        for sample in seen:
            reasons |= sample.reasons
        clocks = _known(sample.sm_clock for sample in seen)
        memory = _known(sample.memory_clock for sample in seen)
        power = _known(sample.power for sample in seen)
        heat = _known(sample.temperature for sample in seen)
        use = _known(sample.utilization for sample in seen)
        others = max((sample.others for sample in seen), default=0)
        throttle = tuple(name for bit, name in _REASONS.items() if reasons & bit)
        return MachineState(
            samples=len(seen),
            others=others,
            sm_clock_mhz=(min(clocks), median(clocks), max(clocks)) if clocks else None,
            memory_clock_mhz=median(memory) if memory else None,
            power_watts=(median(power), max(power)) if power else None,
            power_limit_watts=None if limit is None else limit / 1e3,
            temperature_c=max(heat) if heat else None,
            throttle=throttle,
            utilization=median(use) if use else None,
            joules=self._energy[-1] - self._energy[0] if len(self._energy) > 1 else None,
            flags=((THROTTLED,) if throttle else ()) + ((SHARED,) if others else ()),
        )


def _known(values: Any) -> list[float]:
    return [float(value) for value in values if value is not None]


class _Blind:
    """Where NVML can't be used: nothing is known, and said."""

    seconds = 3600.0

    def look(self) -> None:
        """See nothing."""

    def state(self) -> MachineState:
        """No samples at all."""
        return MachineState(samples=0, others=0.0)


def _gpu_probe(device: torch.device) -> _Probe:
    try:
        import pynvml

        pynvml.nvmlInit()
        return GpuProbe(pynvml, str(torch.cuda.get_device_properties(device).uuid))
    except Exception:  # no driver library, or a GPU that it doesn't list
        return _Blind()


def energy_meter(device: torch.device) -> Callable[[], float | None]:
    """A function that tells a GPU's energy so far, in joules; None where it isn't told."""
    probe = _gpu_probe(device) if device.type == "cuda" else None
    return probe.joules if isinstance(probe, GpuProbe) else lambda: None
