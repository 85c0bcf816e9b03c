from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
import torch

from benchmark.speed import watch as watching
from benchmark.speed.nvml import Gpu, gpu_uuid
from benchmark.speed.state import MachineState
from benchmark.speed.watch import Watch

CUDA = torch.device("cuda")


class FakeNvml:
    """`pynvml`, with one GPU whose clock falls from look to look."""

    class NVMLError(Exception):
        pass

    def __init__(self, *missing: str, reasons: int = 0, pids: tuple[int, ...] = ()) -> None:
        self.missing, self.reasons, self.pids = set(missing), reasons, pids
        self.looks = self.energy = self.open = 0

    def __getattr__(self, name: str):
        if name in self.missing:
            raise AttributeError(name)
        return lambda *args: self._answer(name, args)

    def _answer(self, name: str, args: tuple) -> object:
        if name == "nvmlInit":
            self.open += 1
            return None
        if name == "nvmlShutdown":
            self.open -= 1
            return None
        assert self.open == 1
        if name == "nvmlDeviceGetHandleByUUID":
            if args != ("GPU-1",):
                raise self.NVMLError("not found")
            return "handle"
        assert args[0] == "handle"
        if name == "nvmlDeviceGetClockInfo":
            if args[1] == 2:
                return 2619
            self.looks += 1
            return 1980 - 10 * min(self.looks, 3)
        if name == "nvmlDeviceGetTotalEnergyConsumption":
            self.energy += 12_500
            return self.energy
        if name == "nvmlDeviceGetComputeRunningProcesses":
            return [SimpleNamespace(pid=pid) for pid in self.pids]
        return {
            "nvmlDeviceGetPowerUsage": 350_500,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetTemperature": 61,
            "nvmlDeviceGetTemperatureV": 61,
            "nvmlDeviceGetCurrentClocksEventReasons": self.reasons,
            "nvmlDeviceGetCurrentClocksThrottleReasons": self.reasons,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=83, memory=20),
        }[name]


class TouchingOnce(FakeNvml):
    """A GPU that is at its power cap at the first look alone."""

    def _answer(self, name: str, args: tuple) -> object:
        self.reasons = 0x4 if self.looks < 2 else 0  # the clock is asked for first, and counts
        return super()._answer(name, args)


class Refusing(FakeNvml):
    """A GPU that supports nothing beyond its name."""

    def _answer(self, name: str, args: tuple) -> object:
        answer = super()._answer(name, args)
        if name.startswith("nvmlDeviceGet") and not name.endswith("UUID"):
            raise self.NVMLError("not supported")
        return answer


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(watching, "INTERVAL", 0.005)


def watched(nvml: FakeNvml, looks: int = 5, uuid: str = "GPU-1") -> MachineState:
    with Watch(CUDA, nvml, uuid) as watch:
        end = time.monotonic() + 20
        while nvml.looks < looks and time.monotonic() < end:
            time.sleep(0.005)
    assert nvml.open == 0
    return watch.state()


def test_a_gpu_at_rest_but_for_us():
    state = watched(FakeNvml(pids=(os.getpid(),), reasons=0x1 | 0x2))
    assert state.samples >= 5
    assert state.model_dump(exclude={"samples"}) == {
        "others": 0,
        "sm_clock_mhz": (1950.0, 1950.0, 1970.0),
        "memory_clock_mhz": 2619.0,
        "power_watts": (350.5, 350.5),
        "power_limit_watts": 700.0,
        "temperature_c": 61.0,
        "throttle": (),
        "utilization": 0.83,
        "joules": 12.5,
        "flags": (),
    }
    assert MachineState.model_validate_json(state.model_dump_json()) == state


def test_reasons_and_other_processes_are_flagged():
    state = watched(FakeNvml(pids=(os.getpid(), 1, 2), reasons=0x4 | 0x40 | 0x1))
    assert state.throttle == ("power cap", "thermal slowdown by hardware")
    assert (state.others, state.flags) == (2, ("throttled", "shared"))


def test_a_touch_of_the_power_cap_is_told_but_not_flagged():
    state = watched(TouchingOnce(), looks=200)
    assert (state.throttle, state.flags) == (("power cap",), ())


def test_an_old_package_has_other_names():
    missing = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetTemperatureV")
    state = watched(FakeNvml(*missing, reasons=0x8))
    assert (state.throttle, state.temperature_c) == (("hardware slowdown",), 61)


def test_what_a_gpu_does_not_support_is_none():
    nvml = Refusing()
    nvml.looks = 99
    state = watched(nvml)
    assert state == MachineState(samples=state.samples, others=None)
    assert state.samples >= 1


