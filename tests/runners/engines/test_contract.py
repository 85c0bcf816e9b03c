"""What every engine promises, asked of all three for real."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from runners.executors.base import Executor
from runners.job import INTERRUPTED
from tests.runners.engines.places import WAIT, Place, finish, wait
from tests.runners.engines.toys import Toy, toy
from tests.runners.slow import wait_until as wait_so_long

Make = Callable[..., Executor]


def wait_until(true: Callable[[], bool], what: str) -> None:
    wait_so_long(true, what, WAIT)


def test_what_is_submitted_twice_is_done_once(make: Make, tmp_path: Path) -> None:
    engine = make()
    toys = [toy(tmp_path, name, seconds=0.3) for name in ("one", "two", "three")]
    engine.submit(toys)
    engine.submit([toys[0], *toys])
    ended = finish(engine, *toys)
    assert {state.exit_code for state in ended.values()} == {0}
    assert [len(each.notes) for each in toys] == [1, 1, 1]
    # What is done and submitted again, as by a second command, is not done again.
    engine.submit(toys[:1])
    assert finish(engine, toys[0])["one"].exit_code == 0
    assert len(toys[0].notes) == 1


def test_each_way_to_end_is_told_and_touches_no_other_run(make: Make, tmp_path: Path) -> None:
    engine = make()
    acts = {"good": "wait", "raises": "fail", "exits": "exit", "killed": "kill"}
    toys = [toy(tmp_path, name, act, 0.5) for name, act in acts.items()]
    engine.submit(toys)
    ended = finish(engine, *toys)
    codes = {name: state.exit_code for name, state in ended.items()}
    assert codes == {"good": 0, "raises": 1, "exits": 7, "killed": -signal.SIGKILL}
    assert ended["killed"].detail == "was ended by SIGKILL"
    assert toys[0].done


def test_a_run_that_takes_too_much_memory(make: Make, engines: Place, tmp_path: Path) -> None:
    # Slurm watches memory; the other two leave it to the system, which refuses it to the process.
    engine = make()
    act = "memory" if engines.name == "slurm" else "memory limit"
    greedy, good = toy(tmp_path, "greedy", act), toy(tmp_path, "good", seconds=1)
    engine.submit([greedy, good])
    ended = finish(engine, greedy, good)
    if engines.name == "slurm":
        assert ended["greedy"].exit_code is None
        assert "memory limit" in ended["greedy"].detail
    else:
        assert ended["greedy"].exit_code == 1
    assert not greedy.done and good.done


def test_cancelled_runs_stop_and_queued_ones_never_begin(
    make: Make, engines: Place, tmp_path: Path
) -> None:
    engine = make(gpu=True)  # two or four at a time
    toys = [toy(tmp_path, f"run{number}", seconds=1000) for number in range(6)]
    engine.submit(toys)
    most = 2 if engines.name == "local" else 4
    wait_until(lambda: sum(bool(each.notes) for each in toys) == most, "all GPUs to be taken")
    begun = [each for each in toys if each.notes]
    wait(engine, lambda found: [s.state for s in found.values()].count("running") == most)
    engine.cancel([begun[0].spec.id])
    assert finish(engine, begun[0])[begun[0].spec.id].exit_code == INTERRUPTED
    engine.cancel()
    ended = finish(engine, *toys)
    assert {state.exit_code for state in ended.values()} == {INTERRUPTED}
    assert all("signal" in each.notes[0] for each in begun)
    assert sum(bool(each.notes) for each in toys) <= most + 1  # one may have got the freed GPU


def test_a_run_that_hangs_is_killed_when_it_is_cancelled(
    make: Make, engines: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.shorten(monkeypatch)
    engine = make()
    hangs, good = toy(tmp_path, "hangs", "deaf"), toy(tmp_path, "good", seconds=1)
    engine.submit([hangs, good])
    wait_until(lambda: bool(hangs.notes), "it to hang")
    wait(engine, lambda found: found["hangs"].state == "running")
    engine.cancel(["hangs"])
    ended = finish(engine, hangs, good)
    assert ended["hangs"].exit_code != 0
    assert ended["good"].exit_code == 0
    wait_until(lambda: not _is_alive(hangs), "its process to be gone")


def test_no_two_runs_see_the_same_gpu_at_a_time(make: Make, engines: Place, tmp_path: Path) -> None:
    engine = make(gpu=True)
    toys = [toy(tmp_path, f"run{number}", seconds=0.6) for number in range(8)]
    engine.submit(toys)
    finish(engine, *toys)
    notes = [note for each in toys for note in each.notes]
    assert len(notes) == 8
    assert {note["gpus"] for note in notes} <= {"0", "1"}
    overlaps = [
        (one, other)
        for one, other in combinations(notes, 2)
        if one["began"] < other["ended"] and other["began"] < one["ended"]
    ]
    assert overlaps, "nothing ran at the same time"
    for one, other in overlaps:
        assert (one["node"], one["gpus"]) != (other["node"], other["gpus"])


def test_two_drivers_on_one_store_share_the_work(
    make: Make, engines: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.shorten(monkeypatch)
    first, second = make(), make()
    toys = [toy(tmp_path, f"run{number}", seconds=0.8) for number in range(3)]
    first.submit(toys)
    second.submit(toys)
    for engine in (first, second):
        assert {state.exit_code for state in finish(engine, *toys).values()} == {0}
    assert [len(each.notes) for each in toys] == [1, 1, 1]


DRIVER = """
import sys, time
from pathlib import Path
from tests.runners.engines.toys import play, toy
root = Path(sys.argv[1])
toys = [toy(root, f"run{number}", seconds=float(sys.argv[3])) for number in range(2)]
name = sys.argv[2]
if name == "slurm":
    from runners.executors.profile import SlurmProfile
    from runners.executors.slurm import SlurmExecutor
    engine = SlurmExecutor(root, SlurmProfile(memory="150M"), play)
