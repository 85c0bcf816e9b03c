"""SIGKILL of the whole command at random moments: nothing finished is lost or done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from results.store import load_records

COMMAND = [sys.executable, "-c", "from runners.cli import main; main()"]


def start(ten: Path, out: Path, data: Path) -> subprocess.Popen[bytes]:
    arguments = ["run", "--models", str(ten), "--out", str(out), "--protocol", "smoke"]
    # A checkpoint after every step makes resuming as likely as starting anew.
    settings = ["--set", "max_steps=120", "--set", "checkpoint_every=0 min", "--jobs", "2"]
    return subprocess.Popen(
        [*COMMAND, *arguments, *settings],
        env={**os.environ, "COVBENCH_DATA": str(data), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def table(out: Path) -> str:
    return (out / "leaderboard.csv").read_text()


@pytest.mark.parametrize(
    "kills", [pytest.param(5, id="five"), pytest.param(20, id="twenty", marks=pytest.mark.slow)]
)
def test_killed_at_random_moments(kills: int, ten: Path, tmp_path: Path, data_root: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    began = time.monotonic()
    assert start(ten, undisturbed, data_root).wait(300) == 0
    whole = time.monotonic() - began

    out = tmp_path / "killed"
    chance = random.Random(7)
    landed = 0
    recorded: dict[Path, bytes] = {}
    while landed < kills:
        process = start(ten, out, data_root)
        try:
            process.wait(chance.uniform(0.3, 0.8) * whole)
            # It finished before the blow: the rest of the blows hit a store that is complete.
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        landed += 1
        now = {path: path.read_bytes() for path in out.rglob("record.json")}
        assert recorded.items() <= now.items(), "a finished run was lost or done again"
        recorded = now
    assert start(ten, out, data_root).wait(300) == 0
    final = {path: path.read_bytes() for path in out.rglob("record.json")}
    assert recorded.items() <= final.items()

    records, expected = load_records(out), load_records(undisturbed)
    assert len(records) == len({record.spec.id for record in records}) == 10
    assert [r.scores for r in records] == [r.scores for r in expected]
    assert table(out) == table(undisturbed)
    left = [p for p in out.rglob("*") if p.name.startswith(("checkpoint", "progress"))]
    assert left + list(out.rglob(".*.tmp")) == []
