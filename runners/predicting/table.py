"""The involvement of every image that was predicted into a folder, as a table and in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.involvement import Part
from benchmark.labels import ALL
from reports.words import csv_value
from results.files import write_atomically
from runners.predicting.facts import Facts
from zoo.errors import CovbenchError
from zoo.limits import read_limited

TABLE = "involvement.csv"
_SIDES = ("right", "left")
COLUMNS = (
    "input",
    "region",
    "lesion",
    "percent",
    "lung_voxels",
    "infected_voxels",
    "lung_ml",
    "infected_ml",
    "run",
    "lung_run",
)


def write_table(out: Path) -> Path:
    """Write the table of a folder, from the facts beside all masks in it.

    Returns:
        The file.
    """
    rows = [row for facts in _all_facts(out) for row in rows_of(facts)]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_value(value) for key, value in row.items()} for row in rows)
    write_atomically(out / TABLE, text.getvalue())
    return out / TABLE


def rows_of(facts: Facts) -> list[dict[str, Any]]:
    """A line for each region of an image; what isn't known is None."""
    return [
        {
            "input": facts.input,
            "region": part.region,
            "lesion": part.lesion,
            "percent": _rounded(part.percent),
            "lung_voxels": part.lung_voxels,
            "infected_voxels": part.infected_voxels,
            "lung_ml": _rounded(part.lung_ml),
            "infected_ml": _rounded(part.infected_ml),
            "run": facts.run[:12],
            "lung_run": facts.lung_run[:12] if facts.lung_run else None,
        }
        for part in facts.parts
    ]


def in_words(facts: Facts) -> str:
    """The involvement of an image in one line."""
    parts = {part.region: part for part in facts.parts if part.lesion in ("", ALL)}
    words = []
    both = parts.get("both")
    if both and both.infected_voxels is None:
        sizes = [f"{side} {_size(parts[side], 'lung')}" for side in _SIDES if side in parts]
        words.append(f"lungs {_size(both, 'lung')} ({', '.join(sizes)})")
    elif both:
        sides = [f"{side} {_percent(parts[side])}" for side in _SIDES if side in parts]
        words.append(f"{_percent(both)} of the lungs ({', '.join(sides)})")
    if "everywhere" in parts:
        words.append(f"infected {_size(parts['everywhere'], 'infected')}")
    where = "both" if both else "everywhere"
    words += [
        f"{part.lesion} {_percent(part) if both else _size(part, 'infected')}"
        for part in facts.parts
        if part.region == where and part.lesion in facts.classes.values()
    ]
    return "; ".join(words)


def _size(part: Part, what: str) -> str:
    voxels, ml = getattr(part, f"{what}_voxels"), getattr(part, f"{what}_ml")
    return f"{voxels:,} pixels" if ml is None else f"{ml:,.1f} ml"


def _percent(part: Part) -> str:
    return "no lung" if part.percent is None else f"{part.percent:.1f} %"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _all_facts(out: Path) -> Iterable[Facts]:
    for path in sorted(out.rglob("*_mask.json")):
        try:
            facts = Facts.model_validate_json(read_limited(path, "manifest_bytes"))
        except (OSError, ValidationError, CovbenchError):
            continue  # of another program
        if facts.mask:
            yield facts
