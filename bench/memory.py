"""Memory of the process that drives many runs: it must not grow with their number."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmark.datasets import data_root

TARGET_BYTES = 1_000_000_000

_NETWORK = """
from torch import nn
from covbench import register_model


@register_model("bench-memory")
def network(in_channels, num_classes):
    return nn.Conv2d(in_channels, num_classes, 1)
"""

_DRIVER = """
import sys
from runners.cli import run_cli

code = run_cli(sys.argv[1:])
# Not getrusage: its maximum is inherited from the process that started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", peak.split()[1], file=sys.stderr)
sys.exit(code)
"""


def run(runs: int = 60) -> dict[str, float]:
    """Drive runs of one step of a one-layer network, and watch the driver.

    Args:
        runs: How many.

    Returns:
        Its memory after the first tenth of the runs and after the last, in megabytes, their ratio,
        its peak with the leaderboard at the end, and the target for the peak.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bench_memory.py")
        path.write_text(_NETWORK)
        choice = ["--models", str(path), "--protocol", "smoke", "--seeds", f"0-{runs - 1}"]
        rest = ["--set", "max_steps=1", "--out", str(Path(folder, "runs"))]
        driver = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, "run", *choice, *rest],
            env={**os.environ, "COVBENCH_DATA": str(data_root())},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert driver.stderr is not None
        watched = psutil.Process(driver.pid)
        early, late, peak = 0, 0, 0
        for line in driver.stderr:
            if finished := re.match(r"\[(\d+)/", line):
                late = watched.memory_info().rss
                if int(finished[1]) <= max(2, runs // 10):
                    early = late
            elif found := re.match(r"peak (\d+)", line):
                peak = int(found[1]) * 1024
        if driver.wait() != 0:
            raise RuntimeError("the driver of the memory benchmark failed")
    return {
        "ratio": late / early,
        "early_MB": early / 1e6,
        "late_MB": late / 1e6,
        "peak_MB": peak / 1e6,
        "target_MB": TARGET_BYTES / 1e6,
    }


if __name__ == "__main__":
    began = time.perf_counter()
    for name, value in run().items():
        print(f"{name:12} {value:10.3f}")
    print(f"{time.perf_counter() - began:.0f} s")
