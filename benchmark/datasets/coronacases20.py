"""Coronacases20: "COVID-19 CT Lung and Infection Segmentation Dataset" (Zenodo 3757476), 20 scans.

The 256-pixel PNG form is read: see `benchmark.datasets.coronacases20_png`. Two patients have two
scans each: 18 patients in all, whose folds are made patient by patient. The authors of MiniSeg
split slices of the infected part of these scans (their P20) so that both patients are on both
sides; the option `folds=authors` takes their lists.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from benchmark.datasets import nifti
from benchmark.datasets.coronacases20_png import FOLDERS as PNG_FOLDERS
from benchmark.datasets.coronacases20_png import TABLE, Row, decode_png, find_rows, is_png_form
from benchmark.datasets.folds import fold_list
from benchmark.datasets.recipes import (
    DatasetCard,
    Decoded,
    Options,
    Recipe,
    Source,
    WindowOption,
    source_folder,
)
from zoo.errors import CovbenchError

PNG_NAME = "COVID-19-CT-Seg_png256"


class Coronacases20Options(Options):
    """How the scans are read.

    `window` gives the Hounsfield units that become black and white, where a scan stores them.
    `folds`: patients kept whole, or the MiniSeg authors' lists. `upright` turns the scans of the
    PNG form back that it stores upside down.
    """

    window: WindowOption = nifti.LUNG_WINDOW
    folds: Literal["patients", "authors"] = "patients"
    upright: bool = True


def _find(source: Path | None, options: Coronacases20Options) -> Source:
    folder = source_folder(source, CARD)
    for root in (folder, folder / PNG_NAME):
        if is_png_form(root):
            rows, named = find_rows(root)
            files = {
                f"{kind}/{row.png}": root / kind / row.png for row in rows for kind in PNG_FOLDERS
            }
            steps = len({row.case for row in rows})
            decode = partial(_decode_png, root, rows, named, options)
            return Source({**files, TABLE: root / TABLE}, steps, decode)
    raise CovbenchError(
        f"{folder} does not hold the 20 scans: ct/, covid/, lungs/ and index.csv.",
        f"Unpack the download and name the folder that holds them: `{CARD.obtain}`.",
    )


def _decode_png(root: Path, rows: list[Row], named: int, options: Coronacases20Options) -> Decoded:
    steps, turned = decode_png(root, rows, options.upright)
    notes = [turned] if turned else []
    if len(rows) < named:
        notes.append(f"{len(rows)} of the {named} slices that index.csv names are there.")
    listed = None
    if options.folds == "authors":
        ids = {name for test in fold_list("coronacases20").tests for name in test}
        strange = [row.id for row in rows if row.id not in ids]
        if strange:
            raise CovbenchError(
                f"{len(strange)} slices are in none of the MiniSeg authors' lists, such as "
                f"{strange[0]}.",
                "Leave the option folds out: folds are then made patient by patient.",
            )
        listed = "coronacases20"
    return Decoded(steps, "all", listed, tuple(notes))


CARD = DatasetCard(
    name="coronacases20",
    title="COVID-19 CT lung and infection segmentation: 20 scans of 18 patients",
    tasks=("infection", "lung", "hierarchical"),
    licence="CC BY-NC-SA (stated on Zenodo)",
    citation=(
        "Ma et al., COVID-19 CT Lung and Infection Segmentation Dataset, Zenodo, 2020, "
        "doi:10.5281/zenodo.3757476"
    ),
    obtain="covbench data prepare coronacases20 FOLDER",
)
RECIPE = Recipe(card=CARD, options=Coronacases20Options, find=_find)
