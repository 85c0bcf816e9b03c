"""`covbench cancel`: stop runs, wherever they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options
from zoo.errors import one_line


def cancel(
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Runs: beginnings of ids, titles, parts of titles, or folders."),
    ] = None,
    out: options.Out = Path("runs"),
) -> int:
    """Stop runs of a store with a checkpoint: those named, or all that are not done.

    The command that drives them goes on with the others. The same `covbench run` continues what
    was cancelled.
    """
    options.check_store(out)
    from results.locks import is_held
    from results.store import RECORD
    from runners.cancelling import cancel_run
    from runners.find import all_runs, find_runs

    chosen = find_runs(out, runs) if runs else all_runs(out)
    open_ = [run for run in chosen if not (run.folder / RECORD).exists()]
    running = 0
    for run in open_:
        running += is_held(run.folder)
        cancel_run(run.folder)
    _cancel_jobs(out, {run.id for run in open_})
    if runs:
        for run in open_:
            print(one_line(f"cancelled  {run.title}"))
    done = len(chosen) - len(open_)
    word = "run" if len(open_) == 1 else "runs"
    parts = [f"{len(open_)} {word} cancelled"]
    if running:
        parts.append(f"{running} of them running: they stop with a checkpoint")
    if done:
        parts.append(f"{done} done already")
    print("; ".join(parts) + ".")
    return 0


def _cancel_jobs(out: Path, ids: set[str]) -> None:
    """Take what waits in Slurm's queue out of it."""
    import shutil

    from runners.executors.profile import SlurmProfile
    from runners.executors.slurm import FOLDER, SlurmExecutor

    if shutil.which("squeue") is None or not (out / FOLDER).is_dir():
        return
    engine = SlurmExecutor(out, SlurmProfile(), print)
    engine.cancel([run_id for run_id in engine.adopt() if run_id[:12] in ids])
