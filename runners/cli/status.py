"""`covbench status`: what is done, running, failed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options


def status(
    out: options.Out = Path("runs"),
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing it until all runs have ended.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Show every run of a store: done, running, interrupted, failed, damaged or missing."""
    options.check_store(out)
    from runners.survey import survey

    if watch:
        from rich.console import Console

        from runners.watch import watch as go_on

        go_on(out, Console())
        return 0
    entries = survey(out)
    if as_json:
        options.print_json(entry.as_dict() for entry in entries)
        return 0
    from runners.cli.tables import print_table
    from runners.display import duration
    from runners.watch import seconds_left

    if entries:
        rows = [(entry.title, entry.state, entry.detail) for entry in entries]
        print_table(("run", "state", "detail"), rows)
    states = [entry.state for entry in entries]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(counts or "No runs yet.")
    left = seconds_left(entries)
    if left is not None:
        print(f"About {duration(left)} of one slot's time left, by the runs that are done.")
    return 0
