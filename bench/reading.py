"""Reading a batch of prepared slices against `np.load` of the same slices, one file each."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmark.bank import ImageBank
from benchmark.datasets import prepare_dataset

TARGET_MS = 0.3
"""Milliseconds that a slice of a batch may cost at most, image and mask."""

_SIDE, _SLICES, _BATCH = 512, 60, 5


def run(rounds: int = 40) -> dict[str, float]:
    """Milliseconds a slice through the bank, from the files, divided by those of `np.load`.

    The bank holds nothing in memory here (its share of it is 0); both read from the page cache.
    Hounsfield units are windowed as they are read, 8-bit grey is read as it is.

    Args:
        rounds: Alternating batches of each; the median of their ratios counts.

    Returns:
        For both kinds of values the ratio and the milliseconds a slice; those of `np.load` for
        image and mask; and the target in milliseconds.
    """
    rng = np.random.default_rng(0)
    shape = (_SIDE, _SIDE, _SLICES)
    units = rng.integers(-1100, 600, shape, dtype=np.int16)
    mask = (units > 500).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        for kind, array in (("images", units), ("masks", mask)):
            (source / kind).mkdir(parents=True)
            nib.save(nib.Nifti1Image(array, np.diag([-0.7, -0.7, 1, 1])), source / kind / "a.nii")
        banks = {
            name: ImageBank.of(
                prepare_dataset("folder", source, as_name=name, root=Path(folder), **options),
                _SIDE,
                range(_SLICES),
                fraction=0,
            )
            for name, options in (("hu", {}), ("grey", {"window": (-1250.0, 250.0)}))
        }
        files = []
        for k in range(_SLICES):
            files.append((Path(folder, f"{k}.npy"), Path(folder, f"{k}m.npy")))
            np.save(files[k][0], units[..., k])
            np.save(files[k][1], mask[..., k])
        batches = [rng.choice(_SLICES, _BATCH, replace=False) for _ in range(rounds)]

        def load(rows: np.ndarray) -> None:
            for row in rows:
                for file in files[row]:
                    np.load(file)

        reference = _times(load, batches)
        found: dict[str, float] = {"load_ms": 1e3 * statistics.median(reference)}
        for name, bank in banks.items():
            ours = _times(bank.batch, batches)
            ratios = [a / b for a, b in zip(ours, reference, strict=True)]
            found |= {
                f"{name}_ratio": statistics.median(ratios),
                f"{name}_ms": 1e3 * statistics.median(ours),
            }
    return {**found, "target_ms": TARGET_MS}


def _times(read: Callable[[np.ndarray], object], batches: list[np.ndarray]) -> list[float]:
    """Seconds a slice of each batch; the first one, which warms up, is read twice."""
    read(batches[0])
    seconds = []
    for rows in batches:
        began = time.perf_counter()
        read(rows)
        seconds.append((time.perf_counter() - began) / len(rows))
    return seconds
