"""Fused: the set that CHS-Net was trained on, medseg9 and coronacases20 as slices of 256 x 256.

Both collections took scans from Radiopaedia, so some patients may be in both. Such scans are found
by what they show (`benchmark.datasets.twins`), named, and given one group, so that folds by patient
keep them together. All their slices stay, as in the paper.

The paper drops "dark" slices and does not say how. Here a slice is dark where fewer than
`dark_share` of its pixels reach half of the grey scale (-500 HU at the default window: little but
air and lung); `drop=lungless` leaves out slices without lung instead, `drop=none` nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from benchmark.datasets import coronacases20, medseg9
from benchmark.datasets.readers import Grey
from benchmark.datasets.recipes import (
    DatasetCard,
    Decoded,
    LabelMapOption,
    Options,
    Recipe,
    Slice,
    Source,
    WindowOption,
    source_folder,
)
from benchmark.datasets.scans import Reader, Scan, slices
from benchmark.datasets.twins import find_twins, thumbnails
from benchmark.window import LUNG_WINDOW
from zoo.errors import CovbenchError

PAPER_SLICES, PAPER_INFECTED = 3560, 2200
_HALF = 128


class FusedOptions(Options):
    """How the two collections are read and which slices are kept.

    `medseg9` and `coronacases20` name their folders where one folder doesn't hold both; they are
    no part of what is prepared. `label_map` is that of medseg9. `size` is the side of the slices.
    """

    medseg9: Path | None = Field(default=None, exclude=True)
    coronacases20: Path | None = Field(default=None, exclude=True)
    label_map: LabelMapOption = Field(default={0: 0, 1: 1, 2: 1, 3: 1})
    window: WindowOption = LUNG_WINDOW
    size: int = Field(default=256, ge=16, le=1024)
    drop: Literal["dark", "lungless", "none"] = "dark"
    dark_share: float = Field(default=0.05, ge=0, le=1)


def _find(source: Path | None, options: FusedOptions) -> Source:
    if len(set(options.label_map.values()) - {255}) != 2:
        raise CovbenchError(
            "The fused set has one class, infection: coronacases20 tells no kinds of lesion apart.",
            "Map every label to 0 or 1, or prepare medseg9 alone.",
        )
    scans: list[Scan] = []
    files: dict[str, Path] = {}
    for name, given in (("medseg9", options.medseg9), ("coronacases20", options.coronacases20)):
        folder = source_folder(given or source, CARD)
        if name == "medseg9":
            found, read_from = medseg9.find_scans(folder, options.label_map, CARD.obtain)
        else:
            found, _, read_from = coronacases20.find_scans(folder)
        scans += [replace(scan, source=name) for scan in found]
        files |= {f"{name}/{label}": path for label, path in read_from.items()}
    return Source(files, 2 * len(scans), partial(_decode, scans, options))


def _decode(scans: list[Scan], options: FusedOptions) -> Decoded:
    reader = Reader(options.window)
    notes: list[str] = []
    kept: Counter[str] = Counter()

    def steps() -> Iterator[list[Slice]]:
        small = {}
        for scan in scans:
            small[scan.name] = thumbnails(reader.grey(scan))
            yield []
        ours, theirs = (
            {scan.name: small[scan.name] for scan in scans if scan.source == source}
            for source in ("medseg9", "coronacases20")
        )
        twins = find_twins(ours, theirs)
        notes.append(_told_of(twins))
        for scan in scans:
            if scan.name in twins:
                patient = coronacases20.patient_of(twins[scan.name][0])
                scan = replace(scan, group=patient)
            made = [_resized(each, options.size) for each in slices(scan, reader.read(scan))]
            kept["read"] += len(made)
            left = [each for each in made if _stays(each, options)]
            kept[scan.source] += len(left)
            kept["infected"] += sum(bool((each.mask == 1).any()) for each in left)
            yield left

    return Decoded(steps(), "all", closing=lambda: [reader.told(), _counts(kept, options), *notes])


def _stays(item: Slice, options: FusedOptions) -> bool:
    if options.drop == "dark":
        return bool((item.image >= _HALF).mean() >= options.dark_share)
    return options.drop == "none" or bool(np.any(item.lung))


def _resized(item: Slice, size: int) -> Slice:
    """The slice as a square: area-averaged where it shrinks, masks by the nearest pixel."""
    import cv2

    height, width = item.image.shape
    how = cv2.INTER_AREA if height * width > size * size else cv2.INTER_LINEAR

    def nearest(plane: Grey) -> Grey:
        return np.asarray(
            cv2.resize(plane, (size, size), interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8
        )

    spacing = item.spacing_mm
    return replace(
        item,
        image=np.asarray(cv2.resize(item.image, (size, size), interpolation=how), dtype=np.uint8),
        mask=nearest(item.mask),
        lung=None if item.lung is None else nearest(item.lung),
        spacing_mm=(spacing[0] * height / size, spacing[1] * width / size) if spacing else None,
    )


def _counts(kept: Counter[str], options: FusedOptions) -> str:
    total = kept["medseg9"] + kept["coronacases20"]
    rule = {
        "dark": f"with at least {options.dark_share:.0%} of pixels at mid-grey or above",
        "lungless": "with lung",
        "none": "with anything",
    }[options.drop]
    return (
        f"{total} of {kept['read']} slices are kept, those {rule}: {kept['medseg9']} of medseg9, "
        f"{kept['coronacases20']} of coronacases20; {kept['infected']} show infection. The paper "
        f"has {PAPER_SLICES}, {PAPER_INFECTED} of them with infection."
    )


def _told_of(twins: dict[str, tuple[str, float]]) -> str:
    if not twins:
        return "No scan of medseg9 shows a patient of coronacases20."
    named = ", ".join(
        f"{name} = {other} (correlation {alike:.3f})" for name, (other, alike) in twins.items()
    )
    return f"Patients that both collections have, given one group each: {named}."


CARD = DatasetCard(
    name="fused",
    title="CHS-Net's set: medseg9 and coronacases20 as slices of 256 x 256",
    tasks=("infection", "lung", "hierarchical"),
    licence=f"medseg9: {medseg9.CARD.licence}; coronacases20: {coronacases20.CARD.licence}",
    citation=(
        f"{medseg9.CARD.citation}; {coronacases20.CARD.citation}; fused as in Punn and Agarwal, "
        "CHS-Net, arXiv:2012.07079"
    ),
    obtain="covbench data prepare fused FOLDER",
    where="Fetch the files of medseg9 and of coronacases20 into one folder.",
)
RECIPE = Recipe(card=CARD, options=FusedOptions, find=_find)
