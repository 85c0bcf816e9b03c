"""The leaderboard as files: Markdown, LaTeX, CSV and figures from a store's records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports.standings import leaderboard_tables
from reports.tables.latex import latex_file
from reports.tables.render import csv_text
from reports.tables.table import Table
from results.files import write_atomically
from results.record import RunRecord
from results.store import Damaged, Store
from zoo.errors import CovbenchError, unknown

TABLE_FORMATS = ("md", "tex", "csv")
FORMATS = (*TABLE_FORMATS, "png", "pdf")


@dataclass(frozen=True)
class Written:
    """What a report consists of: its tables, and the files that hold them."""

    tables: tuple[Table, ...] = ()
    paths: tuple[Path, ...] = ()


def write_leaderboard(store_root: Path) -> Written:
    """Write leaderboard.md, .tex and .csv into a store's own folder.

    Args:
        store_root: The folder of the records.

    Returns:
        The tables and paths; nothing is written where there is no run yet.
    """
    _, tables = _read(store_root)
    return Written(tables, write_tables(tables, store_root, "leaderboard", TABLE_FORMATS))


def write_report(
    store_root: Path,
    out: Path,
    against: str | None = None,
    formats: Collection[str] = FORMATS,
) -> Written:
    """Write the leaderboard and its figure, and a published table beside them.

    Args:
        store_root: The folder of the records.
        out: Where the files go.
        against: Name of a published table, such as `miniseg-table3`.
        formats: Which of `FORMATS` to write.

    Returns:
        The tables and paths, the leaderboards first.

    Raises:
        CovbenchError: There are no runs, or a name or format is not known.
    """
    from reports.against import against_tables
    from reports.figures.accuracy import leaderboard_figure
    from reports.subject import read_holdings

    for each in formats:
        if each not in FORMATS:
            raise unknown("format", each, FORMATS, ", ".join(FORMATS))
    _, tables = _read(store_root)
    if not tables and (
        broken := [f for f in Store(store_root).records() if isinstance(f, Damaged)]
    ):
        raise CovbenchError(
            f"All {len(broken)} records below {store_root} are damaged: {broken[0].path} "
            f"({broken[0].reason}).",
            "Run the same `covbench run` again: what is damaged is moved aside and done anew.",
        )
    if not tables:
        raise CovbenchError(
            f"There are no runs below {store_root}.", "Start some: covbench run --out FOLDER"
        )
    beside = tuple(against_tables(read_holdings(store_root).subjects, against)) if against else ()
    paths = list(write_tables(tables, out, "leaderboard", formats))
    paths += write_tables(beside, out, f"against-{against}", formats)
    drawn = [each for each in ("png", "pdf") if each in formats]
    if drawn and (figure := leaderboard_figure(tables)) is not None:
        for each in drawn:
            paths.append(out / f"leaderboard.{each}")
            write_atomically(paths[-1], figure(each))
    return Written((*tables, *beside), tuple(paths))


def _read(store_root: Path) -> tuple[list[RunRecord], tuple[Table, ...]]:
    """The records of a store and their leaderboards; the first one names damaged records."""
    store = Store(store_root)
    records, damaged = [], []
    for found in store.records():
        if isinstance(found, Damaged):
            damaged.append(f"Left out, since it is damaged: {found.path} ({found.reason}).")
        else:
            records.append(found)
    tables = leaderboard_tables(records, store.all_failures())
    if tables:
        tables[0] = replace(tables[0], notes=(*tables[0].notes, *damaged))
    return records, tuple(tables)


def write_tables(
    tables: Sequence[Table], folder: Path, name: str, formats: Collection[str]
) -> tuple[Path, ...]:
    """Write tables into one file a format.

    Args:
        tables: The tables, in their order.
        folder: Where the files go.
        name: Their name, without its ending.
        formats: Which of `TABLE_FORMATS` to write; others are passed over.

    Returns:
        The paths; nothing is written where there is no table.
    """
    if not tables:
        return ()
    texts = {
        "md": "\n".join(table.to_markdown() for table in tables),
        "tex": latex_file(tables),
        "csv": csv_text(tables),
    }
    paths = [folder / f"{name}.{each}" for each in TABLE_FORMATS if each in formats]
    for path in paths:
        write_atomically(path, texts[path.suffix[1:]])
    return tuple(paths)
