"""Functions run in fresh processes of their own: a crash, a hang or a leak stays in there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from runners.server import (
    STOP_SIGNALS,
    end_with_driver,
    exit_in_words,
    server_context,
    start_server,
)
from zoo.errors import CovbenchError

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class Broken:
    """Why a function gave no answer, in one line."""

    reason: str


@dataclass
class _Task(Generic[A]):
    place: int
    process: BaseProcess
    answer: Connection
    end: float


def run_isolated(
    function: Callable[[A], R],
    arguments: Sequence[A],
    *,
    at_once: int = 1,
    seconds: float = 600.0,
    preload: Sequence[str] = (),
) -> Iterator[tuple[int, R | Broken]]:
    """Call a function for each argument, every call in a new process.

    What the function prints is dropped.

    Args:
        function: A function of a module, which can be pickled.
        arguments: What it is called with.
        at_once: Processes that run at the same time.
        seconds: How long one call may take.
        preload: Modules that the processes find imported.

    Yields:
        The place of an argument and what its call returned, in the order in which they end; or
        why there is nothing.
    """
    context = server_context(["runners.isolated", *preload])
    start_server()
    waiting = list(enumerate(arguments))
    running: list[_Task[A]] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                place, argument = waiting.pop(0)
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_call, args=(function, argument, there))
                process.start()
                there.close()
                running.append(_Task(place, process, here, time.monotonic() + seconds))
            next_end = min(task.end for task in running)
            sentinels = [each for task in running for each in (task.answer, task.process.sentinel)]
            connection.wait(sentinels, timeout=max(0.0, next_end - time.monotonic()))
            for task in list(running):
                over = time.monotonic() >= task.end
                if not over and not task.answer.poll() and task.process.exitcode is None:
                    continue
                running.remove(task)
                yield task.place, _answer(task, seconds)
    finally:
        for task in running:
            task.process.kill()
            task.process.join()


def _answer(task: _Task[A], seconds: float) -> Any:
    """What a call returned, or why nothing; its process is gone afterwards."""
    try:
        if task.answer.poll():
            return task.answer.recv()
        code = task.process.exitcode
        if code is None:
            return Broken(f"it took more than {seconds:.0f} s")
        return Broken(f"its process {exit_in_words(code)}")
    except EOFError:
        task.process.join(5.0)
        return Broken(f"its process {exit_in_words(task.process.exitcode or 0)}")
    finally:
        task.answer.close()
        task.process.kill()
        task.process.join()


def _call(function: Callable[[A], R], argument: A, answer: Connection) -> None:
    """The whole life of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to decide about
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    end_with_driver(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        result: object = function(argument)
    except CovbenchError as error:
        result = Broken(error.problem)
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        result = Broken(f"{type(error).__name__}: {lines[0][:300]}".rstrip(": "))
    answer.send(result)
    answer.close()
    os._exit(0)
