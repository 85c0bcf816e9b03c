"""Progress of the check of the images and of pretrainings: bars in a terminal, lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import TaskID

from runners.display import Bars, duration
from runners.pretraining.job import PretrainJob
from runners.pretraining.result import PretrainResult
from runners.progress import Progress
from zoo.errors import first_line


class CheckDisplay(Bars):
    """A bar while all images are read once; elsewhere a line at the beginning."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show how many images were read."""
        if self._task is None:
            self._task = self._progress.add_task("checking images", total=total, note="")
            if not self._console.is_terminal:
                self.say(f"Reading {total:,} images once, to find damaged ones ...")
        self._progress.update(self._task, completed=done)


class PretrainDisplay(Bars):
    """A bar for each pretraining on a terminal; elsewhere a line for each epoch."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._tasks: dict[str, TaskID] = {}
        self._first: dict[str, tuple[int, float]] = {}
        self._shown: dict[str, str] = {}

    def running(self, job: PretrainJob, progress: Progress | None) -> None:
        """Show how far one is."""
        if progress is None:
            return
        loss = f", loss {progress.loss:.3f}" if progress.loss is not None else ""
        if self._console.is_terminal:
            if job.spec.id not in self._tasks:
                self._tasks[job.spec.id] = self._progress.add_task(
                    job.spec.title, total=None, note=""
                )
            self._progress.update(
                self._tasks[job.spec.id],
                completed=progress.done if progress.total else None,
                total=progress.total or None,
                note=f"{progress.phase}{loss}",
            )
        elif progress.total and self._shown.get(job.spec.id) != progress.phase:
            self._shown[job.spec.id] = progress.phase
            self.say(f"{job.spec.title}  {progress.phase}{loss}{self._time_left(job, progress)}")

    def done(self, job: PretrainJob, result: PretrainResult) -> None:
        """Say that one is finished, and its top-1."""
        self._end(job)
        took = duration(result.seconds)
        self.say(f"done    {job.spec.title}  top-1 {result.top1:.2%}  ({took})")

    def failed(self, job: PretrainJob, problem: str, hint: str) -> None:
        """Say that one failed, why, and what to do."""
        self._end(job)
        self.say(f"failed  {job.spec.title}  {first_line(problem, 300)}\n        {hint}")

    def _end(self, job: PretrainJob) -> None:
        task = self._tasks.pop(job.spec.id, None)
        if task is not None:
            self._progress.remove_task(task)

    def _time_left(self, job: PretrainJob, progress: Progress) -> str:
        """How long the rest will take, from what was seen of it; nothing at first."""
        first, since = self._first.setdefault(job.spec.id, (progress.done, time.monotonic()))
        steps = progress.done - first
        if steps < 1:
            return ""
        left = (time.monotonic() - since) / steps * (progress.total - progress.done)
        return f"  about {duration(left)} left"
