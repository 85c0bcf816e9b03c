"""A worker without a driver, as a cluster starts it: every signal that asks it to stop does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from results.store import Store
from runners.checkpoint import load_checkpoint
from runners.job import INTERRUPTED
from tests.runners.slow import slow_networks, trained, wait_until

PROGRAM = """
import sys
from runners.job import Job
from runners.worker import work
work(Job.model_validate_json(sys.stdin.read()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_it_leaves_a_checkpoint_and_wants_to_be_continued(
    number: signal.Signals, tmp_path: Path, data_root: Path
) -> None:
    (job,) = slow_networks(tmp_path, 1, 0.1).plan(tmp_path / "runs", data_root, "max_steps=40").todo

    def start() -> subprocess.Popen[str]:
        worker = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            text=True,
        )
        assert worker.stdin is not None
        worker.stdin.write(job.model_dump_json())
        worker.stdin.close()
        return worker

    worker = start()
    try:
        wait_until(lambda: trained(job, 2), "it to train")
        worker.send_signal(number)
        assert worker.wait(60) == INTERRUPTED
    finally:
        worker.kill()
    state, refused = load_checkpoint(job.folder)
    assert state is not None and refused == []
    store = Store(job.store)
    assert store.read(job.spec) is None and store.failures(job.spec) == []
    if number == signal.SIGUSR1:
        assert start().wait(120) == 0
        record = store.read(job.spec)
        assert record is not None and record.training is not None
        assert (record.training.steps, record.training.resumed) == (40, 1)
