"""The clock: how long it measures, when it stops, and what it says of the passes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.speed import clock
from benchmark.speed.clock import Limits, median_interval, time_passes
from benchmark.speed.timing import summarise


class FakeTime:
    """A clock that only passes advance, each by the next of the given seconds."""

    def __init__(self, seconds: Iterator[float]) -> None:
        self.now = 0.0
        self.passes = 0
        self._seconds = seconds

    def run(self) -> None:
        self.now += next(self._seconds)
        self.passes += 1

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterator[float]], FakeTime]:
    def make(seconds: Iterator[float]) -> FakeTime:
        made = FakeTime(seconds)
        monkeypatch.setattr(clock, "time", made)
        return made

    return make


def steady(seconds: float, jitter: float = 0.0) -> Iterator[float]:
    random = np.random.default_rng(1)
    while True:
        yield seconds * (1 + jitter * random.standard_normal())


def slowing(cold: float, warm: float, passes: int) -> Iterator[float]:
    """As a network that warms up: slow at first."""
    for index in range(passes):
        yield cold + (warm - cold) * index / passes
    while True:
        yield warm


def test_a_known_delay_is_measured() -> None:
    slept = []  # on a busy machine a sleep takes longer than asked

    def sleep() -> None:
        began = time.perf_counter()
        time.sleep(0.02)
        slept.append(time.perf_counter() - began)

    times = time_passes(sleep, Limits(0.1, 3, 0.5, 10, 0.05, 5.0))
    assert times == pytest.approx(slept[-len(times) :], rel=0.05)
    assert min(times) >= 0.02


def test_a_steady_network_is_left_after_the_least_amounts(fake) -> None:  # type: ignore[no-untyped-def]
    machine = fake(steady(0.01, 0.001))
    times = time_passes(machine.run, Limits(3.0, 50, 2.0, 50, 0.01, 60.0))
    assert sum(times) == pytest.approx(2.0, abs=0.5)
    assert machine.now - sum(times) == pytest.approx(3.0, abs=0.5)


def test_warming_up_goes_on_until_the_speed_is_steady(fake) -> None:  # type: ignore[no-untyped-def]
    machine = fake(slowing(0.05, 0.01, 400))
    times = time_passes(machine.run, Limits(0.1, 50, 0.5, 50, 0.01, 60.0))
    assert max(times) == pytest.approx(0.01)
    assert machine.passes - len(times) >= 400


def test_a_jittery_network_is_measured_for_longer(fake) -> None:  # type: ignore[no-untyped-def]
    limits = Limits(0.1, 10, 0.5, 50, 0.01, 60.0)
    calm, jittery = (
        len(time_passes(fake(steady(0.01, jitter)).run, limits)) for jitter in (0.001, 0.1)
    )
    assert 50 <= calm <= 55
    assert jittery > 400
    low, high = median_interval([np.asarray(time_passes(fake(steady(0.01, 0.1)).run, limits))])
    assert high - low < 0.01 * 0.0103


@pytest.mark.parametrize("seconds", [0.3, 4.0, 9.0, 15.0, 40.0])
def test_the_most_seconds_are_kept_where_a_pass_fits(fake, seconds: float) -> None:  # type: ignore[no-untyped-def]
    machine = fake(steady(seconds))
    times = time_passes(machine.run, Limits(0.5, 2, 1.0, 10, 1e-9, 20.0))
    assert times == pytest.approx([seconds] * len(times))
    assert machine.now <= max(20.0, seconds)


def test_garbage_is_not_collected_meanwhile_and_is_again_afterwards() -> None:
    seen = []
    time_passes(lambda: seen.append(gc.isenabled()), Limits(0.0, 1, 0.0, 3, 1.0, 1.0))
    assert not any(seen)
    assert gc.isenabled()


def test_a_failing_pass_leaves_the_collector_on() -> None:
    with pytest.raises(ZeroDivisionError):
        time_passes(lambda: 1 / 0, Limits())
    assert gc.isenabled()


def test_the_interval_covers_the_median_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        low, high = median_interval([random.lognormal(0.0, 0.2, 60)])
        covered += low <= 1.0 <= high
    assert 180 <= covered <= 200  # 95 % of 200 is 190; the bootstrap of a median is a little wide


def test_rounds_that_differ_widen_the_interval() -> None:
    random = np.random.default_rng(6)
    rounds = [random.normal(level, 0.001, 200) for level in (1.0, 1.05, 1.1)]
    low, high = median_interval(rounds)
    alone = median_interval([np.concatenate(rounds)])
    assert high - low > 2 * (alone[1] - alone[0])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.floats(0.001, 10), min_size=1, max_size=20), min_size=1, max_size=3))
def test_a_summary_orders_its_numbers(rounds: list[list[float]]) -> None:
    facts = summarise(rounds, 4)
    every = 1e3 * np.concatenate([np.asarray(each) for each in rounds])
    assert facts.latency_ms == pytest.approx(np.median(every))
    assert facts.fps == pytest.approx(4e3 / np.median(every))
    assert facts.low_ms <= facts.latency_ms * (1 + 1e-9)
    assert facts.high_ms >= facts.latency_ms * (1 - 1e-9)
    assert facts.p5_ms <= facts.p95_ms <= facts.p99_ms
    assert facts.n == len(every)


def test_what_is_unstable_says_so() -> None:
    random = np.random.default_rng(7)
    quiet = [random.normal(1.0, 0.002, 60) for _ in range(3)]
    assert summarise(quiet, 1).flags == ()
    assert summarise([*quiet, random.normal(1.04, 0.002, 60)], 1).flags == ("unstable",)
    assert summarise([[1.0, 1.0]], 1).flags == ("unstable",)
