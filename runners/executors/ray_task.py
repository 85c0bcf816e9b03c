"""What runs on the nodes of a Ray cluster; nothing is imported here that a node waits for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any


class Board:
    """Where tasks say that they have begun; Ray itself tells it only to its dashboard."""

    def __init__(self) -> None:
        self._begun: set[str] = set()

    def note(self, run_id: str, running: bool) -> None:
        """A task begins or ends."""
        (self._begun.add if running else self._begun.discard)(run_id)

    def begun(self) -> set[str]:
        """Runs that have begun and not ended."""
        return self._begun


def run(packed: str, run_id: str, board: Any, path: str, grace: float) -> int:
    """The task: start the run as a process that ends with this one, and wait for it.

    Returns:
        Its exit code, negative for a signal.
    """
    board.note.remote(run_id, True)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "runners.entry", "-"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )
    assert process.stdin is not None
    try:
        # It stays open: the run ends when it is closed, as it is when this process is killed.
        process.stdin.write(packed + "\n")
        process.stdin.flush()
        while process.poll() is None:  # Ray's wish to cancel does not interrupt a system call
            time.sleep(0.1)
        return process.returncode
    except BrokenPipeError:
        return process.wait()
    except KeyboardInterrupt:  # cancelled
        process.terminate()
        try:
            return process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
    finally:
        board.note.remote(run_id, False)
