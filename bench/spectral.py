"""Spectral pooling by matrices against the Fourier transform it stands for.

Forward and backward of a batch of one, 64 x 256 x 256 pooled to half its size, on one thread of
the CPU, since threads that wait for one another measure what else the machine does. Rounds of both
ways alternate, so that a busy machine slows both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from zoo.spectral import spectral_pool

TARGET = 4.0
"""How many times faster the matrices ought to be."""


def fourier_pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Spectral pooling in its usual form: transform, crop the centre, transform back.

    Its one difference from `spectral_pool` at even sizes is the bin at the corner of the crop.

    Args:
        x: `(N, C, H, W)`.
        size: Height and width wanted, even.

    Returns:
        `(N, C, *size)`, on a scale that keeps the mean.
    """
    axes = (-2, -1)
    spectrum = torch.fft.fftshift(torch.fft.fft2(x, norm="forward"), dim=axes)
    for axis, wanted in zip(axes, size, strict=True):
        spectrum = spectrum.narrow(axis, spectrum.shape[axis] // 2 - wanted // 2, wanted)
    return torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=axes), norm="forward").real


def _seconds(pool: Callable[[Tensor, tuple[int, int]], Tensor], x: Tensor, grad: Tensor) -> float:
    """Seconds of one forward and backward pass."""
    x.grad = None
    start = time.perf_counter()
    pool(x, (grad.shape[-2], grad.shape[-1])).backward(grad)
    return time.perf_counter() - start


def run(rounds: int = 15) -> dict[str, float]:
    """Measure both ways in turn.

    Args:
        rounds: Measured rounds, after two that are not.

    Returns:
        `matrix_ms` and `fourier_ms`, the medians; `ratio`, the median over the rounds of Fourier
        by matrix; `target`, what the ratio ought to be at least.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 64, 256, 256, generator=generator).requires_grad_()
    grad = torch.randn(1, 64, 128, 128, generator=generator)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = [
            (_seconds(spectral_pool, x, grad), _seconds(fourier_pool, x, grad))
            for _ in range(rounds + 2)
        ][2:]
    finally:
        torch.set_num_threads(threads)
    return {
        "matrix_ms": 1e3 * statistics.median(matrix for matrix, _ in times),
        "fourier_ms": 1e3 * statistics.median(fourier for _, fourier in times),
        "ratio": statistics.median(fourier / matrix for matrix, fourier in times),
        "target": TARGET,
    }


if __name__ == "__main__":
    result = run()
    print(
        f"spectral pooling 64x256x256, forward and backward, one thread: matrices "
        f"{result['matrix_ms']:.1f} ms, Fourier {result['fourier_ms']:.1f} ms, "
        f"{result['ratio']:.1f} times faster (target {result['target']:.0f})"
    )
