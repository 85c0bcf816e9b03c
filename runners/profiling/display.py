"""How far a profile is: a bar in a terminal, a line for each network elsewhere."""

from __future__ import annotations

import time
from statistics import median
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmark.complexity import Cost
from benchmark.speed.round import RoundResult
from runners.display import duration
from runners.isolated import Broken


class ProfileDisplay:
    """Shows the progress of a profile on standard error.

    Args:
        console: Where to; a bar is shown where it is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._bar = self._progress.add_task("", total=None)
        self._began = time.monotonic()
        self._done = self._total = 0

    def __enter__(self) -> ProfileDisplay:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, total: int) -> None:
        """Say how many measurements there will be."""
        self._total = total
        self._progress.update(self._bar, total=total)

    def counted(self, label: str, cost: Cost | Broken) -> None:
        """Say that a network was counted."""
        if isinstance(cost, Broken):
            self._line(f"failed   {label}: {cost.reason}")
        else:
            macs = next(iter(cost.macs.values()), 0)
            self._line(f"counted  {label}: {cost.params:,} parameters, {macs / 1e9:.3f} GMACs")

    def timed(self, label: str, number: int, rounds: int, result: RoundResult | Broken) -> None:
        """Say that a network was timed in one round."""
        where = f" (round {number + 1} of {rounds})" if rounds > 1 else ""
        if isinstance(result, Broken):
            self._line(f"failed   {label}{where}: {result.reason}")
            return
        flags = f" [{', '.join(result.state.flags)}]" if result.state.flags else ""
        milliseconds = 1e3 * median(result.times["latency"])
        self._line(f"timed    {label}{where}: {milliseconds:.1f} ms{flags}")

    def say(self, text: str) -> None:
        """Print a line beside the progress."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        self._done += 1
        self._progress.update(self._bar, completed=self._done, description=text.split(":")[0][:40])
        if self._console.is_terminal and not text.startswith("failed"):
            return
        spent = time.monotonic() - self._began
        left = spent / self._done * (self._total - self._done)
        after = f"  about {duration(left)} left" if self._done < self._total else ""
        self.say(f"[{self._done}/{self._total}] {text}{after}")
