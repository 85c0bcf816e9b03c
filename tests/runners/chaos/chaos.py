"""What disturbs the runs: processes are killed and stopped, the disk fills up, all restarts."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil

from tests.runners.chaos.lab import Driver, Lab, holders
from tests.runners.disk import Disk

_STEP = 0.05
_FULL_SECONDS = (0.5, 3.0)
_WEIGHTS = {
    "a worker is killed": 10,
    "the driver is killed": 4,
    "the driver is asked to stop": 2,
    "the driver and all workers are killed": 1,
    "the disk is full": 2,
}


class Drivers:
    """One driver after another until all commands are done; one that ends too early comes again.

    Args:
        lab: What is trained.
        out: The store.
        engine: The options of the engine.
    """

    def __init__(self, lab: Lab, out: Path, engine: Sequence[str]) -> None:
        self._lab, self._out, self._engine = lab, out, engine
        self._left = lab.commands
        self._process: Driver | None = None
        self.started = 0

    @property
    def done(self) -> bool:
        """Whether every command has ended well."""
        return not self._left

    def keep(self) -> None:
        """Start what is to be started."""
        if self._process is not None and self._process.poll() == 0:
            del self._left[0]
        if self._left and (self._process is None or self._process.poll() is not None):
            self._process = self._lab.start(self._left[0], self._out, self._engine)
            self.started += 1

    def strike(self, number: signal.Signals) -> bool:
        """Send a signal to the driver; returns whether there was one."""
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.send_signal(number)
        return True

    def end(self) -> None:
        """Kill the driver, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Chaos:
    """Acts of chaos on the runs of one store.

    Args:
        drivers: They are struck, and come again.
        out: The store.
        disk: What it lies on; None where it can't be filled.
        random: Chooses what happens, and when.
        pause: Seconds between two acts, on average.
        tell: Receives a line for each act.
    """

    def __init__(
        self,
        drivers: Drivers,
        out: Path,
        disk: Disk | None,
        random: Random,
        pause: float,
        tell: Callable[[str], None],
    ) -> None:
        self._drivers, self._out, self._disk = drivers, out, disk
        self._random, self._pause, self._tell = random, pause, tell
        self.acts: Counter[str] = Counter()

    def rage(self, until: float) -> None:
        """Disturb the runs until all are done, or until a moment of the steady clock."""
        while not self._drivers.done and time.monotonic() < until:
            rest = self._pause * self._random.uniform(0.3, 1.7)
            self._wait(min(time.monotonic() + rest, until))
            names = [name for name in _WEIGHTS if self._disk or name != "the disk is full"]
            (act,) = self._random.choices(names, [_WEIGHTS[name] for name in names])
            if not self._drivers.done and (what := self._do(act)) is not None:
                self.acts[act] += 1
                self._tell(act + what)

    def _wait(self, until: float) -> None:
        while not self._drivers.done and time.monotonic() < until:
            self._drivers.keep()
            time.sleep(_STEP)

    def _do(self, act: str) -> str | None:
        """Do one act; returns what else there is to say of it, None where nobody was there."""
        if act == "the disk is full":
            assert self._disk is not None
            seconds = self._random.uniform(*_FULL_SECONDS)
            self._disk.leave(0)
            self._wait(time.monotonic() + seconds)
            self._disk.clear()
            return f" for {seconds:.1f} s"
        if act == "the driver is asked to stop":
            return "" if self._drivers.strike(signal.SIGTERM) else None
        if act == "the driver is killed":
            return "" if self._drivers.strike(signal.SIGKILL) else None
        found = sorted(holders(self._out), key=lambda each: each[1])
        if not found:
            return None
        if act == "a worker is killed":
            found = [self._random.choice(found)]
        else:
            self._drivers.strike(signal.SIGKILL)
        for process, _ in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return ": " + ", ".join(folder for _, folder in found)
