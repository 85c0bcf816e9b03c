"""The whole table in one process within 4 GB of address space; no case takes 1 GB of memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ADDRESS_SPACE = 4 * 2**30
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

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    names = sorted(CASES, key=lambda name: name.startswith("names:"))  # they import the most
    for name in [names[0], names[-1]]:  # so that every library is loaded
        run_case(CASES[name], room / "warm" / "room")
        shutil.rmtree(room / "warm")
    gc.collect()
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
