"""Fuzz every reader, one after another; exit 1 where one found something.

`python -m tests.fuzz [--seconds 60] [--to build/fuzz] [TARGET ...]`
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.target import TARGETS


def main() -> int:
    """Run each target in its own process, within limits of time and memory."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of covbench.")
    parser.add_argument("targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--to", type=Path, default=Path("build/fuzz"), help="where findings go")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    broken = []
    for name in given.targets:
        command = [
            *(sys.executable, "-m", "tests.fuzz.target", name),
            f"-max_total_time={given.seconds}",
            "-rss_limit_mb=1500",
            "-timeout=120",
            "-max_len=65536",
            "-print_final_stats=1",
            f"-artifact_prefix={given.to / name}-",
        ]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
        (given.to / f"{name}.log").write_text(done.stderr)
        stats = dict(
            line.removeprefix("stat::").split(":", 1)
            for line in done.stderr.splitlines()
            if line.startswith("stat::")
        )
        units, peak = (
            stats.get(key, "?").strip() for key in ("number_of_executed_units", "peak_rss_mb")
        )
        word = "nothing found" if done.returncode == 0 else f"FOUND: see {given.to / name}.log"
        print(f"{name:12} {units:>9} inputs, at most {peak} MiB: {word}", flush=True)
        if done.returncode:
            broken.append(name)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
