"""One round of one network, in every way that a CPU has."""

from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from benchmark.speed import round as module
from benchmark.speed.clock import Limits
from benchmark.speed.round import RoundPlan, time_round
from benchmark.speed.throughput import throughput_curve
from benchmark.speed.timing import Way
from benchmark.speed.ways import Setting

CPU = torch.device("cpu")
BRIEF = Limits(0.0, 1, 0.05, 5, 0.5, 2.0)
WAYS: tuple[Way, ...] = ("latency", "end-to-end", "single", "batch-30", "throughput", "graph")


class Waiter(nn.Conv2d):
    """Takes 10 ms, however many images there are: each larger batch is worth it."""

    most = 1000
    waited = 0.0

    def __init__(self) -> None:
        super().__init__(3, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        if image.device.type != "meta":
            if len(image) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            time.sleep(0.01)
            Waiter.waited += 0.01
        return super().forward(image)


class Narrow(Waiter):
    """Has no room for more than four images."""

    most = 4


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    brief = partial(throughput_curve, seconds=0.02, blocks=2, largest=8)
    monkeypatch.setattr(module, "throughput_curve", brief)
    # A clock that only the waiting moves, since a busy machine makes a larger batch seem slower.
    clock = SimpleNamespace(perf_counter=lambda: Waiter.waited)
    monkeypatch.setattr("benchmark.speed.throughput.time", clock)


def plan(*ways: Way, peaks: tuple[float, float] | None = None) -> RoundPlan:
    return RoundPlan(CPU, (3, 8, 8), BRIEF, Setting(), ways, peaks)


def test_all_ways_of_a_cpu() -> None:
    result = time_round(Waiter, plan(*WAYS, peaks=(1e9, 1e9)))
    assert set(result.times) == set(WAYS) - {"graph"}
    assert result.batches == {
        "latency": 1,
        "end-to-end": 1,
        "single": 1,
        "batch-30": 30,
        "throughput": 8,
    }
    assert all(min(times) >= 0.01 for times in result.times.values())
    assert len(result.times["single"]) == 89
    assert [point.batch for point in result.curve] == [1, 2, 4, 8]
    # 3 inputs and 2 outputs of 64 pixels and 4 bytes, and 8 weights: bound by memory
    assert result.attainable_seconds == pytest.approx((5 * 64 + 8) * 4 / 1e9)
    assert (result.busy, result.memory, result.joules) == (None, {}, {})


def test_a_batch_that_does_not_fit_is_left_out() -> None:
    result = time_round(Narrow, plan("latency", "batch-30", "throughput"))
    assert set(result.times) == {"latency", "throughput"}
    assert [point.fps is None for point in result.curve] == [False, False, False, True]
    assert result.batches["throughput"] == 4


def test_a_single_image_must_fit() -> None:
    class Full(Waiter):
        most = 0

    with pytest.raises(torch.OutOfMemoryError):
        time_round(Full, plan("latency"))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    class Wrong(Waiter):
        def forward(self, image: Tensor) -> Tensor:
            if len(image) > 1:
                raise RuntimeError("shapes don't fit")
            return super().forward(image)

    with pytest.raises(RuntimeError, match="shapes"):
        time_round(Wrong, plan("latency", "batch-30"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_all_ways_of_a_gpu() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 2, 1)).eval()

    device = torch.device("cuda", 0)
    result = time_round(
        build, RoundPlan(device, (3, 256, 256), BRIEF, Setting(), WAYS, (1e13, 1e12))
    )
    assert set(result.times) == set(WAYS)
    assert set(result.memory) == set(WAYS)
    assert result.busy is not None and 0 < result.busy <= 1
    assert result.state.samples > 0
