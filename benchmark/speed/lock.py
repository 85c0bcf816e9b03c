"""One lock a GPU: nothing of covbench trains on it while a network is timed on it.

A training holds it shared, a measurement alone. It is a lock on a file and ends with its process.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from zoo.errors import CovbenchError

_WAIT_SECONDS = 1.0


def lock_folder() -> Path:
    """Where the locks lie: one folder for all users of this machine."""
    return Path(tempfile.gettempdir()) / "covbench-locks"


@contextmanager
def training(uuid: str, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a GPU for a training, beside others; wait while a network is timed on it.

    Args:
        uuid: The GPU.
        waiting: Called once where there is something to wait for.
    """
    with _open(uuid) as file:
        if not _locked(file, fcntl.LOCK_SH):
            waiting()
            while not _locked(file, fcntl.LOCK_SH):
                time.sleep(_WAIT_SECONDS)
        with _sign(uuid):
            yield


@contextmanager
def profiling(uuid: str) -> Iterator[None]:
    """Hold a GPU for a measurement.

    Args:
        uuid: The GPU.

    Raises:
        CovbenchError: A training, or another measurement, has it.
    """
    with _open(uuid) as file:
        if not _locked(file, fcntl.LOCK_EX):
            holders = ", ".join(map(str, _holders(uuid))) or "unknown"
            raise CovbenchError(
                f"The GPU is in use by covbench (process {holders}); its times would be wrong.",
                "Wait until that ends (`covbench status`), or name another GPU with --device.",
            )
        with _sign(uuid):
            yield


def _locked(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _path(uuid: str) -> Path:
    return lock_folder() / f"gpu-{re.sub(r'[^A-Za-z0-9-]', '-', uuid)}"


def _open(uuid: str) -> IO[str]:
    """The lock's file, which every user of the machine may lock."""
    folder = lock_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(uuid)
    with suppress(OSError):  # somebody else made them, and did this
        folder.chmod(0o1777)
        path.touch()
        path.chmod(0o666)
    return path.open("r")


@contextmanager
def _sign(uuid: str) -> Iterator[None]:
    """Leave this process's number beside the lock, so that others can say who has it."""
    mark = _path(uuid).with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        mark.touch()
    try:
        yield
    finally:
        with suppress(OSError):
            mark.unlink()


def _holders(uuid: str) -> list[int]:
    """The living processes that have signed; what dead ones left is removed."""
    found = []
    for mark in lock_folder().glob(f"{_path(uuid).name}.*"):
        number = int(mark.suffix[1:]) if mark.suffix[1:].isdecimal() else 0
        if number and Path(f"/proc/{number}").exists():
            found.append(number)
        else:
            with suppress(OSError):
                mark.unlink()
    return sorted(found)
