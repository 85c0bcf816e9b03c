"""A training that is longer than Slurm's time limit: stopped, queued again, continued, the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from results.record import RunRecord
from results.store import load_records
from tests.runners.conftest import TINY
from tests.runners.engines.slurm_cluster import slurm_cluster, why_not

DAWDLING = """
import time
from pathlib import Path


@register_model("dawdling")
def dawdling(in_channels, num_classes):
    class Dawdling(Tiny):
        def forward(self, x):
            if self.training and x.device.type != "meta" and Path(SLOWLY).exists():
                time.sleep(0.5)
            return super().forward(x)
    return Dawdling(in_channels, num_classes)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_continues_after_the_time_limit_as_if_there_were_none(
    tmp_path: Path, data_root: Path
) -> None:
    if reason := why_not():
        pytest.skip(reason)
    slowly, nets, profile = (tmp_path / name for name in ("slowly", "nets.py", "profile.toml"))
    nets.write_text(TINY + DAWDLING.replace("SLOWLY", repr(str(slowly))))
    # 300 steps take 150 s at least, and the run is asked to stop after 60 to 90.
    profile.write_text('partition = "main"\nmemory = "1500M"\ntime = 2\nsignal_seconds = 30\n')

    def trained(out: Path, *engine: str) -> RunRecord:
        arguments = ["run", "--models", str(nets), "--protocol", "smoke", "--out", str(out)]
        subprocess.run(
            [
                *(sys.executable, "-c", "from runners.cli import main; main()", *arguments),
                *("--set", "max_steps=300", *engine),
            ],
            env={**os.environ, "COVBENCH_DATA": str(data_root), "OMP_NUM_THREADS": "1"},
            check=True,
        )
        (record,) = load_records(out)
        return record

    at_once = trained(tmp_path / "at-once", "--jobs", "1")
    slowly.touch()
    with slurm_cluster():
        record = trained(tmp_path / "slurm", "--executor", "slurm", "--profile", str(profile))
    assert at_once.training is not None and record.training is not None
    assert (at_once.training.resumed, at_once.training.steps) == (0, 300)
    assert record.training.resumed >= 1
    assert record.training.curve == at_once.training.curve
    assert record.scores == at_once.scores
    assert not list((tmp_path / "slurm").rglob("failed-*.json"))
    assert not list((tmp_path / "slurm").rglob("checkpoint-*"))
