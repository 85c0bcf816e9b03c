"""Segmentations (`predict --seg`) of every hostile DICOM series that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets.dicom_seg import Made, read_source, seg_bytes
from benchmark.datasets.inputs import read_scan
from tests.hostile import series
from tests.hostile.case import Case


def segmented(path: Path, out: Path) -> Any:
    """A segmentation of the second half of the rows."""
    scan = read_scan(path)
    source = read_source(path)
    mask = np.zeros_like(scan.grey)
    mask[:, mask.shape[1] // 2 :] = 1
    assert scan.affine is not None
    return seg_bytes(source, [("infection", mask)], scan.affine, Made("0", "0", "x"))


CASES = tuple(
    Case(f"segmentation of {case.name}", segmented, case.make, "either", named="")
    for case in series.CASES
    if case.read is series.series and case.expected != "error"
)
