"""What `run` and `row` share: announcing a plan, and training what is missing of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from rich.console import Console

    from results.store import Store
    from runners.drive import Outcome
    from runners.engines import Engine
    from runners.plan import Plan

HOURS_WITHOUT_ASKING = 1.0


def _tidy(plan: Plan, out: Path) -> None:
    """Remove what commands that were killed left behind beside what they had finished."""
    from results.files import remove_abandoned
    from runners.leftovers import sweep_run

    remove_abandoned(out)
    for job in plan.jobs:
        if job.spec.id in plan.done:
            sweep_run(job.folder)


def announce(
    plan: Plan, slots: int, console: Console, *, yes: bool, on_gpu: bool, elsewhere: bool = False
) -> None:
    """Say how many runs there are and about how long they take; refuse long ones on a CPU."""
    from runners.display import duration
    from runners.estimate import estimate_seconds

    todo = plan.todo
    word = "run" if len(plan.jobs) == 1 else "runs"
    parts = [f"{len(plan.jobs)} {word}: {len(plan.done)} done, {len(todo)} to do"]
    if plan.failed:
        parts.append(f"{len(plan.failed)} failed before (--retry-failed tries them again)")
    if not todo:
        console.print("; ".join([*parts, "nothing is missing"]) + ".", highlight=False)
        return
    seconds = None if elsewhere else estimate_seconds(todo, slots)
    unknown = "no estimate for other machines" if elsewhere else "no estimate on a GPU"
    about = f"about {duration(seconds)}" if seconds is not None else unknown
    console.print("; ".join([*parts, about]) + ".", highlight=False, soft_wrap=True)
    if seconds is not None and seconds > HOURS_WITHOUT_ASKING * 3600 and not (yes or on_gpu):
        raise CovbenchError(
            f"These runs take about {duration(seconds)} on this machine, which has no GPU.",
            "Try --protocol smoke first, choose fewer --models or --folds, or add --yes.",
        )


def train_missing(
    plan: Plan,
    engine: Engine | list[int | None],
    store: Store,
    console: Console,
    *,
    fail_fast: bool = False,
    retries: int | None = None,
    timeout_minutes: float | None = None,
) -> Outcome:
    """Do what a plan still lacks, with progress on the console; Ctrl-C stops with checkpoints.

    Args:
        plan: What is wanted.
        engine: What runs it, or the slots of this machine.
        store: Where records lie.
        console: Where progress goes.
        fail_fast: Whether the first failure ends the rest.
        retries: How often a failed run is tried again; None for as often as usual.
        timeout_minutes: After how long without progress a worker counts as hung.
    """
    from runners.display import Display
    from runners.drive import Outcome, drive
    from runners.engines import Engine
    from runners.retries import LIMIT

    if not isinstance(engine, Engine):
        engine = Engine("local", tuple(engine), "cpu", 1)
    _tidy(plan, store.root)
    if not plan.todo:
        return Outcome()
    with (
        stopping(console) as should_stop,
        engine.started(plan, store.root, console) as executor,
        Display(len(plan.todo), console) as display,
    ):
        outcome = drive(
            plan,
            executor,
            store,
            display,
            fail_fast=fail_fast,
            should_stop=should_stop,
            retries=LIMIT if retries is None else retries,
            timeout_minutes=timeout_minutes,
        )
    if outcome.stopped and engine.name == "slurm":
        console.print(
            "The jobs stay with Slurm: the same command looks after them again, "
            f"`covbench cancel --out {store.root}` stops them.",
            highlight=False,
            soft_wrap=True,
        )
    return outcome


@contextmanager
def stopping(console: Console) -> Iterator[Callable[[], bool]]:
    """What says whether a signal has asked this command to stop; a second one ends it at once."""
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:  # a second Ctrl-C: at once, workers end with this process
            os._exit(130)
        asked = True
        console.print("Stopping: runs in progress write a checkpoint ...", highlight=False)

    before = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
