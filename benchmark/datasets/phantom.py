"""The built-in dataset: schematic CT slices with known lesions, the same on every machine.

For trying covbench out and for its tests: no grey threshold finds the lesions, because vessels,
chest wall, heart and bone share their grey values, while their place and texture give them away
to a small network within a few hundred steps. It says nothing about real disease.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from benchmark.datasets.anatomy import draw_anatomy, draw_slice
from benchmark.datasets.recipes import DatasetCard, Decoded, Options, Recipe, Slice, Source
from zoo.errors import CovbenchError

_FIELD_OF_VIEW_MM = 420.0


class PhantomOptions(Options):
    """Size and number of the slices, and the seed of their random numbers."""

    size: int = Field(default=256, ge=16, le=1024)
    patients: int = Field(default=16, ge=2, le=999)
    slices: int = Field(default=5, ge=1, le=99)
    seed: int = Field(default=2020, ge=0, lt=2**63)


def _numbers(options: PhantomOptions, patient: int, level: int) -> np.random.Generator:
    """An independent stream for each patient (level 0) and each of the slices (from 1)."""
    key = np.array([options.seed, patient * 1000 + level], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def _draw(options: PhantomOptions) -> Iterator[list[Slice]]:
    """The slices, patient by patient; about one in seven is free of lesions."""
    spacing = _FIELD_OF_VIEW_MM / options.size
    for patient in range(1, options.patients + 1):
        build = _numbers(options, patient, 0)
        anatomy = draw_anatomy(build, severity=build.random())
        drawn = []
        for level in range(1, options.slices + 1):
            rng = _numbers(options, patient, level)
            z = (level - 0.5 + 0.6 * (rng.random() - 0.5)) / options.slices
            infected = bool(rng.random() < 0.86)
            image, mask, lung = draw_slice(rng, anatomy, z, options.size, infected)
            name = f"patient-{patient:02d}"
            drawn.append(Slice(f"{name}-{level:02d}", name, image, mask, (spacing, spacing), lung))
        yield drawn


def _find(source: Path | None, options: PhantomOptions) -> Source:
    if source is not None:
        raise CovbenchError("The phantom is built in and reads no files.", "Leave the folder out.")
    return Source({}, options.patients, lambda: Decoded(_draw(options), groups_known="all"))


RECIPE = Recipe(
    card=DatasetCard(
        name="phantom",
        title="Schematic chest CT slices with drawn lesions, for trying things out",
        tasks=("infection", "lung", "hierarchical"),
        licence="Apache-2.0",
        citation="Drawn by covbench.",
        obtain="covbench data prepare phantom",
    ),
    options=PhantomOptions,
    find=_find,
    built_in=True,
)
