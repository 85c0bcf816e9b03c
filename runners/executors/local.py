"""The local engine: one process a run, forked from a server that has imported torch already."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any

from runners.executors.base import RunState, Work
from runners.job import BUSY, INTERRUPTED
from runners.server import exit_in_words, server_context, start_server
from runners.worker import work

_GRACE_SECONDS = 60.0
"""How long a worker may take to finish its step and write a checkpoint before it is killed."""

_BUSY_RETRY_SECONDS = 2.0


@dataclass
class _Running:
    job: Work
    process: BaseProcess
    slot: int
    kill_at: float = float("inf")


class LocalExecutor:
    """Runs on this machine, as many at a time as there are slots.

    A crash of one worker, by whatever cause, ends that run alone. Workers are forked from a
    server process without CUDA, so that imports are paid once; they end when this process does.

    Args:
        slots: The GPU index of each slot, None for a slot on the CPU.
        preload: Further modules that the server imports before the first fork.
        entry: What a worker does with its job; it must be importable.
    """

    def __init__(
        self,
        slots: Sequence[int | None],
        preload: Iterable[str] = (),
        entry: Callable[[Any], None] = work,
    ) -> None:
        self._entry = entry
        self._context = server_context(["runners.worker", *preload])
        self._slots = dict(enumerate(slots))
        self._free = deque(self._slots)
        self._queue: deque[Work] = deque()
        self._running: dict[str, _Running] = {}
        self._gone: dict[str, RunState] = {}
        self._not_before: dict[str, float] = {}

    def submit(self, jobs: Sequence[Work]) -> None:
        """Queue runs; one that is queued or running already is left as it is."""
        known = {job.spec.id for job in self._queue} | self._running.keys()
        for job in jobs:
            if job.spec.id not in known:
                known.add(job.spec.id)
                self._gone.pop(job.spec.id, None)
                self._queue.append(job)
        self._fill()

    def poll(self) -> Mapping[str, RunState]:
        """The state of every submitted run by its id; starts queued runs in free slots."""
        for run_id, running in list(self._running.items()):
            code = running.process.exitcode
            if code is None:
                if time.monotonic() > running.kill_at:  # cancelled, and deaf
                    running.process.kill()
                continue
            running.process.close()
            del self._running[run_id]
            self._free.append(running.slot)
            if code == BUSY:
                self._not_before[run_id] = time.monotonic() + _BUSY_RETRY_SECONDS
                self._queue.append(running.job)
            else:
                self._gone[run_id] = RunState("gone", exit_in_words(code), code)
        self._fill()
        return {
            **self._gone,
            **{job.spec.id: RunState("queued") for job in self._queue},
            **{run_id: RunState("running") for run_id in self._running},
        }

    def wait(self, seconds: float) -> None:
        """Pause until a run ends, and for so long at most: its slot is not left idle."""
        connection.wait([each.process.sentinel for each in self._running.values()], seconds)

    def cancel(self, ids: Collection[str] | None = None) -> None:
        """Ask runs (all by default) to stop with a checkpoint; queued ones are dropped."""
        dropped = [job for job in self._queue if ids is None or job.spec.id in ids]
        for job in dropped:
            self._queue.remove(job)
            self._gone[job.spec.id] = RunState("gone", "cancelled", INTERRUPTED)
        for run_id, running in self._running.items():
            if ids is None or run_id in ids:
                running.process.terminate()
                running.kill_at = min(running.kill_at, time.monotonic() + _GRACE_SECONDS)

    def close(self) -> None:
        """Stop every worker with a checkpoint, and kill those that don't within a minute."""
        self.cancel()
        deadline = time.monotonic() + _GRACE_SECONDS
        for running in self._running.values():
            running.process.join(max(0.0, deadline - time.monotonic()))
            if running.process.exitcode is None:
                running.process.kill()
                running.process.join()
            running.process.close()
        self._running.clear()

    def _fill(self) -> None:
        waiting: deque[Work] = deque()
        while self._free and self._queue:
            job = self._queue.popleft()
            if time.monotonic() < self._not_before.get(job.spec.id, 0.0):
                waiting.append(job)
                continue
            slot = self._free.popleft()
            gpu = self._slots[slot]
            start_server()
            process = self._context.Process(
                target=self._entry, args=(job.model_copy(update={"gpu": gpu}),), name=job.spec.title
            )
            process.start()
            self._running[job.spec.id] = _Running(job, process, slot)
        self._queue.extend(waiting)
