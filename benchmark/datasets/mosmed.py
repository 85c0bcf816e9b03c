"""MosMed: the 50 scans of MosMedData (COVID19_1110) whose infection is outlined.

`studies/CT-1/study_0255.nii.gz` and `masks/study_0255_mask.nii.gz`, in Hounsfield units; a label
of 1 is infection (ground-glass opacity and consolidation). Nobody outlined the lungs. The other
1060 scans have no masks and are passed over.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmark.datasets.recipes import (
    DatasetCard,
    Decoded,
    Options,
    Recipe,
    Source,
    WindowOption,
    source_folder,
)
from benchmark.datasets.scans import Reader, Scan, labels_by
from benchmark.datasets.volume_files import find_parts, same_stems, source_files
from zoo.errors import CovbenchError

SCANS = 50
_PARTS = {"studies": ("studies",), "masks": ("masks",)}


class MosmedOptions(Options):
    """`window` brings the scans to 8-bit grey; without it they stay in Hounsfield units."""

    window: WindowOption | None = None


def _find(source: Path | None, options: MosmedOptions) -> Source:
    folder = source_folder(source, CARD)
    parts = find_parts(folder, _PARTS)
    studies = parts["studies"]
    masks = {stem.removesuffix("_mask"): mask for stem, mask in parts["masks"].items()}
    if not masks:
        raise CovbenchError(
            f"{folder} does not hold masks/ with NIfTI volumes (study_0255_mask.nii.gz).",
            f"Name the folder that holds studies/ and masks/: `{CARD.obtain}`.",
        )
    same_stems(masks, studies, "study")
    labels = labels_by({0: 0, 1: 1})
    scans = [Scan(stem, stem, studies[stem], mask, labels) for stem, mask in masks.items()]
    used = [file for scan in scans for file in (scan.image, scan.mask)]
    return Source(source_files(folder, used), len(scans), partial(_decode, scans, options))


def _decode(scans: list[Scan], options: MosmedOptions) -> Decoded:
    few = f"{len(scans)} masks are there; MosMedData has {SCANS}."
    return Reader(options.window).decoded(scans, (few,) if len(scans) != SCANS else ())


CARD = DatasetCard(
    name="mosmed",
    title="MosMedData COVID19_1110: the 50 scans with outlined infection",
    tasks=("infection",),
    licence="CC BY-NC-ND 3.0",
    citation=(
        "Morozov et al., MosMedData: chest CT scans with COVID-19 related findings, 2020, "
        "arXiv:2005.06465"
    ),
    obtain="covbench data prepare mosmed FOLDER",
    where="Fetch COVID19_1110 (studies/ and masks/) from https://mosmed.ai/en/ and unpack it.",
)
RECIPE = Recipe(card=CARD, options=MosmedOptions, find=_find)
