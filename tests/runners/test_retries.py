"""Which failed runs are tried again, when a silent worker hangs, and both in whole commands."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from results.store import Store
from runners.cancelling import cancel_run
from runners.display import Display
from runners.drive import drive
from runners.executors import local
from runners.executors.base import RunState
from runners.executors.local import LocalExecutor
from runners.progress import PROGRESS
from runners.retries import Heartbeats, tried_again
from tests.factory import make_failure
from tests.runners.slow import slow_networks, trained, wait_until

GONE = {
    "exited": RunState("gone", "", 1),
    "killed": RunState("gone", "", -signal.SIGKILL),
    "lost": RunState("gone", "", None),
    "crashed": RunState("gone", "", -signal.SIGSEGV),
}


def failures(*statuses: str, text: str = "ValueError: no\nmore") -> list:  # type: ignore[type-arg]
    return [
        make_failure(status=status, attempt=number).model_copy(update={"exception": text})
        for number, status in enumerate(statuses, 1)
    ]


@pytest.mark.parametrize(
    ("statuses", "how", "again"),
    [
        (("error",), "exited", True),
        (("error", "error"), "exited", False),  # the same way twice
        (("out of memory", "error"), "exited", True),  # in another way
        (("out of memory", "error", "error"), "exited", False),  # and the limit
        (("diverged",), "exited", False),  # it would again
        (("needs weights",), "exited", False),
        (("killed", "killed"), "killed", True),  # from outside: until the limit
        (("killed", "killed", "killed"), "killed", False),
        (("killed", "killed"), "lost", True),
        (("killed", "killed"), "crashed", False),
        (("hung", "hung"), "killed", True),
    ],
)
def test_what_is_tried_again(statuses: tuple[str, ...], how: str, again: bool) -> None:
    assert tried_again(failures(*statuses), GONE[how], first=1) is again


def test_the_same_way_is_the_status_and_the_first_line() -> None:
    one, two = failures("error", "error")
    other = two.model_copy(update={"exception": "KeyError: no\nmore"})
    longer = two.model_copy(update={"exception": "ValueError: no\nother"})
    assert tried_again([one, other], GONE["exited"], first=1)
    assert not tried_again([one, longer], GONE["exited"], first=1)


def test_earlier_commands_count_for_the_way_and_not_for_the_limit() -> None:
    killed = failures("killed", "killed", "killed", "killed")
    assert tried_again(killed, GONE["killed"], first=4)
    assert not tried_again(failures("error", "error"), GONE["exited"], first=2)
    assert not tried_again(killed, GONE["killed"], first=4, limit=0)


def test_a_sign_of_life_is_a_new_progress_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("runners.retries.time.monotonic", lambda: now[0])
    beats = Heartbeats(minutes=1)
    assert not beats.hangs("run", tmp_path)
    now[0] += 61
    assert beats.hangs("run", tmp_path)  # not even a file
    (tmp_path / PROGRESS).write_text("{}")
    os.utime(tmp_path / PROGRESS, (5, 5))  # another machine's clock, years behind
    assert not beats.hangs("run", tmp_path)
    now[0] += 59
    assert not beats.hangs("run", tmp_path)
    now[0] += 2
    assert beats.hangs("run", tmp_path)
    beats.forget("run")
    assert not beats.hangs("run", tmp_path)
    assert not Heartbeats().hangs("run", tmp_path)


def quiet(total: int) -> Display:
    return Display(total, Console(file=open(os.devnull, "w")))


def test_a_hung_worker_is_ended_and_its_run_fails_with_the_reason(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_GRACE_SECONDS", 0.5)
    nets = slow_networks(tmp_path, 1, 3600)
    plan = nets.plan(tmp_path / "runs", data_root)
    store = Store(tmp_path / "runs")
    with quiet(1) as display:
        outcome = drive(plan, LocalExecutor([None]), store, display, retries=1, timeout_minutes=0.2)
    (failure,) = outcome.failures
    assert (failure.status, failure.attempt) == ("hung", 2)
    assert failure.exception == "hung: no progress for 0.2 minutes."
    assert [each.status for each in store.failures(plan.jobs[0].spec)] == ["hung", "hung"]


def test_a_cancelled_run_stops_with_a_checkpoint_and_is_not_begun_again(
    tmp_path: Path, data_root: Path
) -> None:
    nets = slow_networks(tmp_path, 3, 0.05)
    plan = nets.plan(tmp_path / "runs", data_root, "max_steps=30")
    first, _, third = plan.todo

    class Cancelling(LocalExecutor):
        """A user cancels the run in progress and one in the queue."""

        def poll(self):  # type: ignore[no-untyped-def]
            if trained(first, 2):
                for job in (first, third):
                    cancel_run(job.folder)
            return super().poll()

    with quiet(3) as display:
        outcome = drive(plan, Cancelling([None]), Store(tmp_path / "runs"), display)
    assert (outcome.done, outcome.failures) == (1, [])
    assert sorted(outcome.cancelled) == sorted([first.spec.title, third.spec.title])
    assert list(first.folder.glob("checkpoint-*"))
    assert not (third.folder / "log.txt").exists()
    # The same command again wants them: they are continued.
    with quiet(2) as display:
        again = drive(
            nets.plan(tmp_path / "runs", data_root, "max_steps=30"),
            LocalExecutor([None, None]),
            Store(tmp_path / "runs"),
            display,
        )
    assert (again.done, again.cancelled) == (2, [])
    wait_until(lambda: not list(first.folder.glob("checkpoint-*")), "a tidy folder", 1)
