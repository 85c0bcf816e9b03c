"""The local engine: what is started, how many at a time, and that nothing is left behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from results.record import RunRecord
from results.store import Store, load_records
from runners.display import Display
from runners.drive import Outcome, drive
from runners.executors import local
from runners.executors.local import LocalExecutor
from runners.job import INTERRUPTED, Job
from runners.plan import Plan
from tests.runners.slow import (
    SlowNetworks,
    is_alive,
    slow_networks,
    trained,
    wait_until,
    workers,
)


@pytest.fixture
def networks(tmp_path: Path) -> Callable[..., SlowNetworks]:
    def make(count: int, seconds: float) -> SlowNetworks:
        return slow_networks(tmp_path, count, seconds)

    return make


@pytest.fixture
def engine() -> Iterator[Callable[..., LocalExecutor]]:
    """Makes engines with slots on the CPU; none of their workers outlives the test."""
    made = []

    def make(slots: int) -> LocalExecutor:
        made.append(LocalExecutor([None] * slots))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert workers() == []


def states(executor: LocalExecutor) -> dict[str, str]:
    return {run_id: state.state for run_id, state in executor.poll().items()}


def finish(executor: LocalExecutor, *jobs: Job) -> None:
    def gone() -> bool:
        found = states(executor)
        return all(found[job.spec.id] == "gone" for job in jobs)

    wait_until(gone, "the runs to end")


def record_of(job: Job) -> RunRecord:
    record = Store(job.store).read(job.spec)
    assert record is not None
    return record


def same_result(one: RunRecord, other: RunRecord) -> bool:
    assert one.training is not None and other.training is not None
    return one.scores == other.scores and one.training.curve == other.training.curve


def complete(plan: Plan, executor: LocalExecutor) -> Outcome:
    store = Store(plan.jobs[0].store)
    with Display(len(plan.todo), Console(file=open(os.devnull, "w"))) as display:
        return drive(plan, executor, store, display)


def test_what_is_submitted_twice_is_run_once(
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
) -> None:
    nets, executor = networks(1, 0.1), engine(2)
    (job,) = nets.plan(tmp_path / "runs", data_root, "max_steps=40").todo
    executor.submit([job, job])
    executor.submit([job])
    assert states(executor) == {job.spec.id: "running"}
    wait_until(lambda: trained(job, 1), "the first step")
    executor.submit([job])
    finish(executor, job)
    (state,) = executor.poll().values()
    assert (state.exit_code, state.detail) == (0, "ended with exit code 0")
    assert len(nets.facts()) == 1
    assert record_of(job).training is not None


def test_a_recorded_run_that_is_submitted_is_not_done_again(
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
) -> None:
    nets, executor = networks(1, 0.0), engine(1)
    (job,) = nets.plan(tmp_path / "runs", data_root, "max_steps=1").todo
    for _ in range(2):  # as a second command does that planned before the first one had finished
        executor.submit([job])
        finish(executor, job)
        assert executor.poll()[job.spec.id].exit_code == 0
    assert len(nets.facts()) == 1


def test_two_slots_are_never_more_than_two_processes(
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
) -> None:
    nets, executor = networks(5, 0.05), engine(2)
    jobs = nets.plan(tmp_path / "runs", data_root, "max_steps=6").todo
    executor.submit(jobs)
    seen = []

    def done() -> bool:
        found = list(states(executor).values())
        seen.append(found.count("running"))
        assert found.count("running") <= 2 and len(workers()) <= 2
        assert found.count("queued") == 0 or found.count("running") == 2  # no slot is idle
        return found.count("gone") == 5

    wait_until(done, "five runs")
    assert max(seen) == 2
    assert len(nets.facts()) == len(load_records(tmp_path / "runs")) == 5


def test_cancel_drops_the_queue_and_stops_workers_with_a_checkpoint(
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
) -> None:
    nets, executor = networks(3, 0.1), engine(1)
    first, second, third = nets.plan(tmp_path / "runs", data_root, "max_steps=1000").todo
    executor.submit([first, second, third])
    wait_until(lambda: trained(first, 2), "two steps")
    executor.cancel([third.spec.id])
    assert list(states(executor).values()).count("queued") == 1
    executor.cancel()
    finish(executor, first, second, third)
    found = executor.poll()
    assert {state.exit_code for state in found.values()} == {INTERRUPTED}
    assert found[second.spec.id].detail == found[third.spec.id].detail == "cancelled"
    assert list(first.folder.glob("checkpoint-*.pt"))
    assert not second.folder.exists() and not third.folder.exists()
    assert workers() == []


def test_close_leaves_no_process(
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
) -> None:
    nets, executor = networks(3, 0.1), engine(2)
    jobs = nets.plan(tmp_path / "runs", data_root, "max_steps=1000").todo
    executor.submit(jobs)
    wait_until(lambda: all(trained(job, 2) for job in jobs[:2]), "two steps")
    started = workers()
    assert len(started) == 2
    executor.close()
    assert not any(map(is_alive, started))
    assert [bool(list(job.folder.glob("checkpoint-*"))) for job in jobs] == [True, True, False]


def test_close_kills_a_worker_that_does_not_listen(
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "_GRACE_SECONDS", 1.0)
    nets, executor = networks(1, 3600), engine(1)
    executor.submit(nets.plan(tmp_path / "runs", data_root).todo)
    wait_until(lambda: len(nets.facts()) == 1, "a step that never ends")
    (started,) = workers()
    executor.close()
    assert not is_alive(started)


@pytest.mark.parametrize("times", [1, 3])
def test_a_terminated_worker_is_continued_to_the_same_result(
    times: int,
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
) -> None:
    nets = networks(1, 0.05)
    undisturbed = nets.plan(tmp_path / "undisturbed", data_root, "max_steps=80")
    assert complete(undisturbed, engine(1)).done == 1

    plan = nets.plan(tmp_path / "runs", data_root, "max_steps=80")
    (job,) = plan.todo

    class Disturbing(LocalExecutor):
        """Terminates its worker now and then, as an administrator might."""

        codes: list[int | None] = []  # noqa: RUF012

        def poll(self):  # type: ignore[no-untyped-def]
            found = super().poll()
            if found[job.spec.id].state == "gone":
                self.codes.append(found[job.spec.id].exit_code)
            elif len(self.codes) < times and trained(job, 8 * (len(self.codes) + 1)):
                for process in workers():
                    process.terminate()
            return found

    executor = Disturbing([None])
    outcome = complete(plan, executor)
    assert (outcome.done, outcome.failures) == (1, [])
    assert executor.codes == [INTERRUPTED] * times + [0]
    record = record_of(job)
    assert record.training is not None
    assert record.training.resumed == times
    assert same_result(record, record_of(undisturbed.jobs[0]))
    assert not list(job.folder.glob("checkpoint-*"))


def test_a_run_in_other_hands_is_waited_for(
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "_BUSY_RETRY_SECONDS", 0.2)
    nets, executor = networks(2, 0.0), engine(1)
    held, free = nets.plan(tmp_path / "runs", data_root, "max_steps=2").todo
    held.folder.mkdir(parents=True)
    with (held.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        executor.submit([held, free])
        seen = ["running"]

        def tried_twice() -> bool:
            found = states(executor)
            if found[held.spec.id] != seen[-1]:
                seen.append(found[held.spec.id])
            return seen.count("queued") >= 2

        wait_until(tried_twice, "two attempts")
        assert set(seen) == {"queued", "running"}
        # The only slot goes to the other run meanwhile.
        wait_until(lambda: states(executor)[free.spec.id] == "gone", "the free run")
        assert not (held.folder / "record.json").exists()
    finish(executor, held)
    assert executor.poll()[held.spec.id].exit_code == 0
    assert record_of(held).spec == held.spec


def test_imports_are_paid_once_and_cuda_is_left_to_the_worker(
    networks: Callable[..., SlowNetworks],
    engine: Callable[..., LocalExecutor],
    tmp_path: Path,
    data_root: Path,
) -> None:
    nets = networks(3, 0.0)
    assert complete(nets.plan(tmp_path / "runs", data_root, "max_steps=1"), engine(2)).done == 3
    facts = nets.facts()
    assert len(facts) == 3
    # The very same object in memory: torch was imported before the fork, by the one parent.
    assert len({fact["torch"] for fact in facts}) == 1
    (parent,) = {fact["parent"] for fact in facts}
    assert parent != os.getpid()
    assert psutil.Process(parent).ppid() == os.getpid()
    assert not any(fact["cuda"] for fact in facts)
    assert all(fact["safe_path"] for fact in facts)
