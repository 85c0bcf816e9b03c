"""Which failed runs are tried again by themselves, and what ends a run that hangs."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from results.record import Failure
from runners.executors.base import RunState
from runners.progress import PROGRESS

LIMIT = 2
"""How often a run is tried again in one command, unless the user says otherwise."""

_FINAL = ("diverged", "needs weights")
"""What comes out the same however often it is tried: seeds are fixed."""

_FROM_OUTSIDE = (None, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP)
"""Exit codes that say nothing of the run: its node was lost, or somebody ended its process."""


def tried_again(
    failures: Sequence[Failure], state: RunState, first: int, limit: int = LIMIT
) -> bool:
    """Whether a run that has just failed is to be tried again.

    What was killed from outside, hung or was lost with its node is tried until the limit. What
    failed by itself is tried until it fails twice in the same way; what diverged never again.

    Args:
        failures: Its failed attempts, oldest first, the present one last.
        state: How its worker ended.
        first: Number of its first attempt in this command.
        limit: How often a run is tried again in one command; 0 for never.
    """
    last = failures[-1]
    if last.status in _FINAL or last.attempt - first >= limit:
        return False
    if last.status == "hung" or (last.status == "killed" and state.exit_code in _FROM_OUTSIDE):
        return True
    return not any(_same_way(last, before) for before in failures[:-1])


def _same_way(one: Failure, other: Failure) -> bool:
    """Whether two attempts failed with the same status and the same first line."""
    lines = [failure.exception.splitlines()[:1] for failure in (one, other)]
    return one.status == other.status and lines[0] == lines[1]


@dataclass
class Heartbeats:
    """When each running worker last gave a sign of life: a new progress file.

    Times are this process's own and steady, so neither a clock that jumps nor another machine's
    clock ends a run.

    Attributes:
        minutes: After how long without a sign a worker counts as hung; None for never.
    """

    minutes: float | None = None
    _seen: dict[str, tuple[object, float]] = field(default_factory=dict)

    def hangs(self, run_id: str, folder: Path) -> bool:
        """Whether a running worker has been silent for too long."""
        if self.minutes is None:
            return False
        sign = _sign(folder / PROGRESS)
        now = time.monotonic()
        before = self._seen.get(run_id)
        if before is None or before[0] != sign:
            self._seen[run_id] = (sign, now)
            return False
        return now - before[1] > self.minutes * 60

    def forget(self, run_id: str) -> None:
        """A run is over, or begins anew."""
        self._seen.pop(run_id, None)


def _sign(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
