"""The ways of running a network that the clock times: each gives a function that does one pass.

A network here is a module that takes images of the measured size; what pads them is inside of it.
Every way but the published ones runs a pass before it hands out its function: there a compiler
compiles, cuDNN tries its algorithms, and what can't run at all says so, before any clock runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.speed.peaks import DTYPES
from benchmark.tensors import tensors_in

Run = Callable[[], object]
"""One pass; it returns when the pass is over."""

MakeImage = Callable[[int], Tensor]
"""Makes that many images, where and as the network wants them."""

_BEFORE_CAPTURE = 3
"""Passes before a graph is recorded, as torch's notes on CUDA have it."""


@dataclass(frozen=True)
class Setting:
    """How a network is prepared.

    Attributes:
        precision: `fp32` (without TF32), `tf32`, `bf16` or `fp16`.
        channels_last: Whether images and weights lie in memory with the channels last.
        compiled: Whether torch.compile prepares it.
    """

    precision: str = "fp32"
    channels_last: bool = False
    compiled: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """The type of images and weights."""
        return DTYPES[self.precision]

    @property
    def memory_format(self) -> torch.memory_format:
        """How images and weights lie in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def prepare(network: nn.Module, device: torch.device, setting: Setting) -> nn.Module:
    """Make a network ready to be timed, and set torch's switches for this process.

    The weights themselves are converted: autocast would time its casts along with them.

    Args:
        network: The network; it is changed.
        device: Where it goes.
        setting: Precision, memory format, compiler.

    Returns:
        The network in evaluation mode, or its compiled form. That compiles at its first pass, for
        one size of image each.
    """
    # Both, either way: their defaults differ from each other and between versions of torch.
    torch.backends.cuda.matmul.allow_tf32 = setting.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = setting.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    network.eval().requires_grad_(False)
    network.to(device=device, dtype=setting.dtype)
    network.to(memory_format=setting.memory_format)
    if setting.compiled:
        return torch.compile(network, dynamic=False)  # type: ignore[return-value]
    return network


def place(images: Tensor, device: torch.device, setting: Setting) -> Tensor:
    """Images as a prepared network takes them, on its device."""
    return images.to(device=device, dtype=setting.dtype, memory_format=setting.memory_format)


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done all that it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def single_pass(network: nn.Module, image: Tensor, device: torch.device) -> Run:
    """Forward passes of images that lie on the device, each waited for.

    Args:
        network: A prepared network.
        image: What `place` gave.
        device: The device of both.

    Returns:
        The function for the clock.
    """

    def run() -> None:
        with torch.inference_mode():
            network(image)
            synchronise(device)

    run()
    return run


class GraphPass:
    """A forward pass recorded as a CUDA graph; called, it replays it and waits for its end.

    Attributes:
        output: What the network gave; each replay writes it anew.
    """

    def __init__(self, graph: torch.cuda.CUDAGraph, output: object, device: torch.device) -> None:
        self._graph, self._device = graph, device
        self.output = output

    def __call__(self) -> None:
        """Replay it and wait."""
        self._graph.replay()
        torch.cuda.synchronize(self._device)

    def gpu_seconds(self, replays: int = 50) -> float:
        """Seconds of one replay on the GPU's own clock, many launched back to back."""
        with torch.cuda.device(self._device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            self()
            begin.record()
            for _ in range(replays):
                self._graph.replay()
            end.record()
            end.synchronize()
        return begin.elapsed_time(end) / 1e3 / replays


def graph_pass(network: nn.Module, image: Tensor, device: torch.device) -> GraphPass | None:
    """Record a forward pass as a CUDA graph, which is launched at once instead of by kernels.

    Args:
        network: A prepared network.
        image: What `place` gave; replays read it where it lies.
        device: The GPU of both.

    Returns:
        The function for the clock; None on a CPU, which has no such graphs.

    Raises:
        RuntimeError: The network can't be recorded: it asks for values of tensors on the way, or
            makes tensors on the host. Later work in this process may fail after that, too.
    """
    if device.type != "cuda":
        return None
    with torch.inference_mode(), torch.cuda.device(device):
        # On another stream than the default one, as recording demands.
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(_BEFORE_CAPTURE):
                network(image)
        torch.cuda.current_stream(device).wait_stream(side)
        torch.cuda.synchronize(device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side):
            output = network(image)
    replay = GraphPass(graph, output, device)
    replay()
    return replay


def busy_share(graph: GraphPass, eager_seconds: float) -> float:
    """The share of an eager pass in which the GPU computes; the rest it waits for launches.

    Args:
        graph: The pass as a graph.
        eager_seconds: Time of one pass of `single_pass`.

    Returns:
        At most 1. Somewhat too much, as a graph's time has the gaps between kernels in it.
    """
    return min(1.0, graph.gpu_seconds() / eager_seconds)


def end_to_end_pass(
    network: nn.Module, image: Tensor, device: torch.device, setting: Setting
) -> Callable[[], Tensor]:
    """Passes from the host's memory to the host's memory.

    The image is copied and cast to the network's precision on the device; of the labels, one byte
    a pixel comes back.

    Args:
        network: A prepared network. Of several outputs the first counts.
        image: Images on the host, as a loader gives them.
        device: The device of the network.
        setting: How the network was prepared.

    Returns:
        The function for the clock; it gives the labels, on the host, which each pass writes anew.
    """
    pinned = device.type == "cuda"
    source = image.pin_memory() if pinned else image
    host: list[Tensor] = []

    def run() -> Tensor:
        with torch.inference_mode():
            moved = source.to(device, non_blocking=True)
            output = next(tensors_in(network(place(moved, device, setting))))
            labels = _labels(output)
            if not host:
                host.append(torch.empty(labels.shape, dtype=labels.dtype, pin_memory=pinned))
            host[0].copy_(labels, non_blocking=True)
            synchronise(device)
            return host[0]

    run()
    return run


def _labels(logits: Tensor) -> Tensor:
    if logits.shape[1] == 1:  # one sigmoid logit
        return (logits[:, 0] > 0).to(torch.uint8)
    return logits.argmax(1).to(torch.uint8)


def published_times(
    run: Run, passes: int = 100, dropped: int = 11, most_seconds: float = float("inf")
) -> list[float]:
    """Time passes as MiniSeg's authors do: so many, without the first ones.

    Their figure is the mean. https://github.com/yun-liu/MiniSeg, `SegModels/speed.py`.

    Args:
        run: One pass.
        passes: How many are run.
        dropped: How many of these, the first ones, don't count; at most half of all.
        most_seconds: Where all passes would take longer, as on a CPU, fewer are run; two at least.

    Returns:
        Seconds of each pass that counts.
    """
    times: list[float] = []
    end = time.perf_counter() + most_seconds
    while len(times) < passes:
        began = time.perf_counter()
        run()
        now = time.perf_counter()
        times.append(now - began)
        if len(times) > 1 and now + times[-1] > end:
            break
    return times[min(dropped, len(times) // 2) :]
