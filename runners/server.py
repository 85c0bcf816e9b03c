"""The server that new processes are forked from: it has imported torch, and never touched CUDA."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing import connection, forkserver, parent_process, resource_tracker
from multiprocessing.context import ForkServerContext
from pathlib import Path

import runners

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""What asks a program to end, SIGUSR1 as a cluster warns before a time limit; the server holds
them back until its children can answer."""


def server_context(preload: Sequence[str]) -> ForkServerContext:
    """A context whose processes are forked from the server.

    Args:
        preload: Modules that the server imports before the first fork.
    """
    # Without it a user's ./benchmark.py would shadow ours in the server.
    os.environ["PYTHONSAFEPATH"] = "1"
    # Workers must run this very code, also where another checkout is the installed one.
    here = str(Path(runners.__file__).parent.parent)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([here, *others]))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def start_server() -> None:
    """Start the server of workers, if need be, deaf to the signals that ask a program to end.

    They may go to the whole process group (a terminal is closed, a batch job is stopped). Without
    its server this process could not learn how its workers end.
    """
    resource_tracker.ensure_running()  # left to the server's start, it would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_driver(code: int) -> None:
    """End this process, with an exit code, when its driver is gone, however that died."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(code)

    threading.Thread(target=watch, daemon=True).start()


def exit_in_words(code: int) -> str:
    """How a process ended, from its exit code: `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"
