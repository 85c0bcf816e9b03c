"""How long a store of thousands of runs takes to read and to fill: `python -m bench.store [RUNS]`.

Two columns: seconds, and seconds of CPU time, which a busy machine stretches less.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.protocols import load_protocol
from results.store import Store
from runners.executors.base import RunState
from runners.job import Job
from runners.plan import Plan, Resources, make_plan, save_plan
from zoo.selection import Row

RUNS = 2000
_NETWORKS = ("miniseg", "unet", "enet", "edanet")
"""Four networks on five folds; the seeds follow from the number of runs."""


Taken = tuple[float, float]
"""Seconds, and seconds of CPU time."""


def measure(runs: int) -> Iterator[tuple[str, Taken]]:
    """Seconds of the commands that read a whole store, the fastest of three each.

    Last comes what the driver does for all runs of an empty store, beside the workers: here they
    end at once, and leave a record.

    Args:
        runs: Records in the store; the phantom must be prepared.
    """
    from reports.subject import read_holdings
    from runners.cli import run_cli

    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "runs"

        def plan() -> Plan:
            rows = [Row(network, ()) for network in _NETWORKS]
            seeds = range(runs // (5 * len(_NETWORKS)))
            from benchmark.datasets import data_root

            return make_plan(
                rows,
                ["phantom"],
                load_protocol("smoke"),
                Resources(out, data_root()),
                folds=range(1, 6),
                seeds=list(seeds),
            )

        first = plan()
        yield f"plan of {len(first.jobs)} runs, empty store", _fastest(plan)
        save_plan(out, first)
        _fill(out, first.jobs)
        yield "plan, all recorded", _fastest(plan)
        yield "status", _fastest(lambda: run_cli(["status", "--out", str(out)]))
        yield "reading every record", _fastest(lambda: list(Store(out).records()))
        yield "a report's loading", _fastest(lambda: read_holdings(out))

    with tempfile.TemporaryDirectory() as name:
        plan_ = replace(first, jobs=tuple(_elsewhere(job, Path(name)) for job in first.jobs))
        yield f"driving {len(first.jobs)} runs", _taken(lambda: _drive(plan_, Path(name)))


def _elsewhere(job: Job, out: Path) -> Job:
    return job.model_copy(update={"store": out})


def _drive(plan: Plan, out: Path) -> None:
    from rich.console import Console

    from runners.display import Display
    from runners.drive import drive

    with Display(len(plan.jobs), Console(file=io.StringIO())) as display:
        outcome = drive(plan, _AtOnce(out), Store(out), display)
    assert outcome.done == len(plan.jobs)


class _AtOnce:
    """An engine whose runs end as soon as they are submitted."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._gone: dict[str, RunState] = {}

    def submit(self, jobs: Sequence[Job]) -> None:
        """Leave their records."""
        _fill(self._out, jobs)
        self._gone |= {job.spec.id: RunState("gone", "", 0) for job in jobs}

    def poll(self) -> dict[str, RunState]:
        """All are gone."""
        return self._gone

    def wait(self, seconds: float) -> None:
        """Not at all."""

    def cancel(self, ids: object = None) -> None:
        """There is nothing to end."""

    def close(self) -> None:
        """There is nothing to end."""


def _fill(out: Path, jobs: Iterable[Job]) -> None:
    """Write a record for every run, each with the contents of a real one but for its spec."""
    from results.shared import opened

    with opened(Path("phantom")) as folder:
        model = next(iter(Store(folder).records()))
    store = Store(out)
    for job in jobs:
        record = model.model_copy(update={"spec": job.spec})  # type: ignore[union-attr]
        path = store.folder(job.spec) / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text(record.to_text(), encoding="utf-8")
        (path.parent / ".lock").touch()
        (path.parent / "log.txt").touch()


def _fastest(act: Callable[[], object]) -> Taken:
    taken = [_taken(act) for _ in range(3)]
    return min(each[0] for each in taken), min(each[1] for each in taken)


def _taken(act: Callable[[], object]) -> Taken:
    began, processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        act()
    return time.perf_counter() - began, time.process_time() - processor


if __name__ == "__main__":
    for what, seconds in measure(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        print(f"{seconds[0]:7.2f} s {seconds[1]:7.2f} s  {what}")
