"""The driver of pretrainings: hands them to workers and reads from their folders how each ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from results.files import parse_json
from runners.drive import POLL_SECONDS
from runners.executors.base import RunState
from runners.executors.local import LocalExecutor
from runners.job import INTERRUPTED
from runners.leftovers import sweep_run
from runners.pretraining.display import PretrainDisplay
from runners.pretraining.job import PretrainJob
from runners.pretraining.result import PretrainResult, read_result
from runners.pretraining.work import FAILED
from runners.progress import read_progress
from zoo.errors import CovbenchError
from zoo.limits import read_limited


@dataclass
class Outcome:
    """How the pretrainings of a command ended."""

    done: list[tuple[Path, PretrainResult]] = field(default_factory=list)
    failed: int = 0
    stopped: bool = False


def drive(
    jobs: tuple[PretrainJob, ...],
    executor: LocalExecutor,
    display: PretrainDisplay,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Do every pretraining of a plan.

    Args:
        jobs: What is missing.
        executor: The engine; it is closed at the end, whatever happens.
        display: Shows the progress.
        should_stop: Asked at every round; what is in progress then stops with a checkpoint.
    """
    outcome = Outcome()
    pending = {job.spec.id: job for job in jobs}
    try:
        executor.submit(list(pending.values()))
        while pending:
            states = executor.poll()
            # What ends while we are stopped is no failure: its worker may have got the signal too.
            outcome.stopped = should_stop()
            if outcome.stopped:
                break
            for job_id, state in states.items():
                job = pending.get(job_id)
                if job is None:
                    continue
                if state.state == "running":
                    display.running(job, read_progress(job.folder))
                elif state.state == "gone" and state.exit_code == INTERRUPTED:
                    executor.submit([job])
                elif state.state == "gone":
                    del pending[job_id]
                    _settle(job, state, display, outcome)
            executor.wait(POLL_SECONDS)
    finally:
        executor.close()
    return outcome


def _settle(job: PretrainJob, state: RunState, display: PretrainDisplay, outcome: Outcome) -> None:
    """Learn from its folder how a pretraining ended whose worker is gone."""
    result = read_result(job.folder)
    if result is not None:
        sweep_run(job.folder)
        outcome.done.append((job.folder, result))
        display.done(job, result)
        return
    outcome.failed += 1
    try:
        account = parse_json(read_limited(job.folder / FAILED, "failure_bytes"))
        problem, hint = f"{account['status']}: {account['exception']}", str(account["hint"])
    except (OSError, ValueError, KeyError, TypeError, CovbenchError):
        problem = f"killed: the worker {state.detail}."
        hint = "SIGKILL often means that memory ran out: use fewer --jobs, or a smaller batch."
    display.failed(job, problem, hint)
