"""The driver: hands the missing runs to an engine and reads from the store how each ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from results.record import Failure, now
from results.spec import RunSpec
from results.store import Store
from runners.cancelling import allow, is_cancelled
from runners.display import Display
from runners.executors.base import Executor, RunState
from runners.job import INTERRUPTED, Job
from runners.leftovers import sweep_run
from runners.plan import Plan
from runners.progress import read_progress
from runners.retries import LIMIT, Heartbeats, tried_again
from runners.worker import log_tail

POLL_SECONDS = 0.2


@dataclass
class Outcome:
    """How the runs of a command ended, and whether it was stopped.

    Attributes:
        done: How many it finished.
        recorded: Ids of these, and of those that were recorded before.
        failures: The last account of each that failed.
        cancelled: Titles of those that `covbench cancel` took out.
        stopped: Whether a signal ended the command.
    """

    done: int = 0
    recorded: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    stopped: bool = False


def drive(
    plan: Plan,
    executor: Executor,
    store: Store,
    display: Display,
    *,
    fail_fast: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    retries: int = LIMIT,
    timeout_minutes: float | None = None,
) -> Outcome:
    """Do every missing run of a plan.

    Args:
        plan: What is wanted and what is done.
        executor: The engine; it is closed at the end, whatever happens.
        store: Where records and failures lie.
        display: Shows the progress.
        fail_fast: Whether the first failure ends the rest.
        should_stop: Asked at every round; the runs in progress then stop with a checkpoint.
        retries: How often a failed run is tried again, where that may help.
        timeout_minutes: After how long without progress a worker counts as hung; None for never.

    Returns:
        How the runs ended.
    """
    outcome = Outcome(recorded=set(plan.done))
    pending = {job.spec.id: job for job in plan.todo}
    waiting = dict(pending)
    rounds = _Rounds(plan, retries, Heartbeats(timeout_minutes))
    allow(job.folder for job in pending.values())
    try:
        while pending:
            _submit_ready(waiting, pending, store, executor, display, outcome)
            states = executor.poll()
            # What ends while we are stopped is no failure: its worker may have got the signal too.
            outcome.stopped = should_stop()
            for run_id, state in states.items():
                job = pending.get(run_id)
                if job is None:
                    continue
                if state.state == "running":
                    display.running(job, read_progress(job.folder))
                    if run_id not in rounds.hung and rounds.heartbeats.hangs(run_id, job.folder):
                        rounds.hung.add(run_id)
                        executor.cancel([run_id])
                elif state.state == "gone" and not outcome.stopped:
                    _settle(job, state, store, executor, display, outcome, pending, rounds)
            if outcome.stopped:
                break
            if fail_fast and outcome.failures:
                executor.cancel()
                break
            if taken_out := rounds.newly_cancelled(pending):
                executor.cancel(taken_out)
            executor.wait(POLL_SECONDS)
    finally:
        executor.close()
    return outcome


def _submit_ready(
    waiting: dict[str, Job],
    pending: dict[str, Job],
    store: Store,
    executor: Executor,
    display: Display,
    outcome: Outcome,
) -> None:
    """Submit the runs whose needs are recorded.

    Those whose needs failed fail with their names; those whose needs were cancelled are too.
    """
    ready = []
    for run_id, job in list(waiting.items()):
        open_ = [need for need in job.needs if need.id not in outcome.recorded]
        lost = [need for need in open_ if need.id not in pending]
        if is_cancelled(job.folder) or any(need.title in outcome.cancelled for need in lost):
            del waiting[run_id], pending[run_id]
            outcome.cancelled.append(job.spec.title)
            display.cancelled(job)
        elif lost:
            del waiting[run_id], pending[run_id]
            failure = _unmet(job, lost[0])
            store.write_failure(failure)
            outcome.failures.append(failure)
            display.failed(job, failure)
        elif not open_:
            del waiting[run_id]
            ready.append(job)
    if ready:
        executor.submit(ready)


def _unmet(job: Job, need: RunSpec) -> Failure:
    return Failure(
        spec=job.spec,
        attempt=job.attempt,
        status="needs runs",
        exception=f"{need.title}, which it needs, failed.",
        hint="Mend what that run's log says, then --retry-failed tries both again.",
        log_tail="",
        time=now(),
    )


class _Rounds:
    """What a driver remembers from round to round of asking its engine."""

    def __init__(self, plan: Plan, retries: int, heartbeats: Heartbeats) -> None:
        self.retries = retries
        self.heartbeats = heartbeats
        self.first = {job.spec.id: job.attempt for job in plan.jobs}
        self.hung: set[str] = set()
        self._cancelled: set[str] = set()
        self._looked = float("-inf")

    def newly_cancelled(self, pending: Mapping[str, Job]) -> list[str]:
        """Runs that a user has taken out since the last look, which is once a second."""
        if time.monotonic() - self._looked < 1.0:
            return []
        self._looked = time.monotonic()
        found = [
            run_id
            for run_id, job in pending.items()
            if run_id not in self._cancelled and is_cancelled(job.folder)
        ]
        self._cancelled.update(found)
        return found


def _settle(
    job: Job,
    state: RunState,
    store: Store,
    executor: Executor,
    display: Display,
    outcome: Outcome,
    pending: dict[str, Job],
    rounds: _Rounds,
) -> None:
    """Learn from the store how a run ended whose worker is gone."""
    record = store.read(job.spec)
    rounds.heartbeats.forget(job.spec.id)
    hung = job.spec.id in rounds.hung
    rounds.hung.discard(job.spec.id)
    if record is None and is_cancelled(job.folder):
        del pending[job.spec.id]
        outcome.cancelled.append(job.spec.title)
        display.cancelled(job)
        return
    if record is None and state.exit_code == INTERRUPTED and not hung:
        executor.submit([job])
        return
    if record is not None:
        del pending[job.spec.id]
        sweep_run(job.folder)
        outcome.done += 1
        outcome.recorded.add(job.spec.id)
        display.done(job, record)
        return
    failure = _failure(job, state, store, rounds.heartbeats.minutes if hung else None)
    first = rounds.first[job.spec.id]
    if tried_again(store.failures(job.spec) or [failure], state, first, rounds.retries):
        again = job.model_copy(update={"attempt": job.attempt + 1})
        pending[job.spec.id] = again
        display.again(again, failure)
        executor.submit([again])
        return
    del pending[job.spec.id]
    outcome.failures.append(failure)
    display.failed(job, failure)


def _failure(job: Job, state: RunState, store: Store, silent: float | None) -> Failure:
    """The worker's own account of its failure, or ours of a worker that could not give one.

    Args:
        job: The run.
        state: How its worker ended.
        store: Where accounts lie.
        silent: For how many minutes it had made no progress when it was ended as hung.
    """
    for failure in store.failures(job.spec):
        if failure.attempt == job.attempt:
            return failure
    failure = Failure(
        spec=job.spec,
        attempt=job.attempt,
        status="killed" if silent is None else "hung",
        exception=f"The worker {state.detail}."
        if silent is None
        else f"hung: no progress for {silent:g} minutes.",
        hint="SIGKILL often means that memory ran out: use fewer --jobs. Then --retry-failed."
        if silent is None
        else "If a step, the preparing or the scoring takes that long, raise --timeout-minutes.",
        log_tail=log_tail(job.folder),
        time=now(),
    )
    store.write_failure(failure)
    return failure
