"""The whole table in one process with 4 GB of address space to spare; no case takes 1 GB of memory.

An idle process that has loaded every library maps 4 GB already, most of it CUDA's, and holds 0.8.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SPARE = 4 * 2**30
MOST = 10**9


@pytest.mark.slow
def test_hostile_memory(tmp_path: Path) -> None:
    """An idle process has imported every reader; a case may take 1 GB more."""
    command = [sys.executable, "-m", "tests.hostile.test_hostile_memory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert len(found["peaks"]) >= 300 and not found["failed"]
    taken = {name: peak - found["idle"] for name, peak in found["peaks"].items()}
    worst = max(taken, key=lambda name: taken[name])
    print(f"idle {found['idle'] / 1e6:.0f} MB; the most: {worst}, {taken[worst] / 1e6:.0f} MB")
    assert {name: each for name, each in taken.items() if each > MOST} == {}


def _peak() -> int:
    """The most memory that this process has held since it was last asked, in bytes."""
    text = Path("/proc/self/status").read_text()
    peak = int(text.partition("VmHWM:")[2].split()[0]) * 1024
    Path("/proc/self/clear_refs").write_text("5")
    return peak


def _run(room: Path) -> None:
    """Run every case; print the peaks as JSON."""
    import gc
    import resource
    import shutil

    from tests.hostile.case import run_case
    from tests.hostile.table import CASES

    names = sorted(CASES, key=lambda name: name.startswith("names:"))  # they import the most
    for name in [names[0], names[-1]]:  # so that every library is loaded
        run_case(CASES[name], room / "warm" / "room")
        shutil.rmtree(room / "warm")
    gc.collect()
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + SPARE, mapped + SPARE))
    _peak()
    idle = _peak()
    peaks, failed = {}, []
    for place, name in enumerate(names):
        try:
            run_case(CASES[name], room / str(place) / "room")
        except AssertionError as error:
            failed.append(f"{name}: {str(error)[:200]}")
        shutil.rmtree(room / str(place), ignore_errors=True)
        gc.collect()
        peaks[name] = _peak()
    print(json.dumps({"idle": idle, "peaks": peaks, "failed": failed}))


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
