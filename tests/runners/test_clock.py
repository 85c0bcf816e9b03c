"""Whole commands on a machine whose clock is wrong: in 1970, before ZIP's first year, and 2100."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from results.store import load_records

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("faketime") is None, reason="there is no faketime here")
@pytest.mark.parametrize("year", ["1970", "2100"])
def test_a_store_is_made_told_of_sent_and_taken_in(year: str, tmp_path: Path) -> None:
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "COVBENCH_DATA": str(tmp_path / "data"),
        "OMP_NUM_THREADS": "1",
    }

    def covbench(*words: str) -> str:
        start = [sys.executable, "-c", "from runners.cli import main; main()", *words]
        done = subprocess.run(
            ["faketime", f"{year}-01-02 00:00:10", *start],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run = ["run", "--data", "phantom", "--protocol", "smoke", "--set", "max_steps=2"]
    covbench(*run, "--jobs", "1", "--models", "miniseg", "--out", "runs")
    assert "1 done" in covbench("status", "--out", "runs")
    covbench("export", "--from", "runs", "--to", "sent.covbench")
    covbench("import", "sent.covbench", "--to", "taken")
    (made,), (taken,) = load_records(tmp_path / "runs"), load_records(tmp_path / "taken")
    assert made.started.startswith(year) and made.finished >= made.started
    assert taken.spec.id == made.spec.id and taken.scores == made.scores
    covbench("report", "--from", "taken", "--to", "report")
    assert "miniseg" in (tmp_path / "report" / "leaderboard.md").read_text(encoding="utf-8")
