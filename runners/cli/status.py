"""`covbench status`: what is done, running, failed."""

from __future__ import annotations

from pathlib import Path

from runners.cli import options
from zoo.errors import CovbenchError

_UNFINISHED = ("running", "interrupted", "missing", "damaged")


def status(out: options.Out = Path("runs"), as_json: options.Json = False) -> int:
    """Show every run of a store: done, running, interrupted, failed, damaged or missing."""
    if not out.is_dir():
        raise CovbenchError(
            f"There is no folder {out}.", "Give the folder of a run with --out, or start one."
        )
    from runners.cli.tables import print_table
    from runners.display import duration
    from runners.survey import survey

    entries = survey(out)
    if as_json:
        options.print_json(entry.as_dict() for entry in entries)
        return 0
    if entries:
        rows = [(entry.title, entry.state, entry.detail) for entry in entries]
        print_table(("run", "state", "detail"), rows)
    states = [entry.state for entry in entries]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(counts or "No runs yet.")
    took = [entry.seconds for entry in entries if entry.seconds is not None]
    left = sum(entry.state in _UNFINISHED for entry in entries)
    if took and left:
        hours = duration(sum(took) / len(took) * left)
        print(f"About {hours} of one slot's time left, by the mean of the runs that are done.")
    return 0
