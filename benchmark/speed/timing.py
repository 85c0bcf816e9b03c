"""Timing: how fast a network ran in one way, over all rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmark.speed.clock import median_interval

Way = Literal["latency", "graph", "end-to-end", "single", "batch-30", "throughput"]
"""How a network is run.

`latency`: one image on the device, each pass waited for. `graph`: the same, replayed as a CUDA
graph. `end-to-end`: image from the host's memory, forward, argmax, labels back to the host.
`single` and `batch-30`: as papers time it, the mean of many passes, launched one by one with
synchronisation, or 30 images a pass. `throughput`: passes back to back at the best batch size.
"""

UNSTABLE = 0.03
"""Width of the interval of a median, relative to it, above which a timing is called unstable."""

_FEWEST = 3
"""Fewer passes have no interval to speak of."""


class BatchPoint(BaseModel):
    """Images per second at one batch size; None where its memory did not suffice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int
    fps: float | None
    peak_allocated_bytes: int | None = None


class Passes(BaseModel):
    """The passes of all rounds in numbers.

    Attributes:
        latency_ms: Median time of a pass over all rounds, in milliseconds.
        fps: Images per second at that median; of `single` and `batch-30` at the mean, which papers
            give.
        p5_ms: Fifth percentile of the passes.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        low_ms: Lower end of the median's 95 % bootstrap interval, rounds resampled as a whole.
        high_ms: Its upper end.
        n: Passes that were timed.
        round_medians_ms: The median of each round, in the order of the rounds.
        flags: What makes it doubtful: "unstable", "throttled", "shared".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: float
    fps: float
    p5_ms: float
    p95_ms: float
    p99_ms: float
    low_ms: float
    high_ms: float
    n: int
    round_medians_ms: tuple[float, ...]
    flags: tuple[str, ...] = ()


class Timing(Passes):
    """One network, run in one way.

    Attributes:
        way: How it was run.
        batch: Images in each pass.
        precision: `fp32`, `tf32`, `bf16` or `fp16`.
        channels_last: Whether images and weights lay in memory with the channels last.
        compiled: Whether torch.compile had prepared it; its time is not counted.
        relative: Median of the rounds' ratios to the reference network's median; None for `way`s
            in which that was not timed.
        peak_allocated_bytes: Largest memory of tensors on a GPU; None on a CPU.
        peak_reserved_bytes: Largest memory that the allocator held on a GPU.
        busy: Share of the time in which the GPU computed.
        attained: Share of the speed that this machine could reach for these operations.
        joules: Energy of one image, where the GPU counts it.
    """

    way: Way
    batch: int
    precision: str
    channels_last: bool
    compiled: bool
    relative: float | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    busy: float | None = None
    attained: float | None = None
    joules: float | None = None


def summarise(rounds: Sequence[Sequence[float]], batch: int) -> Passes:
    """What `Timing` says of the passes of all rounds.

    Args:
        rounds: The seconds of each pass, by round; no round is empty.
        batch: Images in each pass.

    Returns:
        Median, percentiles, interval and flags.
    """
    milliseconds = [1e3 * np.asarray(each, dtype=float) for each in rounds]
    every = np.concatenate(milliseconds)
    low, high = median_interval(milliseconds)
    median = float(np.median(every))
    p5, p95, p99 = (float(value) for value in np.percentile(every, (5, 95, 99)))
    medians = tuple(float(np.median(each)) for each in milliseconds)
    # An interval over few rounds can be lucky; what the rounds themselves span can't.
    width = max(high - low, max(medians) - min(medians))
    unstable = width > UNSTABLE * median or len(every) < _FEWEST
    return Passes(
        latency_ms=median,
        fps=1e3 * batch / median,
        p5_ms=p5,
        p95_ms=p95,
        p99_ms=p99,
        low_ms=low,
        high_ms=high,
        n=len(every),
        round_medians_ms=medians,
        flags=("unstable",) if unstable else (),
    )
