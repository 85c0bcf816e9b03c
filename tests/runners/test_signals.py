"""The command as a process: what becomes of its workers when it, or all of them, get a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from results.store import load_records
from runners.cli import run_cli
from tests.runners.slow import SlowNetworks, is_alive, slow_networks, trained, wait_until, workers

COMMAND = [sys.executable, "-c", "from runners.cli import main; main()"]


def arguments(nets: SlowNetworks, out: Path, steps: int) -> list[str]:
    words = ["run", "--models", str(nets.file), "--protocol", "smoke", "--jobs", "2"]
    return [*words, "--out", str(out), "--set", f"max_steps={steps}"]


def start(nets: SlowNetworks, out: Path, data: Path, steps: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *arguments(nets, out, steps)],
        env={**os.environ, "COVBENCH_DATA": str(data), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a process group of its own, as a terminal gives it
    )


def test_workers_end_when_their_driver_is_killed(tmp_path: Path, data_root: Path) -> None:
    nets, out = slow_networks(tmp_path, 2, 0.1), tmp_path / "runs"
    jobs = nets.plan(out, data_root, "max_steps=1000").todo
    driver = start(nets, out, data_root, 1000)
    try:
        wait_until(lambda: all(trained(job, 1) for job in jobs), "both to train")
        below = psutil.Process(driver.pid).children(recursive=True)
        assert len(workers(driver.pid)) == 2
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not any(map(is_alive, below)), "its workers to end", 20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_the_whole_group_is_no_failure(
    number: signal.Signals, tmp_path: Path, data_root: Path
) -> None:
    # Ctrl-C, the end of a batch job, and a terminal that is closed reach workers too.
    nets, out = slow_networks(tmp_path, 2, 0.1), tmp_path / "runs"
    plan = nets.plan(out, data_root, "max_steps=60")
    driver = start(nets, out, data_root, 60)
    wait_until(lambda: all(trained(job, 2) for job in plan.todo), "both to train")
    below = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, number)
    assert driver.wait(60) == 130
    wait_until(lambda: not any(map(is_alive, below)), "its workers to end", 20)
    assert not list(out.rglob("failed-*.json"))
    assert not list(out.rglob("record.json"))
    assert all(list(job.folder.glob("checkpoint-*.pt")) for job in plan.todo)

    assert run_cli(arguments(nets, out, 60)) == 0
    records = load_records(out)
    assert [record.training and record.training.resumed for record in records] == [1, 1]


def test_two_commands_on_one_store_share_the_work(tmp_path: Path, data_root: Path) -> None:
    nets, out = slow_networks(tmp_path, 3, 0.05), tmp_path / "runs"
    drivers = [start(nets, out, data_root, 10) for _ in range(2)]
    assert [driver.wait(200) for driver in drivers] == [0, 0]
    assert len(load_records(out)) == 3
    assert len(nets.facts()) == 3  # no run was trained twice
    assert not list(out.rglob("failed-*.json"))
