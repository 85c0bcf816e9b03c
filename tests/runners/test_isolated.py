"""Functions in processes of their own: what they return, and how they may end."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from runners.isolated import Broken, run_isolated
from zoo.errors import CovbenchError


def act(what: str) -> tuple[str, int]:
    if what == "raise":
        raise ValueError("no good\nat all")
    if what == "refuse":
        raise CovbenchError("It is refused.", "Do something else.")
    if what == "exit":
        os._exit(7)
    if what == "leave":
        raise SystemExit(3)
    if what == "be killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        time.sleep(3600)
    print("this is never seen")
    return what, os.getpid()


def test_every_call_has_a_process_of_its_own_and_keeps_its_place() -> None:
    answers = dict(run_isolated(act, ["one", "two", "three"], at_once=2))
    assert [answers[place][0] for place in range(3)] == ["one", "two", "three"]  # type: ignore[index]
    assert len({answers[place][1] for place in range(3)} | {os.getpid()}) == 4  # type: ignore[index]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("raise", "ValueError: no good"),
        ("refuse", "It is refused."),
        ("exit", "its process ended with exit code 7"),
        ("leave", "SystemExit: 3"),
        ("be killed", "its process was ended by SIGKILL"),
    ],
)
def test_what_goes_wrong_is_told_and_others_go_on(what: str, reason: str) -> None:
    answers = dict(run_isolated(act, [what, "fine"]))
    assert answers[0] == Broken(reason)
    assert answers[1][0] == "fine"  # type: ignore[index]


def test_a_hang_ends_in_time_and_leaves_no_process(capfd: pytest.CaptureFixture[str]) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    began = time.monotonic()
    answers = dict(run_isolated(act, ["hang", "fine"], at_once=2, seconds=20))
    assert answers[0] == Broken("it took more than 20 s")
    assert answers[1][0] == "fine"  # type: ignore[index]
    assert time.monotonic() - began < 60
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert len(after - before) <= 2  # the server and its tracker may have been started
    assert capfd.readouterr() == ("", "")


def test_an_abandoned_iteration_kills_what_runs() -> None:
    answers = run_isolated(act, ["fine", "hang"], at_once=2)
    assert next(answers)[0] == 0
    answers.close()  # type: ignore[attr-defined]
    hanging = [
        process
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
    ]
    assert len(hanging) <= 2  # the server and its tracker
