"""The state of the machine while a network was timed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

THROTTLED, SHARED = "throttled", "shared"


class MachineState(BaseModel):
    """What was seen while a network was timed, summed up over its samples.

    Attributes:
        samples: How often the machine was looked at.
        others: Share of the cores that this process may use and somebody else used; on a GPU,
            number of other processes on it. None where that can't be seen.
        sm_clock_mhz: Least, median and largest clock of the GPU's processors.
        memory_clock_mhz: Median clock of its memory.
        power_watts: Median and largest power.
        power_limit_watts: What its power is limited to.
        temperature_c: Largest temperature.
        throttle: Reasons for which its clocks were held down, other than idleness.
        utilization: Median share of time in which a kernel ran, as NVML counts it.
        joules: Energy over the whole measurement.
        flags: "throttled" and "shared", where they apply.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int
    others: float | None
    sm_clock_mhz: tuple[float, float, float] | None = None
    memory_clock_mhz: float | None = None
    power_watts: tuple[float, float] | None = None
    power_limit_watts: float | None = None
    temperature_c: float | None = None
    throttle: tuple[str, ...] = ()
    utilization: float | None = None
    joules: float | None = None
    flags: tuple[str, ...] = ()
