"""Coronacases20: "COVID-19 CT Lung and Infection Segmentation Dataset" (Zenodo 3757476), 20 scans.

Four folders or zip archives of NIfTI volumes are read: images, lungs, infection, and both in one
(lungs 1 and 2, infection 3), which stands in where one of the others is missing and is compared
with the infection where not. The scans from Radiopaedia are windowed to 0 to 255 and kept as they
are; those from Coronacases are in Hounsfield units, of which a window becomes 0 to 255. So all are
8-bit grey. The 256-pixel PNG form: see `benchmark.datasets.coronacases20_png`.

Two patients have two scans each: 18 patients, kept whole by the folds. The authors of MiniSeg split
the infected slices (their P20) so that both are on both sides; `folds=authors` takes their lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from benchmark.datasets.coronacases20_png import FOLDERS as PNG_FOLDERS
from benchmark.datasets.coronacases20_png import TABLE, Row, decode_png, find_rows, is_png_form
from benchmark.datasets.lists import fold_list
from benchmark.datasets.recipes import (
    DatasetCard,
    Decoded,
    Options,
    Recipe,
    Slice,
    Source,
    WindowOption,
    source_folder,
)
from benchmark.datasets.scans import Reader, Scan, ScanRead, labels_by, slices
from benchmark.datasets.volume_files import VolumeFile, find_parts, same_stems, source_files
from benchmark.window import LUNG_WINDOW
from zoo.errors import CovbenchError

PNG_NAME = "COVID-19-CT-Seg_png256"
SCANS = 20
_PARTS = {
    "images": ("covid-19-ct-seg_20cases", "ct_scans"),
    "lungs": ("lung_mask",),
    "masks": ("infection_mask",),
    "both": ("lung_and_infection_mask",),
}
_INFECTION = 3  # in the part "both"
_SAME_AREAS = 0.1  # how far all areas together may be from the authors', which were resized


class Coronacases20Options(Options):
    """How the scans are read.

    `window` gives the Hounsfield units that become black and white, where a scan stores them.
    `folds`: patients kept whole, or the MiniSeg authors' lists. `upright` turns the scans of the
    PNG form back that it stores upside down.
    """

    window: WindowOption = LUNG_WINDOW
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
    scans, boths, read_from = find_scans(folder)
    decode = partial(_decode_volumes, scans, boths, options)
    return Source(read_from, len(scans), decode)


def find_scans(folder: Path) -> tuple[list[Scan], dict[str, VolumeFile], dict[str, Path]]:
    """The scans that a folder holds.

    Returns:
        The scans; by scan the mask of lungs and infection in one, where it is to be compared; and
        the files that are read.

    Raises:
        CovbenchError: There are none, or a file of one is missing.
    """
    parts = {
        part: {_case_of(stem): file for stem, file in volumes.items()}
        for part, volumes in find_parts(folder, _PARTS).items()
    }
    images, both = parts["images"], parts["both"]
    if not images:
        raise CovbenchError(
            f"{folder} does not hold the 20 scans: COVID-19-CT-Seg_20cases, Lung_Mask, "
            "Infection_Mask and Lung_and_Infection_Mask (folders or .zip), or the PNG form's ct/, "
            "covid/, lungs/ and index.csv.",
            f"Put the downloads into one folder and name it: `{CARD.obtain}`.",
        )
    strange = sorted(images.keys() - _known_scans())
    if strange:
        raise CovbenchError(
            f"{images[strange[0]].name} is none of the 20 scans.",
            "Their names are like coronacases_001.nii.gz and radiopaedia_4_85506_1.nii.gz.",
        )
    same_stems(images, both | parts["masks"], "infection mask (Infection_Mask)")
    same_stems(images, both | parts["lungs"], "lung mask (Lung_Mask)")
    plain, third = labels_by({0: 0, 1: 1}), labels_by({0: 0, 1: 0, 2: 0, _INFECTION: 1})
    scans = [
        Scan(
            case,
            patient_of(case),
            image,
            parts["masks"].get(case) or both[case],
            plain if case in parts["masks"] else third,
            parts["lungs"].get(case) or both[case],
        )
        for case, image in images.items()
    ]
    compared = {case: both[case] for case in images if case in both and case in parts["masks"]}
    used = [file for scan in scans for file in (scan.image, scan.mask, scan.lungs) if file]
    return scans, compared, source_files(folder, [*used, *compared.values()])


def _case_of(stem: str) -> str:
    """A scan's name as Zenodo has it.

    Copies elsewhere say coronacases_org_001 and radiopaedia_org_covid-19-pneumonia-7_85703_0-dcm.
    """
    return stem.replace("_org_covid-19-pneumonia-", "_").replace("_org_", "_").removesuffix("-dcm")


def patient_of(case: str) -> str:
    """The patient of a scan: radiopaedia_10_85902_3 is one of two scans of radiopaedia_10."""
    return "_".join(case.split("_")[:2])


def _known_scans() -> set[str]:
    return {name.rpartition("-")[0] for test in fold_list(CARD.name).tests for name in test}


def _decode_volumes(
    scans: list[Scan], boths: dict[str, VolumeFile], options: Coronacases20Options
) -> Decoded:
    reader = Reader(options.window)
    check = _Crosscheck(boths)
    areas: dict[str, float] = {}

    def steps() -> Iterator[list[Slice]]:
        for scan in scans:
            read = reader.read(scan)
            check.compare(scan, read)
            found = slices(scan, read)
            areas.update({item.id: float(item.mask.mean()) for item in found})
            yield found
        if options.folds == "authors":
            _check_areas(areas)

    def told() -> list[str]:
        return [reader.told(), *check.told()]

    notes = [f"{len(scans)} of the {SCANS} scans are there."] if len(scans) != SCANS else []
    if options.folds == "authors":
        notes.append(_AUTHORS)
    return Decoded(
        steps(), "all", CARD.name if options.folds == "authors" else None, tuple(notes), told
    )


class _Crosscheck:
    """Compares infection masks with those that hold lungs and infection in one."""

    def __init__(self, boths: dict[str, VolumeFile]) -> None:
        self._boths = boths
        self._differing: list[str] = []

    def compare(self, scan: Scan, read: ScanRead) -> None:
        """Look at one scan."""
        if scan.name not in self._boths:
            return
        infection = self._boths[scan.name].read().values == _INFECTION
        if infection.shape != read.mask.shape:
            self._differing.append(f"{scan.name} (another size)")
        elif count := int((infection != (read.mask == 1)).sum()):
            self._differing.append(f"{scan.name} ({count:,} voxels)")

    def told(self) -> list[str]:
        """What to say of it."""
        if not self._differing:
            return []
        return [
            "Infection_Mask and Lung_and_Infection_Mask differ in the infection of "
            f"{', '.join(self._differing)}; the former is used."
        ]


def _check_areas(areas: dict[str, float]) -> None:
    """Refuse scans whose infected areas are not those of the slices that the authors listed."""
    shipped = fold_list(CARD.name)
    ids = sorted(name for test in shipped.tests for name in test)
    theirs = dict(zip(ids, (area / 256**2 for area in shipped.areas), strict=True))
    scans = {name.rpartition("-")[0] for name in areas}
    expected = {name: area for name, area in theirs.items() if name.rpartition("-")[0] in scans}
    off = sum(abs(areas.get(name, 0.0) - area) for name, area in expected.items())
    if off > _SAME_AREAS * sum(expected.values()):
        raise CovbenchError(
            "The infected areas of these slices are not those of the slices that the MiniSeg "
            f"authors listed: they differ by {off / sum(expected.values()):.0%}.",
            "Leave the option folds out: folds are then made patient by patient.",
        )


def _decode_png(root: Path, rows: list[Row], named: int, options: Coronacases20Options) -> Decoded:
    steps, turned = decode_png(root, rows, options.upright)
    notes = [turned] if turned else []
    if len(rows) < named:
        notes.append(f"{len(rows)} of the {named} slices that index.csv names are there.")
    listed = None
    if options.folds == "authors":
        ids = {name for test in fold_list(CARD.name).tests for name in test}
        strange = [row.id for row in rows if row.id not in ids]
        if strange:
            raise CovbenchError(
                f"{len(strange)} slices are in none of the MiniSeg authors' lists, such as "
                f"{strange[0]}.",
                "Leave the option folds out: folds are then made patient by patient.",
            )
        listed = CARD.name
        notes.append(_AUTHORS)
    return Decoded(steps, "all", listed, tuple(notes))


_AUTHORS = (
    "Folds are the MiniSeg authors' lists of infected slices; two patients are on both sides."
)
CARD = DatasetCard(
    name="coronacases20",
    title="COVID-19 CT lung and infection segmentation: 20 scans of 18 patients",
    tasks=("infection", "lung", "hierarchical"),
    licence="CC BY-NC-SA; check the Zenodo record before you pass it on",
    citation=(
        "Ma et al., COVID-19 CT Lung and Infection Segmentation Dataset, Zenodo, 2020, "
        "doi:10.5281/zenodo.3757476"
    ),
    obtain="covbench data prepare coronacases20 FOLDER",
    where="Fetch the four archives of https://zenodo.org/records/3757476, or give --download.",
)
RECIPE = Recipe(
    card=CARD,
    options=Coronacases20Options,
    find=_find,
    downloads={
        f"{part}.zip": f"https://zenodo.org/records/3757476/files/{part}.zip?download=1"
        for part in (
            "COVID-19-CT-Seg_20cases",
            "Lung_Mask",
            "Infection_Mask",
            "Lung_and_Infection_Mask",
        )
    },
)
