"""What a machine can reach, measured: multiply-adds a second, and bytes a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
"""The type of images and weights in each precision."""

_CUDA_SIZES = (4096, 8192)
_CPU_SIZES = (256, 512, 1024, 2048)
_CPU_SECONDS = 1.0
"""All products on a CPU take about that long together."""

_CUDA_CONV, _CPU_CONV = (8, 512, 128), (1, 256, 64)
"""Images, channels and size of a convolution."""

_CUDA_COPY, _CPU_COPY = 2**30, 2**28
_BLOCKS, _IN_A_BLOCK = 6, 5


def measure_peaks(device: torch.device, precision: str) -> tuple[float, float]:
    """Measure the fastest matrix product or convolution, and the fastest copy.

    Args:
        device: A GPU, or the CPU with the threads that torch has now.
        precision: `fp32` (without TF32), `tf32`, `bf16` or `fp16`.

    Returns:
        Multiply-adds a second and bytes a second, read and written together; the best of several
        times each.
    """
    with tf32_set(precision == "tf32"), torch.inference_mode():
        dtype = DTYPES[precision]
        macs = max(_macs_per_second(device, dtype), _convolved(device, dtype))
        return macs, _bytes_per_second(device)


@contextmanager
def tf32_set(on: bool) -> Iterator[None]:
    """TF32 on or off for matrix products and convolutions alike; set back afterwards."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = on
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _macs_per_second(device: torch.device, dtype: torch.dtype) -> float:
    cuda = device.type == "cuda"
    best, end = 0.0, time.perf_counter() + _CPU_SECONDS
    for size in _CUDA_SIZES if cuda else _CPU_SIZES:
        # Numbers drawn at random: a GPU multiplies zeros at a higher clock than it holds otherwise.
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        product = torch.empty_like(left)

        def multiply(a: torch.Tensor = left, b: torch.Tensor = right) -> None:
            torch.mm(a, b, out=product)  # noqa: B023

        # The next size is eight times the work; some CPUs have no fast half precision at all.
        if not cuda and best and time.perf_counter() + 3 * size**3 / best > end:
            break
        seconds = _best_seconds(multiply, device, end)
        best = max(best, size**3 / seconds)
    return best


def _convolved(device: torch.device, dtype: torch.dtype) -> float:
    """Multiply-adds a second of a 3x3 convolution: its library may use wider instructions."""
    images, channels, size = _CUDA_CONV if device.type == "cuda" else _CPU_CONV
    image = torch.randn(images, channels, size, size, device=device).to(dtype)
    weight = torch.randn(channels, channels, 3, 3, device=device).to(dtype)
    end = time.perf_counter() + _CPU_SECONDS
    seconds = _best_seconds(lambda: torch.conv2d(image, weight, padding=1), device, end)
    return images * 9 * channels**2 * size**2 / seconds


def _bytes_per_second(device: torch.device) -> float:
    size = _CUDA_COPY if device.type == "cuda" else _CPU_COPY
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    end = time.perf_counter() + _CPU_SECONDS
    return 2 * size / _best_seconds(lambda: target.copy_(source), device, end)


def _best_seconds(run: Callable[[], object], device: torch.device, end: float) -> float:
    """Seconds of one run in the fastest block; on a CPU blocks are single, and end by `end`."""
    cuda = device.type == "cuda"
    repeats = _IN_A_BLOCK if cuda else 1
    run()
    best = float("inf")
    for _ in range(_BLOCKS if cuda else 20):
        if cuda:
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        for _ in range(repeats):
            run()
        if cuda:
            torch.cuda.synchronize(device)
        now = time.perf_counter()
        best = min(best, (now - began) / repeats)
        if not cuda and now > end:
            break
    return best
