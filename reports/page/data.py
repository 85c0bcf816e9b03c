"""What the page shows, as plain lists and dictionaries for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.boards.standings import PRIMARY
from reports.page.cards import card_data, standing_sentences
from reports.page.images import Pictures, pictures_of
from reports.page.pairs import pairs_data
from reports.page.text import without_paths
from reports.profiles.pareto import front
from reports.subject import Holdings, Subject
from reports.tables.shown import marks, show
from reports.tables.table import Cell, Column, Row, Table
from results.spec import canonical_json

_SIZE = Column("", "", style="size")


def page_data(
    holdings: Holdings, tables: Sequence[Table], *, images: bool = True
) -> dict[str, Any]:
    """Everything on the page.

    Args:
        holdings: What the store holds.
        tables: Its tables; a leaderboard of one of its comparisons gets cards, plots and pairs,
            any other stands as it is.
        images: Whether to look for test images and predictions.

    Returns:
        Texts, numbers, lists and dictionaries, without absolute paths.
    """
    left = list(holdings.subjects)
    sections = []
    for table in tables:
        subject = _subject_of(table, left)
        section = _table(table)
        if subject is not None:
            section |= _details(holdings, subject, table, images)
        sections.append(section)
    damaged = [f"{each.path}: {each.reason}" for each in holdings.damaged]
    unused = [f"{each.path}: {each.reason}" for each in holdings.cases.left_out]
    found = {
        "title": "covbench report",
        "sections": sections,
        "unusable": list(dict.fromkeys([*damaged, *unused])),
    }
    cleaned: dict[str, Any] = without_paths(found, holdings.root)
    return cleaned


def _subject_of(table: Table, left: list[Subject]) -> Subject | None:
    """The comparison that a leaderboard is of.

    Two comparisons may share all names, such as data that were prepared anew: rows tell them
    apart, and else their order, which is that of their tables.
    """
    context = table.context
    labels = {row.label for row in table.rows if row.status != "trivial"}
    found = [
        each
        for each in left
        if _names(each) == tuple(context.get(key) for key in ("dataset", "protocol", "changes"))
        and context.get("target") in each.comparison.targets
        and context.get("task") == each.comparison.spec.truth
        and labels >= {entry.label for entry in each.comparison.entries}
    ]
    if not found:
        return None
    if context["target"] == found[0].comparison.targets[-1]:
        left.remove(found[0])
    return found[0]


def _names(subject: Subject) -> tuple[str, str, str]:
    spec = subject.comparison.spec
    return spec.dataset, spec.protocol, " ".join(subject.comparison.changes)


def _table(table: Table) -> dict[str, Any]:
    """The table as it is shown: texts, and beside them the values that it is sorted by."""
    marked, footnotes = marks(table), table.footnotes
    return {
        "id": table.name,
        "title": table.title,
        "label": table.label,
        "ranked": table.ranked,
        "columns": [
            {"head": each.head, "higher": each.higher_is_better, "text": each.style == "text"}
            for each in table.columns
        ],
        "rows": [
            {
                "label": row.label,
                "rank": row.rank,
                "status": row.status,
                "notes": [footnotes[note] for note in row.notes],
                "cells": [
                    [show(cell, column), _sortable(cell), marked.get((place, index))]
                    for index, (cell, column) in enumerate(
                        zip(row.cells, table.columns, strict=True)
                    )
                ],
            }
            for place, row in enumerate(table.rows)
        ],
        "caption": table.caption,
        "footnotes": [[letter, note] for note, letter in footnotes.items()],
        "notes": list(table.notes),
    }


def _sortable(cell: Cell) -> float | str | None:
    if cell.number is not None:
        return float(f"{cell.number:.8g}")
    return cell.value if isinstance(cell.value, str) else None


def _details(holdings: Holdings, subject: Subject, table: Table, images: bool) -> dict[str, Any]:
    """What a leaderboard has beyond its table."""
    target = table.context["target"]
    subject, first = subject.of(target), target == subject.comparison.targets[0]
    standing = standing_sentences(subject.analysis)
    # Stored predictions, and so pictures, are of the first target.
    pictures: Pictures | None = pictures_of(subject.comparison) if images and first else None
    found = []
    for row in table.rows:
        entry, place = subject.entry(row.label), standing.get(row.label, "")
        found.append(
            card_data(subject, entry, row, table, place, holdings.cases, pictures)
            if entry
            else None
        )
    pairs = pairs_data(subject.analysis)
    if pairs is not None:
        places = {row.label: place for place, row in enumerate(table.rows)}
        pairs["rows"] = [places[label] for label in pairs["rows"]]
        pairs["command"] = first  # `covbench compare` is of the first target, too
    return {
        "cards": found,
        "pareto": _pareto(subject, table),
        "pairs": pairs,
        "settings": _settings(subject),
        "skipped": list(subject.analysis.skipped),
    }


def _pareto(subject: Subject, table: Table) -> dict[str, Any] | None:
    """Dice of each row with its interval or spread, in percent, and what it costs."""
    place = next((i for i, each in enumerate(table.columns) if each.key == PRIMARY), None)
    if place is None:
        return None
    column = table.columns[place]
    heights = [_span(row.cells[place], column) for row in table.rows]
    costs: dict[str, tuple[str, Sequence[float | None]]] = {
        "params": ("Parameters", [_cost(subject, row)[0] for row in table.rows]),
        "macs": ("Multiply-adds", [_cost(subject, row)[1] for row in table.rows]),
        "fps": (_fps_title(subject), [_fps(subject, row) for row in table.rows]),
    }
    axes = [
        _axis(key, title, values, table.rows, heights)
        for key, (title, values) in costs.items()
        if any(value and height for value, height in zip(values, heights, strict=True))
    ]
    if not axes:
        return None
    return {
        "title": f"{column.title} ({column.unit})",
        "error": "95 % interval" if column.shows == "interval" else "sample standard deviation",
        "heights": heights,
        "axes": axes,
    }


def _span(cell: Cell, column: Column) -> list[float] | None:
    """A value and both ends of what is drawn around it."""
    if cell.number is None:
        return None
    low = high = cell.number
    if column.shows == "interval" and cell.interval is not None:
        low, high = cell.interval
    elif column.shows == "spread" and cell.spread is not None:
        low, high = cell.number - cell.spread, cell.number + cell.spread
    return [float(f"{each * column.scale:.6g}") + 0.0 for each in (cell.number, low, high)]


def _axis(
    key: str,
    title: str,
    values: Sequence[float | None],
    rows: Sequence[Row],
    heights: Sequence[list[float] | None],
) -> dict[str, Any]:
    """One cost of all rows, and the ranked rows that no other ranked row beats in it and Dice."""
    sign = -1.0 if key == "fps" else 1.0
    points = {
        place: (sign * value, -height[0])
        for place, (value, height) in enumerate(zip(values, heights, strict=True))
        if value and height and rows[place].competes
    }
    places = list(points)
    best = [places[index] for index in front(list(points.values()))]
    unit = " images/s" if key == "fps" else ""
    return {
        "key": key,
        "title": title,
        "values": [float(f"{each:.8g}") if each else None for each in values],
        "shown": [
            None if not each else f"{each:.1f}{unit}" if unit else show(Cell(each), _SIZE)
            for each in values
        ],
        "front": sorted(best, key=lambda index: values[index] or 0.0),
    }


def _cost(subject: Subject, row: Row) -> tuple[int | None, int | None]:
    entry = subject.entry(row.label)
    if entry is None or not entry.records:
        return None, None
    cost = entry.records[0].cost
    return cost.params, cost.headline


def _fps(subject: Subject, row: Row) -> float | None:
    network = subject.machine.network(row.label) if subject.machine else None
    timing = network.timing("latency") if network else None
    return timing.fps if timing else None


def _fps_title(subject: Subject) -> str:
    where = f" on {subject.machine.machine}" if subject.machine else ""
    return f"Images per second, one by one{where}"


def _settings(subject: Subject) -> list[list[str]]:
    """What all rows share: the data, the protocol's settings, the revisions."""
    spec = subject.comparison.spec
    found = [
        ["dataset", spec.dataset],
        ["data", spec.data_hash],
        ["task", spec.truth],
        ["protocol", spec.protocol],
        ["training revision", str(spec.training_revision)],
        ["scoring revision", str(spec.scoring_revision)],
    ]
    for section, fields in spec.settings.items():
        own = fields if isinstance(fields, dict) else {"": fields}
        found += [
            [f"{section}.{name}".rstrip("."), canonical_json(value)] for name, value in own.items()
        ]
    return found
