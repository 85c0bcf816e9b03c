"""The driver: hands the missing runs to an engine and reads from the store how each ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from results.record import Failure, now
from results.spec import RunSpec
from results.store import Store
from runners.display import Display
from runners.executors.base import Executor, RunState
from runners.job import INTERRUPTED, Job
from runners.leftovers import sweep_run
from runners.plan import Plan
from runners.progress import read_progress
from runners.worker import log_tail

POLL_SECONDS = 0.2


@dataclass
class Outcome:
    """How the runs of a command ended.

    Attributes:
        done: How many it finished.
        recorded: Ids of these, and of those that were recorded before.
        failures: Those that failed.
        stopped: Whether it was asked to stop.
    """

    done: int = 0
    recorded: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    stopped: bool = False


def drive(
    plan: Plan,
    executor: Executor,
    store: Store,
    display: Display,
    *,
    fail_fast: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Do every missing run of a plan.

    Args:
        plan: What is wanted and what is done.
        executor: The engine; it is closed at the end, whatever happens.
        store: Where records and failures lie.
        display: Shows the progress.
        fail_fast: Whether the first failure ends the rest.
        should_stop: Asked at every round; the runs in progress then stop with a checkpoint.

    Returns:
        How the runs ended.
    """
    outcome = Outcome(recorded=set(plan.done))
    pending = {job.spec.id: job for job in plan.todo}
    waiting = dict(pending)
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
                elif state.state == "gone" and not outcome.stopped:
                    _settle(job, state, store, executor, display, outcome, pending)
            if outcome.stopped or (fail_fast and outcome.failures):
                break
            time.sleep(POLL_SECONDS)
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
    """Submit the runs whose needs are recorded; those whose needs failed fail with their names."""
    ready = []
    for run_id, job in list(waiting.items()):
        open_ = [need for need in job.needs if need.id not in outcome.recorded]
        lost = [need for need in open_ if need.id not in pending]
        if lost:
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


def _settle(
    job: Job,
    state: RunState,
    store: Store,
    executor: Executor,
    display: Display,
    outcome: Outcome,
    pending: dict[str, Job],
) -> None:
    """Learn from the store how a run ended whose worker is gone."""
    record = store.read(job.spec)
    if record is None and state.exit_code == INTERRUPTED:
        executor.submit([job])
        return
    del pending[job.spec.id]
    if record is not None:
        sweep_run(job.folder)
        outcome.done += 1
        outcome.recorded.add(job.spec.id)
        display.done(job, record)
        return
    failure = _failure(job, state, store)
    outcome.failures.append(failure)
    display.failed(job, failure)


def _failure(job: Job, state: RunState, store: Store) -> Failure:
    """The worker's own account of its failure, or ours of a worker that could not give one."""
    for failure in store.failures(job.spec):
        if failure.attempt == job.attempt:
            return failure
    failure = Failure(
        spec=job.spec,
        attempt=job.attempt,
        status="killed",
        exception=f"The worker {state.detail}.",
        hint="SIGKILL often means that memory ran out: use fewer --jobs. Then --retry-failed.",
        log_tail=log_tail(job.folder),
        time=now(),
    )
    store.write_failure(failure)
    return failure
