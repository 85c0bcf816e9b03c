"""The leaderboard that every run leaves in its store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports.boards.standings import leaderboard_tables
from reports.tables.files import STORE_FORMATS, write_tables
from reports.tables.table import Table
from reports.tracing.trace import write_sidecar
from results.record import RunRecord
from results.store import Damaged, Store


@dataclass(frozen=True)
class Written:
    """What a report consists of: its tables, and the files that hold them."""

    tables: tuple[Table, ...] = ()
    paths: tuple[Path, ...] = ()


def write_leaderboard(store_root: Path) -> Written:
    """Write leaderboard.md, .tex and .csv into a store's own folder, from the records alone.

    Args:
        store_root: The folder of the records.

    Returns:
        The tables and paths; nothing is written where there is no run yet. The first table names
        damaged records.
    """
    store = Store(store_root)
    found = list(store.records())
    records = [each for each in found if isinstance(each, RunRecord)]
    tables = leaderboard_tables(records, store.all_failures())
    if tables:
        lost = damage_notes([each for each in found if isinstance(each, Damaged)])
        tables[0] = replace(tables[0], notes=(*tables[0].notes, *lost))
    paths = write_tables(tables, store_root, "leaderboard", STORE_FORMATS)
    paths += write_sidecar(tables, store_root, "leaderboard", store_root, records)
    return Written(tuple(tables), paths)


def damage_notes(damaged: Sequence[Damaged]) -> list[str]:
    """Sentences on records that can't be read."""
    return [f"Left out, since it is damaged: {each.path} ({each.reason})." for each in damaged]