elif name == "local":
    from runners.executors.local import LocalExecutor
    engine = LocalExecutor([None, None], entry=play)
else:
    from runners.executors.ray import RayExecutor
    engine = RayExecutor(name, entry=play)
engine.submit(toys)
while True:
    engine.poll()
    time.sleep(0.1)
"""


def test_a_driver_that_is_killed_is_started_again(
    make: Make, engines: Place, tmp_path: Path
) -> None:
    seconds = 12.0
    toys = [toy(tmp_path, f"run{number}", seconds=seconds) for number in range(2)]
    where = engines.arguments[3] if engines.name == "ray" else engines.name
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), where, str(seconds)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: all(each.notes for each in toys), "both to begin")
    finally:
        driver.kill()
        driver.wait()
    if not engines.survives:
        wait_until(lambda: not any(map(_is_alive, toys)), "the runs to end with their driver")
    # A worker that ended with its driver has not finished: these do, at once or not at all.
    shorter = [each.model_copy(update={"seconds": 0.2}) for each in toys]
    engine = make()
    engine.submit(shorter)
    assert {state.exit_code for state in finish(engine, *shorter).values()} == {0}
    assert [len(each.notes) for each in toys] == [1, 1] if engines.survives else [2, 2]
    assert all(each.done for each in toys)


def test_a_node_that_is_lost_loses_no_run(make: Make, engines: Place, tmp_path: Path) -> None:
    if engines.name == "local":
        pytest.skip("this machine is the only node")
    engine = make(gpu=True)
    toys = [toy(tmp_path, f"run{number}", seconds=6) for number in range(4)]
    engine.submit(toys)
    wait_until(lambda: all(each.notes for each in toys), "all to begin")
    lost = engines.expendable({each.notes[0]["node"] for each in toys})
    victims = [each for each in toys if each.notes[0]["node"] == lost]
    assert len(victims) == 2
    engines.lose_node(lost)
    try:
        ended = finish(engine, *toys)
    finally:
        engines.restore_node(lost)
    assert {state.exit_code for state in ended.values()} == {0}
    assert all(each.done for each in toys)
    assert [len(each.notes) for each in toys] == [1 + (each in victims) for each in toys]
    assert all(each.notes[1]["node"] != lost for each in victims)


def _is_alive(each: Toy) -> bool:
    import psutil

    return any(
        psutil.pid_exists(note["pid"])
        and psutil.Process(note["pid"]).status() != psutil.STATUS_ZOMBIE
        for note in each.notes
        if "ended" not in note
    )
