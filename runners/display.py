"""Progress of many runs: bars in a terminal, a line for each finished run elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from results.record import Failure, RunRecord
from runners.job import Job
from runners.progress import Progress as RunProgress
from zoo.errors import first_line


class Seldom:
    """Says how far a work is where nobody watches: a line every ten seconds at most.

    Args:
        say: Prints a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told = time.monotonic()

    def __call__(self, text: Callable[[], str]) -> None:
        """Say it, unless something was said within the last ten seconds."""
        if time.monotonic() - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            self._say(text())


_SECONDS_BETWEEN_LINES = 10.0


class Bars:
    """Bars of progress while a block runs, on standard error.

    Args:
        console: Where to; bars are shown where it is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print lines beside the bars, as they are."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _left(self, done: int, total: int) -> str:
        """How long what is left will take, for the end of a line; nothing after the last."""
        left = (time.monotonic() - self._began) / done * (total - done)
        return f"  about {duration(left)} left" if done < total else ""


class Display(Bars):
    """Shows how far a plan is.

    Args:
        total: Runs to be done.
        console: Where to.
    """

    def __init__(self, total: int, console: Console) -> None:
        super().__init__(console)
        self._total = total
        self._finished = 0
        self._tasks: dict[str, TaskID] = {}
        self._overall = self._progress.add_task("all runs", total=total, note="")

    def running(self, job: Job, progress: RunProgress | None) -> None:
        """Show how far one run is."""
        if progress is None or not self._console.is_terminal:
            return
        if job.spec.id not in self._tasks:
            self._tasks[job.spec.id] = self._progress.add_task(job.spec.title, total=None, note="")
        loss = f"loss {progress.loss:.3f}" if progress.loss is not None else progress.phase
        self._progress.update(
            self._tasks[job.spec.id],
            completed=progress.done if progress.total else None,
            total=progress.total or None,
            note=loss,
        )

    def done(self, job: Job, record: RunRecord) -> None:
        """Say that a run is recorded, and its mean Dice."""
        scores = next(iter(record.scores.values()), {})
        dice = scores["dice_slice"].value if "dice_slice" in scores else None
        seconds = record.evaluation_seconds + (record.training.seconds if record.training else 0)
        shown = f"Dice {dice:.4f}" if dice is not None else "Dice undefined"
        self._line(job, f"done    {job.spec.title}  {shown}  ({seconds:.0f} s)")

    def failed(self, job: Job, failure: Failure) -> None:
        """Say that a run failed, why, and what to do."""
        reason = first_line(failure.exception)
        what = f"failed  {job.spec.title}  {failure.status}: {reason}"
        self._line(job, f"{what}\n        {failure.hint}")

    def again(self, job: Job, failure: Failure) -> None:
        """Say that a run failed and is tried again."""
        reason = first_line(failure.exception)
        self._drop(job)
        self.say(
            f"again   {job.spec.title}  attempt {job.attempt}, after {failure.status}: {reason}"
        )

    def cancelled(self, job: Job) -> None:
        """Say that a user took a run out."""
        self._line(job, f"cancelled  {job.spec.title}")

    def _drop(self, job: Job) -> None:
        task = self._tasks.pop(job.spec.id, None)
        if task is not None:
            self._progress.remove_task(task)

    def _line(self, job: Job, text: str) -> None:
        self._finished += 1
        self._drop(job)
        self._progress.update(self._overall, completed=self._finished)
        count = f"[{self._finished}/{self._total}]"
        first, *rest = text.split("\n")
        after = self._left(self._finished, self._total)
        self.say("\n".join([f"{count} {first}{after}", *rest]))


def duration(seconds: float) -> str:
    """A span of time as a person says it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
