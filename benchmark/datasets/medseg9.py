"""MedSeg9: MedSeg's "COVID-19 CT segmentation dataset nr. 2", 9 scans from Radiopaedia.

Three folders or zip archives with 9 NIfTI volumes each, of the same names: `rp_im` (images),
`rp_msk` (1 ground-glass opacity, 2 consolidation, 3 pleural effusion) and `rp_lung_msk` (lungs).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import Field

from benchmark.datasets.recipes import (
    DatasetCard,
    Decoded,
    LabelMapOption,
    Options,
    Recipe,
    Source,
    WindowOption,
    lesion_names,
    source_folder,
)
from benchmark.datasets.scans import Reader, Scan, labels_by
from benchmark.datasets.volume_files import find_parts, same_stems, source_files
from benchmark.window import LUNG_WINDOW
from zoo.errors import CovbenchError

SCANS = 9
_PARTS = {"images": ("rp_im",), "masks": ("rp_msk",), "lungs": ("rp_lung_msk",)}


class Medseg9Options(Options):
    """`label_map` maps stored labels to classes; the default is every kind of lesion.

    `window` gives the Hounsfield units that become black and white, where a scan stores them.
    """

    label_map: LabelMapOption = Field(default={0: 0, 1: 1, 2: 1, 3: 1})
    window: WindowOption = LUNG_WINDOW

    @property
    def classes(self) -> dict[int, str]:
        """What the classes of a map to several are called."""
        return lesion_names(self.label_map)


def find_scans(
    folder: Path, label_map: dict[int, int], obtain: str | None = None
) -> tuple[list[Scan], dict[str, Path]]:
    """The scans that a folder holds, and the files that they are read from.

    Args:
        folder: Where they lie.
        label_map: Stored label to class.
        obtain: The command that takes the folder; that of `medseg9` by default.

    Raises:
        CovbenchError: There are none, or a file of one is missing.
    """
    parts = find_parts(folder, _PARTS)
    images, masks, lungs = (parts[part] for part in _PARTS)
    if not images:
        raise CovbenchError(
            f"{folder} does not hold rp_im, rp_msk and rp_lung_msk (folders or .zip) with NIfTI "
            "volumes.",
            f"Put the three downloads into one folder and name it: `{obtain or CARD.obtain}`.",
        )
    same_stems(images, masks, "infection mask (rp_msk)")
    same_stems(images, lungs, "lung mask (rp_lung_msk)")
    labels = labels_by(label_map)
    scans = [
        Scan(f"medseg9-{stem}", f"medseg9-{stem}", image, masks[stem], labels, lungs[stem])
        for stem, image in images.items()
    ]
    used = [file for stem in images for file in (images[stem], masks[stem], lungs[stem])]
    return scans, source_files(folder, used)


def _find(source: Path | None, options: Medseg9Options) -> Source:
    scans, files = find_scans(source_folder(source, CARD), options.label_map)
    return Source(files, len(scans), partial(_decode, scans, options))


def _decode(scans: list[Scan], options: Medseg9Options) -> Decoded:
    few = f"{len(scans)} of the {SCANS} scans are there."
    return Reader(options.window).decoded(scans, (few,) if len(scans) != SCANS else ())


CARD = DatasetCard(
    name="medseg9",
    title="MedSeg COVID-19 CT segmentation dataset nr. 2: 9 scans from Radiopaedia",
    tasks=("infection", "lung", "hierarchical"),
    licence="Stated as CC0 by third parties; check with MedSeg before you pass it on",
    citation="MedSeg, COVID-19 CT segmentation dataset nr. 2, 2020; images from Radiopaedia",
    obtain="covbench data prepare medseg9 FOLDER",
    where=(
        "Fetch rp_im.zip, rp_msk.zip and rp_lung_msk.zip from "
        "https://figshare.com/articles/dataset/Covid_Dataset_2/13521509 or "
        "https://medicalsegmentation.com/covid19/."
    ),
)
RECIPE = Recipe(card=CARD, options=Medseg9Options, find=_find)
