"""Scans that two collections share, found by what they show.

Names tell nothing: collections renumber their scans, window them differently and outline them
anew. Small thumbnails of the slices do: they are compared by correlation, which neither a shift nor
a stretch of the grey scale changes, as they are and mirrored.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.readers import Grey

ALIKE = 0.95
"""Scans count as the same patient's from this correlation on. Two scans of one patient reach 0.97;
of different patients no more than 0.86 (20 slices each of the 20 Zenodo scans)."""

_SIDE = 32

Thumbnails = NDArray[np.float32]


def thumbnails(slices: Grey) -> Thumbnails:
    """Slices (N, H, W) made small, of mean 0 and length 1: (N, pixels); blank ones are left out."""
    import cv2

    small = [cv2.resize(each, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for each in slices]
    flat = np.asarray(small, dtype=np.float32).reshape(len(small), _SIDE**2)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    lit = length[:, 0] > 1e-3
    return np.asarray(flat[lit] / length[lit], dtype=np.float32)


def likeness(one: Thumbnails, other: Thumbnails) -> float:
    """How alike two scans are, up to 1.

    Each slice of the scan with fewer slices is paired with the slice most like it; the median of
    these correlations counts, for the better of four mirrorings.
    """
    few, many = sorted((one, other), key=len)
    if not len(few):
        return 0.0
    square = few.reshape(-1, _SIDE, _SIDE)
    mirrored = (square, square[:, ::-1], square[:, :, ::-1], square[:, ::-1, ::-1])
    return max(float(np.median((m.reshape(len(few), -1) @ many.T).max(axis=1))) for m in mirrored)


def find_twins(
    ours: Mapping[str, Thumbnails], theirs: Mapping[str, Thumbnails]
) -> dict[str, tuple[str, float]]:
    """For each of our scans that they have too, theirs and how alike they are."""
    twins = {}
    for name, own in ours.items():
        best = max(theirs, key=lambda other: likeness(own, theirs[other]), default=None)
        if best is not None and (alike := likeness(own, theirs[best])) >= ALIKE:
            twins[name] = (best, alike)
    return twins
