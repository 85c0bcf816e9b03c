"""A user's wish that a run stops: a file in its folder, which its worker sees wherever it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

CANCELLED = ".cancelled"


def cancel_run(folder: Path) -> None:
    """Ask a run to stop with a checkpoint, and drivers not to start it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CANCELLED).touch()


def is_cancelled(folder: Path) -> bool:
    """Whether somebody asked for it."""
    return (folder / CANCELLED).exists()


def allow(folders: Iterable[Path]) -> None:
    """Take the wish back, as a new command that asks for these runs does."""
    for folder in folders:
        (folder / CANCELLED).unlink(missing_ok=True)


def watch(folder: Path, seconds: float = 1.0) -> Callable[[], bool]:
    """What a worker asks at every step; it looks at the file once in a while.

    Args:
        folder: The run's folder.
        seconds: How long an answer is good for.
    """
    last = float("-inf")
    answer = False

    def asked() -> bool:
        nonlocal last, answer
        now = time.monotonic()
        if not answer and now - last >= seconds:
            last, answer = now, is_cancelled(folder)
        return answer

    return asked
