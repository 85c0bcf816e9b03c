"""The ways to run a network, each a function without arguments that returns when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.speed.timing import BatchPoint
from benchmark.tensors import tensors_in

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
"""The type of weights and images in each precision."""

PUBLISHED_PASSES, PUBLISHED_DROPPED = 100, 11
"""Passes that MiniSeg's authors time, and the first ones of them that they leave out."""

_BLOCK_SECONDS = 1.0
_GAIN = 1.02
"""A larger batch that isn't faster by this much ends the curve, and is not the best one."""


@dataclass(frozen=True)
class Setting:
    """In which precision and memory format a network runs, and whether it is compiled."""

    precision: str = "fp32"
    channels_last: bool = False
    compiled: bool = False


def set_tf32(on: bool) -> None:
    """Allow or forbid TF32, for convolutions and matrix products both: their defaults differ."""
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def prepare(network: nn.Module, device: torch.device, setting: Setting) -> Any:
    """Make a network ready to be timed.

    Args:
        network: The network; it is changed.
        device: Where it shall run.
        setting: Precision, format, compilation.

    Returns:
        The network, or what torch.compile made of it: weights of the precision's own type, since
        autocast would add casts to every pass.
    """
    set_tf32(setting.precision == "tf32")
    torch.backends.cudnn.benchmark = True
    network = network.eval().requires_grad_(False).to(device, DTYPES[setting.precision])
    if setting.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return torch.compile(network) if setting.compiled else network


def make_image(shape: tuple[int, int, int, int], device: torch.device, setting: Setting) -> Tensor:
    """Random images `(N, C, H, W)` on the device, in the precision and format of the setting."""
    image = torch.randn(shape, device=device, dtype=DTYPES[setting.precision])
    return image.contiguous(memory_format=torch.channels_last) if setting.channels_last else image


def single_pass(network: Any, image: Tensor) -> Callable[[], None]:
    """Forward, then wait for the device."""

    def run() -> None:
        network(image)
        synchronise(image.device)

    return run


def graph_pass(network: Any, image: Tensor) -> Callable[[], None]:
    """The same pass recorded as a CUDA graph: replayed, it launches all kernels at once.

    Raises:
        RuntimeError: The network does what a graph can't hold, such as to look at values.
    """
    aside = torch.cuda.Stream(image.device)
    aside.wait_stream(torch.cuda.current_stream(image.device))
    with torch.cuda.stream(aside):  # the choice of algorithms must not be recorded
        for _ in range(3):
            network(image)
    torch.cuda.current_stream(image.device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = network(image)

    def run() -> None:
        graph.replay()
        synchronise(image.device)

    run.kept = kept  # type: ignore[attr-defined]  # the graph writes there
    return run


def end_to_end_pass(network: Any, image: Tensor, setting: Setting) -> Callable[[], Tensor]:
    """Image from the host's memory, forward, labels back in the host's memory."""
    device = image.device
    host = image.float().cpu()
    host = host.pin_memory() if device.type == "cuda" else host

    def run() -> Tensor:
        given = host.to(device, non_blocking=True).to(image.dtype)
        if setting.channels_last:
            given = given.contiguous(memory_format=torch.channels_last)
        logits = next(tensors_in(network(given)))
        labels = logits.argmax(1) if logits.shape[1] > 1 else logits[:, 0] > 0
        return labels.to(torch.uint8).cpu()  # waits by itself

    return run


def published_passes(network: Any, image: Tensor, most_seconds: float) -> list[float]:
    """Passes as MiniSeg's authors time them: a fixed number, the first ones left out.

    Args:
        network: The prepared network.
        image: The images of a pass.
        most_seconds: Where all passes would take longer, as on a CPU, fewer are done; one that
            counts and one that doesn't always are.

    Returns:
        Seconds of each pass that counts; papers give the mean.
    """
    run = single_pass(network, image)
    times: list[float] = []
    end = time.perf_counter() + most_seconds
    while len(times) < PUBLISHED_PASSES:
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
        if len(times) > 1 and time.perf_counter() + times[-1] > end:
            break
    dropped = min(PUBLISHED_DROPPED, len(times) // 2)
    return times[dropped:]


def throughput_curve(
    network: Any, shape: tuple[int, int, int], device: torch.device, setting: Setting
) -> list[BatchPoint]:
    """Images per second at batch 1, 2, 4 and so on, until it gains nothing or memory is short.

    Args:
        network: The prepared network.
        shape: Channels, height and width.
        device: Where it runs.
        setting: How it was prepared.

    Returns:
        The points in the order of the batch; one whose memory did not suffice is the last.
    """
    points: list[BatchPoint] = []
    batch, best = 1, 0.0
    while True:
        fps = _images_per_second(network, (batch, *shape), device, setting)
        points.append(BatchPoint(batch=batch, fps=fps, peak_allocated_bytes=peak_memory(device)[0]))
        if fps is None or fps < _GAIN * best:
            return points
        batch, best = 2 * batch, fps


def best_point(points: list[BatchPoint]) -> BatchPoint:
    """The fastest point; of those that are as fast, the one with the smallest batch."""
    return max(points, key=lambda point: point.fps or 0.0)


def _images_per_second(
    network: Any, shape: tuple[int, int, int, int], device: torch.device, setting: Setting
) -> float | None:
    """Passes back to back for a second, waited for at the end; None where memory is short."""
    forget_peak(device)
    try:
        image = make_image(shape, device, setting)
        network(image)
        synchronise(device)
        began, passes = time.perf_counter(), 0
        while time.perf_counter() - began < _BLOCK_SECONDS:
            network(image)
            passes += 1
            if passes % 8 == 0:  # without this a GPU's queue would grow far beyond the second
                synchronise(device)
        synchronise(device)
        return passes * shape[0] / (time.perf_counter() - began)
    except (torch.OutOfMemoryError, MemoryError):
        pass  # the memory is free once the exception, which holds the frames, is gone
    except RuntimeError as error:  # the CPU's allocator has no error of its own
        if "can't allocate memory" not in str(error):
            raise
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return None


def busy_share(image: Tensor, graph: Callable[[], None], latency: float) -> float:
    """The share of an eager pass in which the GPU computes.

    Args:
        image: The image, which names the device.
        graph: Its `graph_pass`, which leaves the GPU no pauses.
        latency: Seconds of an eager pass.

    Returns:
        The time of a replay by the GPU's own events over the latency, at most 1.
    """
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    graph()
    start.record()
    graph()
    end.record()
    synchronise(image.device)
    return min(1.0, start.elapsed_time(end) / 1e3 / latency)


def forget_peak(device: torch.device) -> None:
    """Begin to watch the memory of a GPU anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> tuple[int | None, int | None]:
    """Largest memory of tensors and of their allocator since `forget_peak`; None on a CPU."""
    if device.type != "cuda":
        return None, None
    return torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
