"""Options that several verbs share, and what they mean."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

    from reports.tables.table import Table

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        "-m",
        help="Networks: names, globs, !glob, @tag, all, ./file.py[:Class], smp:arch/encoder; "
        "comma-separated, repeatable. Options in brackets: miniseg\\[strict=true].",
        show_default=False,
    ),
]
Data = Annotated[
    list[str], typer.Option("--data", "-d", help="Prepared datasets; comma-separated, repeatable.")
]
Task = Annotated[
    str,
    typer.Option(
        help="What is segmented: infection, lung, hierarchical (infection inside predicted "
        "lungs), multiclass."
    ),
]
Protocol = Annotated[
    str, typer.Option("--protocol", "-p", help="A shipped protocol, or a path to your own TOML.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change a protocol field: epochs=30, input.size=128; repeatable.",
        show_default=False,
    ),
]
Folds = Annotated[
    str | None,
    typer.Option(
        "--folds", "--fold", help="Folds, from 1: 1-5 or 1,3; the protocol's own by default."
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", "--seed", help="Seeds, from 0: 0-2; the protocol's own by default."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the records.")]
From = Annotated[
    Path,
    typer.Option(
        "--from", help="The store: a folder of records, a file of `covbench export`, or shipped."
    ),
]
WhichData = Annotated[
    str | None, typer.Option("--data", "-d", help="Which dataset, where there are several.")
]
WhichProtocol = Annotated[
    str | None, typer.Option("--protocol", "-p", help="Which protocol, where there are several.")
]
WhichTask = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="Scored against what, where there are several: infection, lung, multiclass; infection "
        "where some are.",
        show_default=False,
    ),
]
OnlyFolds = Annotated[
    str | None, typer.Option("--folds", "--fold", help="Only these folds: 1-5 or 1,3.")
]
OnlySeeds = Annotated[str | None, typer.Option("--seeds", "--seed", help="Only these seeds: 0-2.")]
Ranked = Annotated[
    str, typer.Option(help="What ranks and tests are of: dice, hd95_px, dice_slice, ...")
]
Spread = Annotated[
    str, typer.Option(help="Beside a mean: runs, seeds, folds (deviation), interval (95 %), none.")
]
Machine = Annotated[
    str | None, typer.Option(help="Where speeds come from: a machine's name, or profile.json.")
]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        help="Losses and scores also go to: tensorboard, mlflow; comma-separated, repeatable.",
        show_default=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON list of objects on standard output.")
]


Plugin = Annotated[
    list[str] | None,
    typer.Option(
        help="The file or package of a network that isn't built in; it is run as code.",
        show_default=False,
    ),
]


def _set_limits(words: list[str] | None) -> list[str] | None:
    from zoo.limits import set_limits

    set_limits(words or [])
    return words


Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help="Raise a limit of what is read, as its error says: image_pixels=2G; repeatable.",
        show_default=False,
        callback=_set_limits,
    ),
]
"""For verbs that read what others made. It holds as soon as it is read: no verb looks at it."""


def split_commas(values: Sequence[str]) -> list[str]:
    """Comma-separated, repeatable words as one list."""
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


_MOST_NUMBERS = 100_000


def parse_numbers(text: str | None, what: str, least: int) -> tuple[int, ...] | None:
    """Numbers written as `1-5`, `1,3` or both.

    Args:
        text: What the user wrote; None stays None.
        what: "fold" or "seed", for the error.
        least: The smallest valid number.

    Raises:
        CovbenchError: It is no such list.
    """
    if text is None:
        return None
    numbers: list[int] = []
    try:
        for part in split_commas([text]):
            first, dash, last = part.partition("-")
            span = range(int(first), int(last if dash else first) + 1)
            if not span or span[0] < least or span[-1] >= 2**64 or len(span) > _MOST_NUMBERS:
                raise ValueError
            numbers += span
        if not numbers:
            raise ValueError
    except ValueError:
        raise CovbenchError(
            f"--{what}s {text!r} is no list of {what}s.",
            f"Write it as {least}-{least + 2} or {least},{least + 2}; {what}s start at {least}, "
            f"and a list has at most {_MOST_NUMBERS:,}.",
        ) from None
    return tuple(dict.fromkeys(numbers))


def check_store(folder: Path) -> None:
    """Refuse a store that is not there.

    Raises:
        CovbenchError: There is no such folder.
    """
    if not folder.is_dir():
        raise CovbenchError(
            f"There is no folder {folder}.", "Give the folder of a run with --out, or start one."
        )


def check_writable(folder: Path) -> None:
    """Refuse an output folder that can't be written, before anything is computed.

    Raises:
        CovbenchError: It can't be made or written.
    """
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CovbenchError(
            f"The folder {folder} can't be written: {error.strerror}.",
            "Give another one with --out.",
        ) from error


def print_json(items: Iterable[dict[str, Any]]) -> None:
    """One JSON list on standard output; an undefined number is null."""
    sys.stdout.write(json.dumps(list(items), indent=1, allow_nan=False) + "\n")


def print_tables(tables: Iterable[Table]) -> None:
    """Tables on standard output: fitted to a terminal, as Markdown elsewhere."""
    from rich.console import Console

    console = Console()
    for table in tables:
        if console.is_terminal:
            console.print(table.to_rich())
        else:
            print(table.to_markdown())


def messages() -> Console:
    """Where progress and messages go: standard error."""
    from rich.console import Console

    return Console(stderr=True)


def print_tree(tree: Tree) -> None:
    """A tree on standard output: fitted to a terminal, whole lines elsewhere."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=300)
    console.print(tree)
