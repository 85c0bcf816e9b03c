"""Batches of pictures, decoded ahead by threads: Pillow leaves the others free while it works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

_AHEAD = 3
"""Batches that are in the making while one is trained on."""

Read = Callable[[int], np.ndarray]


def batches(
    steps: Iterable[np.ndarray], read: Read, labels: np.ndarray, threads: int
) -> Generator[tuple[Tensor, Tensor]]:
    """Pictures and labels of each step; they don't depend on the number of threads.

    Args:
        steps: Positions of the images of each step.
        read: One image by its position, (3, S, S) uint8.
        labels: Class of every image.
        threads: Threads that read.

    Yields:
        Pictures (B, 3, S, S) uint8 and labels (B,) int64, on the CPU.

    Raises:
        CovbenchError: An image can't be read.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[tuple[np.ndarray, list[Future[np.ndarray]]]] = deque()

    def take() -> tuple[Tensor, Tensor]:
        rows, futures = waiting.popleft()
        pictures = np.stack([future.result() for future in futures])
        return torch.from_numpy(pictures), torch.from_numpy(labels[rows])

    try:
        for rows in steps:
            waiting.append((rows, [pool.submit(read, int(row)) for row in rows]))
            if len(waiting) > _AHEAD:
                yield take()
        while waiting:
            yield take()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
