"""The whole table of cases; a reader's cases are a module with `CASES`, added here."""

from __future__ import annotations

from tests.hostile import (
    archives,
    folders,
    inputs,
    leftovers,
    names,
    pictures,
    recipes,
    records,
    segmentations,
    series,
    settings,
    sidecars,
    volumes,
    weights,
)
from tests.hostile.case import Case

MODULES = (
    pictures,
    volumes,
    folders,
    inputs,
    recipes,
    series,
    segmentations,
    records,
    leftovers,
    sidecars,
    archives,
    settings,
    weights,
    names,
)

CASES: dict[str, Case] = {
    f"{module.__name__.rpartition('.')[2]}: {case.name}": case
    for module in MODULES
    for case in module.CASES
}
