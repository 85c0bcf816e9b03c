"""The clock: warm up, time passes one by one, and stop when their median is known well enough."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_RESAMPLES = 1000
_CONFIDENCE = 0.95
_STEADY = 0.01
"""Two windows of the warm-up whose medians differ by less are alike."""


@dataclass(frozen=True)
class Limits:
    """How long to warm up and to measure.

    Attributes:
        warm_seconds: Least time of the warm-up.
        warm_passes: Least number of its passes.
        seconds: Least time that is measured.
        passes: Least number of passes that are measured.
        width: The measurement ends when the 95 % interval of the median is narrower than this
            share of the median.
        most_seconds: The longest that warm-up and measurement together may take. One pass is
            always done; where there is no time for a second one, it is the measurement.
    """

    warm_seconds: float = 3.0
    warm_passes: int = 50
    seconds: float = 2.0
    passes: int = 50
    width: float = 0.01
    most_seconds: float = 60.0


FULL = Limits()
QUICK = Limits(warm_seconds=0.5, warm_passes=2, seconds=1.0, passes=10, most_seconds=20.0)
"""For a CPU, where one pass may take seconds."""


def time_passes(run: Callable[[], object], limits: Limits) -> list[float]:
    """Time a function again and again.

    Args:
        run: One pass; it returns when the pass is over, so on a GPU it waits for the device.
        limits: How long to go on.

    Returns:
        Wall-clock seconds of each pass after the warm-up.
    """
    with _no_garbage_collection():
        end = time.perf_counter() + limits.most_seconds
        warm = _warm_up(run, limits, end)
        if time.perf_counter() + warm[-1] > end:  # there is no time for another pass
            return warm[-1:]
        return _measure(run, limits, end)


def _warm_up(run: Callable[[], object], limits: Limits, end: float) -> list[float]:
    """Run until both least amounts are reached and the speed no longer changes."""
    began = time.perf_counter()
    # The warm-up may take a third of the time; a slow network is measured all the same.
    latest = began + (end - began) / 3
    window = max(1, limits.warm_passes // 2)
    times: list[float] = []
    while True:
        times.append(_once(run))
        now = time.perf_counter()
        if now + times[-1] > latest:
            return times
        enough = len(times) >= limits.warm_passes and now - began >= limits.warm_seconds
        if enough and len(times) >= 2 * window and len(times) % window == 0:
            before, after = np.median(times[-2 * window : -window]), np.median(times[-window:])
            if abs(after - before) < _STEADY * before:
                return times


def _measure(run: Callable[[], object], limits: Limits, end: float) -> list[float]:
    began = time.perf_counter()
    times: list[float] = []
    check_at = limits.passes
    while True:
        times.append(_once(run))
        now = time.perf_counter()
        if now + times[-1] > end:  # the next pass would go over the limit
            return times
        if len(times) >= check_at and now - began >= limits.seconds:
            low, high = median_interval([np.asarray(times)])
            if high - low < limits.width * float(np.median(times)):
                return times
            check_at = int(1.3 * len(times)) + 1


def _once(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def median_interval(rounds: Sequence[npt.NDArray[np.float64]]) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median of all passes.

    Rounds are resampled first, then the passes of each (Field and Welsh, 2007, section 2): what
    differs between processes, such as the choice of a convolution's algorithm, widens it.

    Args:
        rounds: The times of each round.

    Returns:
        Lower and upper end, in the unit of the times.
    """
    random = np.random.default_rng(0)
    medians = np.empty(_RESAMPLES)
    for index in range(_RESAMPLES):
        chosen = random.integers(len(rounds), size=len(rounds))
        drawn = [random.choice(rounds[each], len(rounds[each])) for each in chosen]
        medians[index] = np.median(np.concatenate(drawn))
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(medians, (tail, 1 - tail))
    return float(low), float(high)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python's collector, which stops everything now and then, out of the measurement."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
