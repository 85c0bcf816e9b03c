from __future__ import annotations

import gc
import time
import weakref

import pytest
import torch
from torch import Tensor, nn

from benchmark.speed.throughput import best_point, out_of_memory, throughput_curve
from benchmark.speed.timing import BatchPoint
from benchmark.speed.ways import Setting, place, prepare

CPU = torch.device("cpu")


class Machine(nn.Module):
    """A pass takes a fixed time and one for each image; above a batch memory does not suffice."""

    def __init__(self, fixed: float, each: float, room: int = 10_000, error=None) -> None:
        super().__init__()
        self.fixed, self.each, self.room = fixed, each, room
        self.error = error
        self.batches: list[int] = []
        self.held: list[weakref.ref[Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        self.batches.append(len(x))
        if len(x) > self.room:
            activations = x + 1
            self.held.append(weakref.ref(activations))
            raise self.error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        time.sleep(self.fixed + self.each * len(x))
        return x


def curve(machine: nn.Module, **options) -> tuple[BatchPoint, ...]:
    return throughput_curve(machine, lambda n: torch.ones(n, 1), CPU, 0.1, 3, **options)


def test_a_curve_ends_where_memory_does():
    machine = Machine(0.02, 0, room=4)
    points = curve(machine)
    assert [each.batch for each in points] == [1, 2, 4, 8]
    assert points[3] == BatchPoint(batch=8, fps=None)
    for point in points[:3]:
        # A sleep is never shorter; how much longer depends on what else the machine does.
        assert point.fps is not None and 0.5 < point.fps * 0.02 / point.batch <= 1
    gc.disable()
    try:
        assert machine.held[0]() is None  # the memory of the failed pass is free
    finally:
        gc.enable()
    assert best_point(points) == points[2]


def test_a_curve_ends_where_nothing_is_gained():
    points = curve(Machine(0, 0.02))
    assert len(points) <= 4  # not always two: a sleep is a little too long
    assert points[-1].fps is not None


def test_a_curve_ends_at_the_largest_batch():
    assert [each.batch for each in curve(Machine(0.01, 0), largest=2)] == [1, 2]


def test_where_not_even_one_image_has_room():
    points = curve(Machine(0, 0, room=0))
    assert points == (BatchPoint(batch=1, fps=None),)
    assert best_point(points) is None


def test_blocks_last_as_long_as_asked():
    machine = Machine(0.005, 0)
    curve(machine, largest=1)
    # One alone, one as an estimate, and three blocks of 20 or more.
    assert len(machine.batches) >= 2 + 3 * 15


def test_other_errors_are_no_results():
    with pytest.raises(RuntimeError, match="shapes"):
        curve(Machine(0, 0, room=0, error=RuntimeError("shapes differ")))


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDNN_STATUS_EXECUTION_FAILED"), False),
        (ValueError("no"), False),
    ],
)
def test_out_of_memory(error, memory):
    assert out_of_memory(error) == memory


def test_a_compiled_network_is_compiled_anew_for_each_batch(monkeypatch):
    resets = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(True))
    machine = Machine(0.01, 0)
    machine._orig_mod = nn.Identity()
    curve(machine, largest=4)
    assert len(resets) == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_curve_on_a_gpu_that_is_nearly_full():
    device = torch.device("cuda", 0)
    network = prepare(nn.Conv2d(3, 64, 3), device, Setting())

    def images(batch: int) -> Tensor:
        if batch > 4:
            torch.empty(2**50, dtype=torch.uint8, device=device)
        return place(torch.randn(batch, 3, 64, 64), device, Setting())

    points = throughput_curve(network, images, device, seconds=0.2)
    peaks = [each.peak_allocated_bytes for each in points if each.fps is not None]
    assert all(peaks)
    assert peaks == sorted(peaks, key=lambda peak: peak or 0)
    if len(points) == 4:
        assert points[-1] == BatchPoint(batch=8, fps=None)
