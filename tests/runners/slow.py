"""Small networks whose steps take a while, and a look at the processes that train them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmark.protocols import load_protocol
from results.store import Store
from runners.job import Job
from runners.plan import Plan, Resources, make_plan
from runners.progress import read_progress
from runners.selecting import choose_rows
from tests.runners.conftest import TINY

_number = itertools.count()

SLOW = """
import json, sys, time
from pathlib import Path


class Slow(Tiny):
    def forward(self, x):
        if self.training and x.device.type != "meta":
            seen = NOTES / f"{self[0].out_channels}-{os.getpid()}.json"
            if not seen.exists():
                facts = {"parent": os.getppid(), "torch": id(sys.modules["torch"]),
                         "cuda": torch.cuda.is_initialized(), "safe_path": sys.flags.safe_path}
                seen.write_text(json.dumps(facts))
            time.sleep(SECONDS)
        return super().forward(x)


def register(width):
    @register_model(f"{NAME}-{width}")
    def slow(in_channels, num_classes):
        return Slow(in_channels, num_classes, width)


for width in range(1, COUNT + 1):
    register(width)
"""


@dataclass(frozen=True)
class SlowNetworks:
    """A file of networks, and the folder where each process that trains one leaves a note."""

    file: Path
    notes: Path

    def plan(self, out: Path, data: Path, *settings: str) -> Plan:
        """The plan of these networks under `smoke` on the phantom."""
        choice = choose_rows([str(self.file)])
        resources = Resources(out, data, choice.plugins)
        return make_plan(choice.rows, ["phantom"], load_protocol("smoke", settings), resources)

    def facts(self) -> list[dict[str, Any]]:
        """What the processes that began a training noted, one entry each."""
        return [json.loads(path.read_text()) for path in sorted(self.notes.glob("*.json"))]


def slow_networks(folder: Path, count: int, seconds: float) -> SlowNetworks:
    """Networks that wait so many seconds at every training step."""
    notes = folder / "notes"
    notes.mkdir()
    # Names are taken once a process, so every test has its own.
    name = f"slow{next(_number)}"
    constants = (
        f"NAME, COUNT, SECONDS = {name!r}, {count}, {seconds}\nNOTES = Path({str(notes)!r})\n"
    )
    path = folder / f"{name}.py"
    path.write_text(TINY + "from pathlib import Path\n" + constants + SLOW)
    return SlowNetworks(path, notes)


def wait_until(true: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait for something, however slow the machine is at the moment."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


def trained(job: Job, steps: int) -> bool:
    """Whether a run has done so many steps.

    Progress is written twice a second: a short training may be over before its steps are seen.
    """
    progress = read_progress(job.folder)
    if progress is None:
        return Store(job.store).read(job.spec) is not None
    return progress.phase == "evaluating" or progress.done >= steps


def workers(driver: int | None = None) -> list[psutil.Process]:
    """The living worker processes of a driver (this process by default)."""
    found: list[psutil.Process] = []
    for process in psutil.Process(driver).children():  # one of them is the server of workers
        with suppress(psutil.NoSuchProcess):
            found += process.children()
    return [process for process in found if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    """Whether a worker still runs; one that waits to be reaped does not, nor is git one."""
    try:
        return (
            process.is_running()
            and process.status() != psutil.STATUS_ZOMBIE
            and "python" in process.name()
        )
    except psutil.NoSuchProcess:
        return False
