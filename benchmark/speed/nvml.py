"""One GPU as NVML sees it: clocks, power, heat, and who else computes on it.

Nearly every call fails on some GPU, driver or container; what can't be asked is None.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import Any

import torch

_SM, _MEMORY = 1, 2  # nvmlClockType_t
_ON_THE_GPU = 0  # nvmlTemperatureSensors_t

REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal slowdown by software",
    0x40: "thermal slowdown by hardware",
    0x80: "power brake",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability",
}
"""Bits of the reasons that hold clocks down. Left out are idleness (1) and clocks set by the user
(2), which are no trouble."""


@dataclass(frozen=True)
class Sample:
    """One look at a GPU; None for what it doesn't tell.

    Attributes:
        sm_mhz: Clock of its processors.
        memory_mhz: Clock of its memory.
        watts: Power.
        celsius: Temperature.
        reasons: What holds its clocks down.
        utilization: Share of the last moments in which a kernel ran.
    """

    sm_mhz: float | None
    memory_mhz: float | None
    watts: float | None
    celsius: float | None
    reasons: tuple[str, ...] | None
    utilization: float | None


def gpu_uuid(device: torch.device) -> str:
    """The UUID of a GPU as NVML writes it; torch's number of it depends on the environment."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


class Gpu:
    """A GPU that NVML can be asked about.

    Args:
        uuid: Of the GPU, as `gpu_uuid` gives it.
        nvml: The module `pynvml`; None to import it.
    """

    def __init__(self, uuid: str, nvml: Any = None) -> None:
        self._nvml: Any = nvml
        self._handle: Any = None
        if nvml is None:
            try:
                self._nvml = importlib.import_module("pynvml")
            except ImportError:
                return
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError:
            self._nvml = None
            return
        # A part of a GPU (MIG) has the same kind of UUID, under another prefix.
        for name in (uuid, uuid.replace("GPU-", "MIG-", 1)):
            self._handle = self._handle or self._call("nvmlDeviceGetHandleByUUID", name)

    @property
    def known(self) -> bool:
        """Whether NVML knows this GPU at all."""
        return self._handle is not None

    def close(self) -> None:
        """Let go of NVML."""
        if self._nvml is not None:
            self._call("nvmlShutdown")

    def look(self) -> Sample:
        """Its clocks, power, temperature and utilization now."""
        rates = self._ask("nvmlDeviceGetUtilizationRates")
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")  # its older name
        celsius = self._ask("nvmlDeviceGetTemperatureV", _ON_THE_GPU)
        if celsius is None:
            celsius = self._ask("nvmlDeviceGetTemperature", _ON_THE_GPU)
        milliwatts = self._ask("nvmlDeviceGetPowerUsage")
        return Sample(
            sm_mhz=self._ask("nvmlDeviceGetClockInfo", _SM),
            memory_mhz=self._ask("nvmlDeviceGetClockInfo", _MEMORY),
            watts=None if milliwatts is None else milliwatts / 1e3,
            celsius=celsius,
            reasons=None if bits is None else tuple(n for bit, n in REASONS.items() if bits & bit),
            utilization=None if rates is None else rates.gpu / 100,
        )

    def power_limit(self) -> float | None:
        """The limit of its power that is in force, in watts."""
        milliwatts = self._ask("nvmlDeviceGetEnforcedPowerLimit")
        return None if milliwatts is None else milliwatts / 1e3

    def joules(self) -> float | None:
        """The energy it used since its driver was loaded."""
        millijoules = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if millijoules is None else millijoules / 1e3

    def others(self, ours: bool) -> int | None:
        """How many other processes compute on it.

        Args:
            ours: Whether this process computes on it too. In a container NVML may know it by
                another number; then one of those that it lists is this one.

        Returns:
            Their number; None where NVML lists none although this one computes.
        """
        listed = self._ask("nvmlDeviceGetComputeRunningProcesses")
        if listed is None or (ours and not listed):
            return None
        numbers = {each.pid for each in listed}
        return len(numbers) - (1 if ours or os.getpid() in numbers else 0)

    def _ask(self, name: str, *args: object) -> Any:
        return self._call(name, self._handle, *args) if self.known else None

    def _call(self, name: str, *args: object) -> Any:
        """What a function of NVML returns; None where driver, GPU or package lack it."""
        function = getattr(self._nvml, name, None)
        if function is None:
            return None
        try:
            return function(*args)
        except self._nvml.NVMLError:
            return None
