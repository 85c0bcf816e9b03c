"""Preparing many large scans: how much memory it takes at most, and how long."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

TARGET_MB = 2000.0
"""Memory that preparing may take at most, in megabytes."""

_SIDE, _SLICES, _VOLUMES = 512, 300, 20

_PREPARE = """
import sys, time
from pathlib import Path
from benchmark.datasets import prepare_dataset

told = []
began = time.perf_counter()
made = prepare_dataset("folder", Path(sys.argv[1]), as_name="scans", root=Path(sys.argv[2]),
                       progress=lambda done, total: told.append(done))
seconds = time.perf_counter() - began
# Not getrusage: its maximum is inherited from the process that started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) * 1024, len(told), len(made), made.manifest.values)
"""


def run() -> dict[str, float]:
    """Prepare 20 scans in a process of its own; they are hard links to one synthetic scan.

    Returns:
        Its peak memory as a share of the target, the peak in megabytes, seconds in all and a
        scan, how often progress was told, slices prepared, and the target in megabytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        _write(source)
        words = subprocess.run(
            [sys.executable, "-c", _PREPARE, str(source), str(Path(folder, "data"))],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split()
    seconds, peak, told, slices = (float(word) for word in words[:4])
    if words[4] != "hu" or slices != _SLICES * _VOLUMES:
        raise RuntimeError(f"{slices:g} slices of {words[4]} were prepared")
    return {
        "ratio": peak / 1e6 / TARGET_MB,
        "peak_MB": peak / 1e6,
        "seconds": seconds,
        "seconds_a_scan": seconds / _VOLUMES,
        "progress_told": told,
        "slices": slices,
        "target_MB": TARGET_MB,
    }


def _write(source: Path) -> None:
    """A scan of smooth noise in Hounsfield units and its mask, compressed, each linked 20 times."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(-1000, 300, (_SIDE // 8, _SIDE // 8, _SLICES), dtype=np.int16)
    units = coarse.repeat(8, axis=0).repeat(8, axis=1)
    for kind, array in (("images", units), ("masks", (units > 200).astype(np.uint8))):
        (source / kind).mkdir(parents=True)
        first = source / kind / "scan-01.nii.gz"
        nib.save(nib.Nifti1Image(array, np.diag([-0.7, -0.7, 1, 1])), first)
        for k in range(2, _VOLUMES + 1):
            os.link(first, source / kind / f"scan-{k:02d}.nii.gz")
