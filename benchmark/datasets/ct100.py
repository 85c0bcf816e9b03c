"""CT100: the "COVID-19 CT segmentation dataset" of MedSeg, 100 axial slices of 512 x 512.

Two forms are read: the PNG form that the authors of MiniSeg trained on (`tr_im/tr_im_0000.png`
and `tr_mask_new/tr_mask_0000.png`), and MedSeg's own stacks (`tr_im.nii.gz`, `tr_mask.nii.gz`),
whose labels are 1 ground-glass opacity, 2 consolidation and 3 pleural effusion. The stacks may
have outlines of the lungs beside them (`tr_lungmasks_updated.nii.gz`). MedSeg's ten further slices
(`val_im.nii.gz`) have no masks and are not used.

The authors' folds and the few known studies are numbers of slices. They are used only where the
masks' areas show that these are those slices in that order. The stacks were made from published
pictures: their voxel size means nothing, so the spacing is left unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmark.datasets import nifti
from benchmark.datasets.lists import fold_list
from benchmark.datasets.readers import read_image, read_mask, to_labels
from benchmark.datasets.recipes import (
    DatasetCard,
    Decoded,
    LabelMapOption,
    Options,
    Recipe,
    Slice,
    Source,
    WindowOption,
    lesion_names,
    source_folder,
)
from benchmark.datasets.volume import Volume
from zoo.errors import CovbenchError

SLICES = 100
_MASKS = "tr_mask_new/tr_mask_{:04d}.png"
_IMAGES = "tr_im/tr_im_{:04d}.png"

Grey = NDArray[np.uint8]


class Ct100Options(Options):
    """Options for MedSeg's stacks; the PNG form is 8-bit and binary already.

    `label_map` maps stored labels to classes; the default is every kind of lesion. `window`:
    see `benchmark.datasets.nifti.grey_slices`.
    """

    label_map: LabelMapOption = Field(default={0: 0, 1: 1, 2: 1, 3: 1})
    window: WindowOption | None = None

    @property
    def classes(self) -> dict[int, str]:
        """What the classes of a map to several are called."""
        return lesion_names(self.label_map)


def _find(source: Path | None, options: Ct100Options) -> Source:
    folder = source_folder(source, CARD)
    for root in (folder, folder / "COVID-19-CT100"):
        if (root / "tr_im").is_dir():
            if options != Ct100Options():
                raise CovbenchError(
                    "The PNG form of CT100 is binary and windowed already: it takes no options.",
                    "Leave the options out, or prepare the NIfTI form: tr_im.nii.gz, "
                    "tr_mask.nii.gz.",
                )
            return _find_png(root)
        for suffix in nifti.SUFFIXES:
            stacks = [root / f"{stem}{suffix}" for stem in ("tr_im", "tr_mask")]
            if all(stack.is_file() for stack in stacks):
                lungs = _beside(root, "tr_lungmasks_updated")
                read = [*stacks, lungs] if lungs else stacks
                unused = _beside(root, "val_im") is not None
                decode = partial(_decode_nifti, stacks[0], stacks[1], lungs, unused, options)
                return Source({path.name: path for path in read}, SLICES, decode)
    raise CovbenchError(
        f"{folder} holds neither form of CT100: tr_im/ with tr_mask_new/ (PNG), or tr_im.nii.gz "
        "with tr_mask.nii.gz.",
        f"Unpack the download and name the folder that holds them: `{CARD.obtain}`.",
    )


def _beside(root: Path, stem: str) -> Path | None:
    """A stack that may be there or not."""
    paths = (root / f"{stem}{suffix}" for suffix in nifti.SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _find_png(root: Path) -> Source:
    names = [form.format(i) for i in range(SLICES) for form in (_IMAGES, _MASKS)]
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise CovbenchError(
            f"{root} lacks {', '.join(missing[:3])}{more} of CT100.",
            "Unpack the download again: 100 images and 100 masks, numbered from 0000.",
        )
    return Source({name: root / name for name in names}, SLICES, partial(_decode_png, root))


def _decode_png(root: Path) -> Decoded:
    binary = {0: 0, 1: 1, 255: 1}
    masks = [read_mask(root / _MASKS.format(i), binary) for i in range(SLICES)]
    areas = [int((mask == 1).sum()) for mask in masks]
    return _decoded(lambda i: read_image(root / _IMAGES.format(i)), masks, [areas])


def _decode_nifti(
    image_path: Path, mask_path: Path, lung_path: Path | None, unused: bool, options: Ct100Options
) -> Decoded:
    images = nifti.read_volume(image_path, stored_order=True)
    stored = _stack(images, mask_path)
    lungs = (_stack(images, lung_path).values != 0).astype(np.uint8) if lung_path else None
    masks = list(to_labels(stored.values, options.label_map, mask_path))
    grey = nifti.grey_slices(images, options.window)
    lesion, effusion = np.not_equal(stored.values, 0), np.equal(stored.values, 3)
    counts = [[int(n) for n in of.sum(axis=(1, 2))] for of in (lesion, lesion & ~effusion)]
    authors_have_no_effusion = tuple(counts[1]) == fold_list("ct100").areas != tuple(counts[0])
    note = (
        "The MiniSeg authors' masks leave pleural effusion out: label_map=1:1,2:1,3:0 gives theirs."
        if authors_have_no_effusion and options.label_map.get(3) != 0
        else ""
    )
    val = "val_im has no masks and is not used." if unused else ""
    return _decoded(lambda i: grey[i], masks, counts, (note, val), lungs)


def _stack(images: Volume, path: Path) -> Volume:
    """A stack of masks, slice by slice as the images."""
    stored = nifti.read_volume(path, stored_order=True)
    if images.values.shape != stored.values.shape or len(images.values) != SLICES:
        raise CovbenchError(
            f"{images.path} and {path} have the shapes {images.values.shape} and "
            f"{stored.values.shape}; CT100 is {SLICES} slices of one size in both.",
            "Download both files of the 100-slice set again.",
        )
    if images.axes != stored.axes:
        raise CovbenchError(
            f"{images.path} and {path} are stored in different directions "
            f"({images.axes} and {stored.axes}).",
            "Download both files of the 100-slice set again.",
        )
    return stored


def _decoded(
    image: Callable[[int], Grey],
    masks: list[Grey],
    areas: Sequence[list[int]],
    notes: tuple[str, ...] = (),
    lungs: Grey | None = None,
) -> Decoded:
    """Name groups and folds where one of the ways to count areas gives the shipped ones."""
    shipped = fold_list("ct100")
    recognised = any(tuple(found) == shipped.areas for found in areas)
    groups = {slice_: group for group, of in shipped.groups.items() for slice_ in of}

    def steps() -> Iterator[list[Slice]]:
        for i, mask in enumerate(masks):
            name = f"{i:04d}"
            grey = image(i)
            if grey.shape != mask.shape:
                raise CovbenchError(
                    f"Image and mask {name} of CT100 differ in size: "
                    f"{grey.shape} and {mask.shape}.",
                    "Download the dataset again.",
                )
            group = groups.get(name, f"slice-{name}") if recognised else f"slice-{name}"
            yield [Slice(name, group, grey, mask, lung=None if lungs is None else lungs[i])]

    if recognised:
        said = "The masks' areas are those of the MiniSeg authors' slices: their folds are used."
        return Decoded(steps(), "some", "ct100", tuple(filter(None, (said, *notes))))
    differing = sum(a != b for a, b in zip(areas[0], shipped.areas, strict=True))
    said = (
        f"The areas of {differing} of {SLICES} masks differ from the MiniSeg authors' slices, so "
        "their folds and the known studies are not used: folds are drawn by slice."
    )
    return Decoded(steps(), "none", None, tuple(filter(None, (said, *notes))))


CARD = DatasetCard(
    name="ct100",
    title="MedSeg COVID-19 CT segmentation dataset: 100 axial slices",
    tasks=("infection",),
    licence="Stated as CC0 by third parties; check with MedSeg before you pass it on",
    citation=(
        "MedSeg, COVID-19 CT segmentation dataset, 2020; folds of Qiu et al., MiniSeg, AAAI 2021"
    ),
    obtain="covbench data prepare ct100 FOLDER",
    where=(
        "Fetch tr_im.nii.gz and tr_mask.nii.gz from "
        "https://figshare.com/articles/dataset/MedSeg_Covid_Dataset_1/13521488 or "
        "https://medicalsegmentation.com/covid19/."
    ),
)
RECIPE = Recipe(card=CARD, options=Ct100Options, find=_find)
