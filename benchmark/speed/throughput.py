"""Images a second against the number of images in a pass."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from benchmark.speed.timing import BatchPoint
from benchmark.speed.ways import MakeImage, Run, synchronise

_GAIN = 0.02
"""A batch twice as large that gains less is the last one."""


def throughput_curve(
    network: nn.Module,
    make_image: MakeImage,
    device: torch.device,
    seconds: float = 1.0,
    blocks: int = 3,
    largest: int = 1024,
) -> tuple[BatchPoint, ...]:
    """Time passes back to back with 1, 2, 4, ... images.

    It should come last in its process: of a compiled network it drops what was compiled, since
    torch would otherwise give up compiling after some sizes and run the rest without a word.

    Args:
        network: A prepared network.
        make_image: Makes the images, as `ways.place` gives them.
        device: The device of both.
        seconds: The least time of a block of passes; the GPU is waited for at its end only.
        blocks: The median of so many counts.
        largest: The largest batch.

    Returns:
        A point for each batch, up to the first that gains under 2 % over the best before it, or
        whose memory doesn't suffice (with None for images a second).
    """
    points: list[BatchPoint] = []
    best, batch = 0.0, 1
    while batch <= largest:
        if hasattr(network, "_orig_mod"):  # compiled
            torch.compiler.reset()
        fps = _or_none(partial(_fps, network, make_image, device, batch, seconds, blocks), device)
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
        points.append(BatchPoint(batch=batch, fps=fps, peak_allocated_bytes=peak if fps else None))
        if fps is None or fps < best * (1 + _GAIN):
            break
        best, batch = fps, 2 * batch
    _free(device)
    return tuple(points)


def best_point(curve: tuple[BatchPoint, ...]) -> BatchPoint | None:
    """The point with most images a second; None where no batch ran."""
    ran = [(each.fps, each) for each in curve if each.fps is not None]
    return max(ran, key=lambda pair: pair[0])[1] if ran else None


def _or_none(fps: Callable[[], float], device: torch.device) -> float | None:
    """Images a second; None where memory does not suffice."""
    _free(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        return fps()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    # Out here, for the exception's traceback held all tensors of the failed pass.
    _free(device)
    return None


def _fps(
    network: nn.Module,
    make_image: MakeImage,
    device: torch.device,
    batch: int,
    seconds: float,
    blocks: int,
) -> float:
    image = make_image(batch)
    with torch.inference_mode():

        def run() -> None:
            network(image)

        _block(run, device, 1)  # compiles, and tries cuDNN's algorithms
        count = 1
        while (took := _block(run, device, count)) < seconds:
            # A tenth more than it should take; a first estimate may be far too slow.
            count = max(count + 1, math.ceil(1.1 * count * seconds / took))
        times = [took, *(_block(run, device, count) for _ in range(blocks - 1))]
    return batch * count / statistics.median(times)


def _block(run: Run, device: torch.device, count: int) -> float:
    """Seconds of passes that are launched without waiting for each other."""
    synchronise(device)
    began = time.perf_counter()
    for _ in range(count):
        run()
    synchronise(device)
    return time.perf_counter() - began


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory did not suffice; of a CPU torch says it in words."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
        or "alloc_failed" in text  # cuDNN's and cuBLAS' own
    )


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
