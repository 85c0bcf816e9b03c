"""`covbench report`: the tables and figures of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options
from zoo.errors import CovbenchError


def report(
    from_: Annotated[Path, typer.Option("--from", help="Folder of the records.")] = Path("runs"),
    to: Annotated[Path, typer.Option(help="Folder for tables and figures.")] = Path("report"),
    against: Annotated[
        str | None,
        typer.Option(help="Print a published table beside: miniseg-table3, chsnet-table3."),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Write the leaderboard as Markdown, LaTeX, CSV and figures, from the records alone."""
    if not from_.is_dir():
        raise CovbenchError(
            f"There is no folder {from_}.",
            "Give the folder of a `covbench run` with --from.",
        )
    options.check_writable(to)
    from reports.leaderboard import write_report

    written = write_report(from_, to, against=against)
    if as_json:
        options.print_json(
            {"table": table.title, **row} for table in written.tables for row in table.to_objects()
        )
    else:
        options.print_tables(written.tables)
    names = ", ".join(str(path) for path in written.paths)
    options.messages().print(f"Written: {names}", highlight=False, soft_wrap=True)
    return 0
