"""Progress of many runs: bars in a terminal, a line for each finished run elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

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


class Display:
    """Shows how far a plan is, on standard error.

    Args:
        total: Runs to be done.
        console: Where to; bars are shown where it is a terminal.
    """

    def __init__(self, total: int, console: Console) -> None:
        self._console = console
        self._total = total
        self._finished = 0
        self._began = time.monotonic()
        self._tasks: dict[str, TaskID] = {}
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
        self._overall = self._progress.add_task("all runs", total=total, note="")

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

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
        reason = failure.exception.splitlines()[0][:200]
        what = f"failed  {job.spec.title}  {failure.status}: {reason}"
        self._line(job, f"{what}\n        {failure.hint}")

    def _line(self, job: Job, text: str) -> None:
        self._finished += 1
        task = self._tasks.pop(job.spec.id, None)
        if task is not None:
            self._progress.remove_task(task)
        self._progress.update(self._overall, completed=self._finished)
        left = (time.monotonic() - self._began) / self._finished * (self._total - self._finished)
        count = f"[{self._finished}/{self._total}]"
        after = f"  about {duration(left)} left" if self._finished < self._total else ""
        first, *rest = text.split("\n")
        self._console.print(
            "\n".join([f"{count} {first}{after}", *rest]),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def duration(seconds: float) -> str:
    """A span of time as a person says it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
