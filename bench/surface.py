"""Times covbench's surface distances against MedPy's `hd`, `hd95` and `assd`, on the same pairs.

Alone: `python -m bench.surface`. Both sides get each pair in turn (one thread), so that a busy
machine slows both alike. The two must agree to 1e-6 px, or no time is given.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import cv2
import numpy as np

from benchmark.metrics import surface_distances

Triple = tuple[float, float, float]


def lesions(rng: np.random.Generator, side: int = 512) -> np.ndarray:
    """A few smooth blobs on a square: bool (side, side), 2 to 12 % foreground."""
    noise = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), rng.uniform(8, 20))
    return np.asarray(noise > np.quantile(noise, rng.uniform(0.88, 0.98)))


def imperfect(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """A plausible prediction: the truth shifted, its outline blurred, plus a false spot."""
    height, width = truth.shape
    dx, dy = rng.uniform(-6, 6, 2)
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    moved = cv2.warpAffine(truth.astype(np.float32), shift, (width, height))
    cv2.circle(moved, (int(rng.integers(width)), int(rng.integers(height))), 9, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), 3) > rng.uniform(0.35, 0.65))


def ours(pred: np.ndarray, truth: np.ndarray) -> Triple:
    """Hausdorff, HD95 and ASSD by covbench."""
    found = surface_distances(pred, truth)
    return found.hausdorff, found.hd95, found.assd


def medpy(pred: np.ndarray, truth: np.ndarray) -> Triple:
    """The same three by MedPy's public functions."""
    from medpy.metric.binary import assd, hd, hd95

    return float(hd(pred, truth)), float(hd95(pred, truth)), float(assd(pred, truth))


def _timed(
    measure: Callable[[np.ndarray, np.ndarray], Triple], pair: tuple[np.ndarray, np.ndarray]
) -> tuple[float, Triple]:
    """Seconds that one call took, and what it gave."""
    start = time.perf_counter()
    result = measure(*pair)
    return time.perf_counter() - start, result


def run(pairs: int = 40, rounds: int = 3, seed: int = 0) -> dict[str, float | int]:
    """Measures both implementations.

    Args:
        pairs: How many synthetic pairs of 512x512 masks.
        rounds: How often all pairs are measured by each side.
        seed: Of the masks.

    Returns:
        `pairs`, `rounds`, milliseconds a pair as `covbench_ms` and `medpy_ms`, `ratio` (above 1:
        covbench is quicker), these three as medians over the rounds, and `max_difference` in px.

    Raises:
        ModuleNotFoundError: Where MedPy is missing (`pip install medpy`).
        ValueError: Where the two do not agree.
    """
    rng = np.random.default_rng(seed)
    truths = [lesions(rng) for _ in range(pairs)]
    data = [(imperfect(rng, truth), truth) for truth in truths]
    total = np.zeros((2, rounds))
    difference = 0.0
    medpy(*data[0])  # its import is not to be timed
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for number in range(rounds):
            for pair in data:
                seconds, found = _timed(ours, pair)
                total[0, number] += seconds
                seconds, expected = _timed(medpy, pair)
                total[1, number] += seconds
                difference = max(difference, float(np.abs(np.subtract(found, expected)).max()))
    finally:
        cv2.setNumThreads(threads)
    if difference > 1e-6:
        raise ValueError(f"covbench and MedPy differ by {difference} px")
    covbench_ms, medpy_ms = np.median(total, axis=1) / pairs * 1000
    return {
        "pairs": pairs,
        "rounds": rounds,
        "covbench_ms": float(covbench_ms),
        "medpy_ms": float(medpy_ms),
        "ratio": float(np.median(total[1] / total[0])),
        "max_difference": difference,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
