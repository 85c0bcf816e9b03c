"""`covbench logs`: what a run said."""

from __future__ import annotations

import codecs
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options
from zoo.errors import CovbenchError

_POLL_SECONDS = 0.5
_CHUNK = 2**20


def logs(
    run: Annotated[str, typer.Argument(help="The run: its title, folder, or id (six digits do).")],
    out: options.Out = Path("runs"),
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run is over.")
    ] = False,
) -> int:
    """Print the log of a run."""
    options.check_store(out)
    from results.locks import is_held
    from results.store import RECORD
    from runners.find import find_run
    from runners.progress import LOG

    found = find_run(out, run)
    path = found.folder / LOG
    if not path.is_file() and (found.folder / RECORD).is_file():
        raise CovbenchError(
            f"{found.title} is done, and its log is not here: archives have none.",
            f"Its numbers are in {found.folder / RECORD}.",
        )
    if not path.is_file() and not (follow and is_held(found.folder)):
        raise CovbenchError(
            f"{found.title} has no log: it has not begun.", f"See `covbench status --out {out}`."
        )
    position, decoder = 0, codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        over = not (follow and is_held(found.folder))  # asked first: what it says last is shown
        position = _print_from(path, position, decoder)
        if over:
            _show(decoder.decode(b"", final=True))
            return 0
        time.sleep(_POLL_SECONDS)


def _print_from(path: Path, position: int, decoder: codecs.IncrementalDecoder) -> int:
    """Print a file from a position, a part at a time; returns its end."""
    try:
        with path.open("rb") as file:
            file.seek(position)
            while data := file.read(_CHUNK):
                _show(decoder.decode(data))
                position += len(data)
    except FileNotFoundError:
        pass
    return position


def _show(text: str) -> None:
    """Print a part; a terminal gets no control characters, whatever the run had to say."""
    from reports.words import without_control

    sys.stdout.write(without_control(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()
