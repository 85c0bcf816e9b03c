"""`covbench choose`: the best network of a store within limits of size, cost and speed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options

_SIZE = "such as 472.44K, 1M or 2.27G"


def choose(
    max_params: Annotated[
        str | None, typer.Option(help=f"The most parameters, {_SIZE}.", show_default=False)
    ] = None,
    max_macs: Annotated[
        str | None,
        typer.Option(help=f"The most multiply-adds of one image, {_SIZE}.", show_default=False),
    ] = None,
    max_latency_ms: Annotated[
        str | None,
        typer.Option(help="The longest latency of one image; needs --machine.", show_default=False),
    ] = None,
    min_fps: Annotated[
        str | None,
        typer.Option(
            help="The fewest images a second, one at a time; needs --machine.", show_default=False
        ),
    ] = None,
    by: Annotated[
        str, typer.Option(help="What they are sorted by: dice, miou, hd95_px, dice_slice, ...")
    ] = "dice",
    machine: options.Machine = None,
    from_: options.From = Path("runs"),
    data: options.WhichData = None,
    protocol: options.WhichProtocol = None,
    task: options.WhichTask = None,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Show the networks that are small, cheap and fast enough, best first, and the Pareto front."""
    from reports.choosing.choice import choice_objects, choice_table
    from reports.choosing.choose import by_named
    from reports.choosing.choose import choose as chosen_of
    from reports.choosing.limits import limits_of
    from reports.subject import one_subject, read_holdings
    from results.machines import find_profile
    from results.shared import opened

    limits = limits_of(
        {
            "--max-params": max_params,
            "--max-macs": max_macs,
            "--max-latency-ms": max_latency_ms,
            "--min-fps": min_fps,
        }
    )
    metric = by_named(by)
    profile = find_profile(machine) if machine else None
    with opened(from_) as root:
        subject = one_subject(read_holdings(root).subjects, from_, data, protocol, task)
    choice = chosen_of(subject, metric, limits, profile)
    if as_json:
        options.print_json(choice_objects(choice))
        return 0
    table = choice_table(choice)
    options.print_tables([table])
    if sys.stdout.isatty():  # a table in a terminal has no caption
        print("\n".join([table.caption, *(f"- {note}" for note in table.notes)]))
    return 0
