"""How long a store of thousands of runs takes to read: `python -m bench.store [RUNS]`."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmark.protocols import load_protocol
from results.store import Store
from runners.plan import Plan, Resources, make_plan, save_plan
from zoo.selection import Row

RUNS = 2000
_NETWORKS = ("miniseg", "unet", "enet", "edanet")
"""Four networks on five folds; the seeds follow from the number of runs."""


def measure(runs: int) -> Iterator[tuple[str, float]]:
    """Seconds of the commands that read a whole store, the fastest of three each.

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
        _fill(out, first)
        yield "plan, all recorded", _fastest(plan)
        yield "status", _fastest(lambda: run_cli(["status", "--out", str(out)]))
        yield "reading every record", _fastest(lambda: list(Store(out).records()))
        yield "a report's loading", _fastest(lambda: read_holdings(out))


def _fill(out: Path, plan: Plan) -> None:
    """Write a record for every run, each with the contents of a real one but for its spec."""
    from results.shared import opened

    with opened(Path("phantom")) as folder:
        model = next(iter(Store(folder).records()))
    store = Store(out)
    for job in plan.jobs:
        record = model.model_copy(update={"spec": job.spec})  # type: ignore[union-attr]
        path = store.folder(job.spec) / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text(record.to_text(), encoding="utf-8")
        (path.parent / ".lock").touch()
        (path.parent / "log.txt").touch()


def _fastest(act: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            act()
        taken.append(time.perf_counter() - began)
    return min(taken)


if __name__ == "__main__":
    for what, seconds in measure(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        print(f"{seconds:7.2f} s  {what}")
