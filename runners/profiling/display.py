"""How far a profile is: a bar in a terminal, a line for each network elsewhere."""

from __future__ import annotations

from statistics import median

from rich.console import Console

from benchmark.complexity import Cost
from benchmark.speed.round import RoundResult
from runners.display import Bars
from runners.isolated import Broken


class ProfileDisplay(Bars):
    """Shows the progress of a profile.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar = self._progress.add_task("", total=None, note="")
        self._done = self._total = 0

    def begin(self, total: int) -> None:
        """Say how many measurements there will be."""
        self._total = total
        self._progress.update(self._bar, total=total)

    def counted(self, label: str, cost: Cost | Broken) -> None:
        """Say that a network was counted."""
        if isinstance(cost, Broken):
            self._line(f"failed   {label}: {cost.reason}")
        else:
            macs = "unknown" if cost.headline is None else f"{cost.headline / 1e9:.3f}"
            self._line(f"counted  {label}: {cost.params:,} parameters, {macs} GMACs")

    def timed(self, label: str, number: int, rounds: int, result: RoundResult | Broken) -> None:
        """Say that a network was timed in one round."""
        where = f" (round {number + 1} of {rounds})" if rounds > 1 else ""
        if isinstance(result, Broken):
            self._line(f"failed   {label}{where}: {result.reason}")
            return
        flags = f" [{', '.join(result.state.flags)}]" if result.state.flags else ""
        milliseconds = 1e3 * median(result.times["latency"])
        self._line(f"timed    {label}{where}: {milliseconds:.1f} ms{flags}")

    def _line(self, text: str) -> None:
        self._done += 1
        self._progress.update(self._bar, completed=self._done, description=text.split(":")[0][:40])
        if self._console.is_terminal and not text.startswith("failed"):
            return
        self.say(f"[{self._done}/{self._total}] {text}{self._left(self._done, self._total)}")
