"""Start-up of a run beside what the server of workers already holds: from the fork to training.

A worker is forked from the server as `covbench run` does it, for one step on the phantom. Counted
is the time until its first step begins: reading the data, building the network, opening the log.
Imports of the worker are counted too; the server should have had all of them before.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmark.datasets import data_root
from benchmark.protocols import load_protocol
from runners.job import Job
from runners.machine import preload_for
from runners.plan import Resources, make_plan
from runners.server import server_context, start_server
from zoo.selection import select

TARGET = 1.0
"""Seconds for networks of our own, on two cores."""

GROUPS = {
    "own": ("miniseg", "unet", "deeplabv3plus"),
    "timm": ("smp:unet/tu-mobilenetv3_large_100",),
    "SMP": ("smp:unet/resnet34",),
    "MONAI": ("segresnet",),
}


def run(rounds: int = 5) -> dict[str, float]:
    """Seconds from the fork to the first step, and modules that the worker imported itself.

    Args:
        rounds: Workers of each network; the first of a group warms the server up. The median of
            the others counts.

    Returns:
        Both by network with the seconds of CPU time, which a busy machine doesn't stretch, and the
        target.
    """
    found: dict[str, float] = {}
    for group, models in GROUPS.items():
        for model in models:
            times = [_one(model, models) for _ in range(rounds + 1)][1:]
            found[f"{group}: {model} (s)"] = statistics.median(each[0] for each in times)
            found[f"{group}: {model} (CPU s)"] = statistics.median(each[1] for each in times)
            found[f"{group}: {model} (modules imported)"] = max(len(each[2]) for each in times)
    return {**found, "target (s)": TARGET}


def _one(model: str, models: Iterable[str]) -> tuple[float, float, list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        resources = Resources(Path(folder), data_root())
        protocol = load_protocol("smoke", ["max_steps=1", "keep=none"])
        (job,) = make_plan(select(model), ["phantom"], protocol, resources).jobs
        context = server_context(["runners.worker", "bench.startup", *preload_for(models)])
        start_server()
        here, there = context.Pipe(duplex=False)
        began = time.monotonic()
        process = context.Process(target=work_and_tell, args=(job, there))
        process.start()
        there.close()
        reached, processor, imported = here.recv()
        process.join()
        return reached - began, processor, imported


def work_and_tell(job: Job, told: Connection) -> None:
    """Do a run as a worker does, and tell when its training begins, and what it has imported."""
    from runners import run_one, worker

    held, fit = set(sys.modules), run_one.fit

    def telling(*arguments: Any, **named: Any) -> Any:
        told.send((time.monotonic(), time.process_time(), sorted(set(sys.modules) - held)))
        return fit(*arguments, **named)

    run_one.fit = telling
    worker.work(job)


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:55} {value:8.3f}")