def test_without_driver_or_gpu_nothing_is_known():
    class NoDriver(FakeNvml):
        def _answer(self, name: str, args: tuple) -> object:
            raise self.NVMLError("no driver")

    for nvml in (NoDriver(), FakeNvml()):
        nvml.looks = 99
        assert watched(nvml, uuid="GPU-2") == MachineState(samples=0, others=None)


@pytest.mark.parametrize(
    ("pids", "ours", "others"),
    [
        ((os.getpid(),), True, 0),
        ((os.getpid(), 7), True, 1),
        ((7,), True, 0),  # a container: 7 is this process, seen from outside
        ((7, 7), True, 0),
        ((7, 8), True, 1),
        ((), True, None),  # this one computes and isn't listed: nobody would be
        ((), False, 0),
        ((7,), False, 1),
    ],
)
def test_other_processes(pids, ours, others):
    assert Gpu("GPU-1", FakeNvml(pids=pids)).others(ours) == others


def test_a_measurement_shorter_than_a_look_has_one(monkeypatch):
    monkeypatch.setattr(watching, "INTERVAL", 30.0)
    with Watch(CUDA, FakeNvml(), "GPU-1") as watch:
        pass
    assert watch.state().samples == 1


def test_an_exception_ends_the_thread():
    nvml = FakeNvml()
    with pytest.raises(KeyError), Watch(CUDA, nvml, "GPU-1") as watch:
        raise KeyError
    assert not watch._thread.is_alive()
    assert nvml.open == 0


def fake_cores(monkeypatch, *readings) -> None:
    """Readings of (user, steal, idle) of two cores together, and of this process."""
    left = list(readings)

    def use() -> tuple[float, float, float]:
        user, steal, idle, own = left.pop(0)
        return user + steal + idle, user + steal, own

    monkeypatch.setattr(watching, "_cpu_use", use)
    monkeypatch.setattr(time, "perf_counter", iter(range(0, 1000, 10)).__next__)


@pytest.mark.parametrize(
    ("user", "steal", "own", "share", "flags"),
    [
        (10.0, 0.0, 10.0, 0.0, ()),
        (10.4, 0.2, 10.0, 0.03, ()),
        (12.0, 0.0, 10.0, 0.1, ("shared",)),
        (10.0, 3.0, 10.0, 0.15, ("shared",)),
        (9.99, 0.0, 10.0, 0.0, ()),  # ticks counted for this process and not yet for the core
    ],
)
def test_others_on_a_cpu(monkeypatch, user, steal, own, share, flags):
    fake_cores(monkeypatch, (5, 1, 3, 2), (5 + user, 1 + steal, 3 + 20 - user - steal, 2 + own))
    with Watch() as watch:
        pass
    state = watch.state()
    assert state.others == pytest.approx(share, abs=1e-9)
    assert state.flags == flags


def test_a_kernel_that_counts_nothing(monkeypatch):
    fake_cores(monkeypatch, (0, 0, 0, 2), (0, 0, 0, 12))
    with Watch(torch.device("cpu")) as watch:
        pass
    assert watch.state() == MachineState(samples=2, others=None)


def test_own_and_childrens_time_is_not_that_of_others():
    spin = "import time; e = time.process_time() + 0.5\nwhile time.process_time() < e: pass"
    before = watching._cpu_use()
    subprocess.run([sys.executable, "-c", spin], check=True)
    after_child = watching._cpu_use()
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    after = watching._cpu_use()
    assert after_child[2] - before[2] >= 0.45
    assert after[2] - after_child[2] >= 0.45


def test_a_busy_stranger_is_seen():
    """A process that is not our child: it was handed over to the system."""
    spin = "import time; e = time.time() + 30\nwhile time.time() < e: pass"
    launch = (
        "import subprocess, sys; null = subprocess.DEVNULL; "
        f"print(subprocess.Popen([sys.executable, '-c', {spin!r}], stdout=null, stderr=null,"
        " start_new_session=True).pid)"
    )
    done = subprocess.run([sys.executable, "-c", launch], capture_output=True, text=True)
    stranger = psutil.Process(int(done.stdout))
    try:
        with Watch() as watch:
            time.sleep(1.5)
    finally:
        stranger.kill()
    # Alone it would have a whole core; other work on the machine may leave it half of one.
    assert watch.state().flags == ("shared",)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_gpu():
    left = torch.randn(4096, 4096, device="cuda")
    with Watch(CUDA) as watch:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            left @ left
            torch.cuda.synchronize()
    assert Gpu(gpu_uuid(CUDA)).known
    state = watch.state()
    assert state.samples > 50  # at the interval of these tests
    assert state.sm_clock_mhz is not None
    assert state.power_watts is not None
    assert 0 < state.power_watts[0] <= 1.2 * (state.power_limit_watts or 2000)
    if state.joules is not None:
        assert 0.5 * state.power_watts[0] < state.joules / 2 < 1.5 * state.power_watts[1]
