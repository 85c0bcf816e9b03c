"""Anyone's own data: a folder with `images/` and `masks/`, paired by file name.

PNG, JPEG (images only), TIFF and NIfTI are read. A mask has its image's stem, or that stem with
`_mask` after it. A NIfTI volume gives one slice per axial plane, and is one group unless told
otherwise; `groups.csv` (columns `id,group`; an id is a stem) or the option `groups` (a regular
expression whose one capturing group is the patient) says which files belong together.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pydantic import Field, field_validator

from benchmark.datasets import nifti
from benchmark.datasets.folds import GroupsKnown
from benchmark.datasets.readers import PICTURE_SUFFIXES, read_image, read_mask, to_labels
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
from zoo.errors import CovbenchError
from zoo.limits import limits, raising, read_limited


class FolderOptions(Options):
    """How the files are to be read.

    `label_map` maps stored labels to classes (0 is background; 255 as a class: ignored);
    `window` gives the stored values that become black and white; `groups` is a regular
    expression searched in each stem, and wins over groups.csv.
    """

    label_map: LabelMapOption = Field(default={0: 0, 1: 1, 255: 1})
    window: WindowOption | None = None
    groups: str | None = None

    @field_validator("groups")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        try:
            captured = re.compile(pattern).groups if pattern is not None else 1
        except re.error as error:
            raise ValueError(f"it is no regular expression ({error})") from None
        if captured != 1:
            raise ValueError("it needs exactly one (capturing group), which is the patient")
        return pattern


def _find(source: Path | None, options: FolderOptions) -> Source:
    root = source_folder(source, CARD)
    pairs = _pairs(root)
    for image, mask in pairs.values():
        if _is_nifti(image) != _is_nifti(mask):
            raise CovbenchError(
                f"{image} and {mask}: one is NIfTI and the other a picture.",
                "Give both in the same kind of file.",
            )
    table = root / "groups.csv"
    groups: dict[str, str] = {}
    files = {f"{p.parent.name}/{p.name}": p for pair in pairs.values() for p in pair}
    if options.groups is not None:
        groups = _matched(pairs, options.groups)
    elif os.path.lexists(table):
        groups = _read_groups(table, pairs)
        files[table.name] = table
    return Source(files, len(pairs), partial(_decode, pairs, groups, options))


def _pairs(root: Path) -> dict[str, tuple[Path, Path]]:
    """Stem to image and mask, in the order of the stems."""
    images, masks = _listed(root / "images"), _listed(root / "masks")
    if not images:
        raise CovbenchError(
            f"{root / 'images'} holds no PNG, JPEG, TIFF or NIfTI file.",
            "Put the images there, and their masks of the same name into masks/.",
        )
    bare = {stem.removesuffix("_mask"): path for stem, path in masks.items()}
    if len(bare) < len(masks):
        twice = next(s for s in masks if s.endswith("_mask") and s.removesuffix("_mask") in masks)
        raise CovbenchError(
            f"{masks[twice]} and {masks[twice.removesuffix('_mask')]} are masks of one image.",
            "Keep one of them.",
        )
    matched = {stem: masks[stem] if stem in masks else bare.get(stem) for stem in images}
    alone = [images[stem] for stem, mask in matched.items() if mask is None]
    used = set(matched.values())
    orphans = [path for path in masks.values() if path not in used]
    for paths, has, lacks in ((alone, "image", "mask"), (orphans, "mask", "image")):
        if paths:
            more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
            raise CovbenchError(
                f"No {lacks} for the {has} {', '.join(str(p) for p in paths[:5])}{more}.",
                f"Give every {has} its {lacks}: the same file name, in {lacks}s/. "
                "A slice without infection has a mask of zeros.",
            )
    return {stem: (images[stem], mask) for stem, mask in sorted(matched.items()) if mask}


def _listed(folder: Path) -> dict[str, Path]:
    """Stem to file; hidden files and other kinds are passed over."""
    if not folder.is_dir():
        raise CovbenchError(
            f"{folder} is missing.",
            "Put the pictures into images/ and their masks, of the same names, into masks/.",
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = _suffix(path)
        if not suffix or path.name.startswith(".") or not path.is_file():
            continue
        stem = path.name[: -len(suffix)]
        if stem in found:
            raise CovbenchError(f"{found[stem]} and {path} share a name.", "Rename one of them.")
        found[stem] = path
    if len(found) > limits().dataset_files:
        raise CovbenchError(
            f"{folder} holds {len(found):,} files; the limit is {limits().dataset_files:,}.",
            f"Prepare it in parts, under several names. {raising('dataset_files', len(found))}",
        )
    return found


def _suffix(path: Path) -> str:
    """The known ending of a file's name, as it is written, or nothing."""
    endings = (*nifti.SUFFIXES[::-1], *PICTURE_SUFFIXES)
    return next((path.name[-len(e) :] for e in endings if path.name.lower().endswith(e)), "")


def _is_nifti(path: Path) -> bool:
    return _suffix(path).lower() in nifti.SUFFIXES


def _matched(pairs: dict[str, tuple[Path, Path]], pattern: str) -> dict[str, str]:
    groups = {}
    for stem in pairs:
        match = re.search(pattern, stem)
        if match is None or not match[1]:
            raise CovbenchError(
                f"The expression groups={pattern} finds no patient in {stem!r}.",
                "Mend it so that its (capturing group) is found in every file's stem.",
            )
        groups[stem] = match[1]
    return groups


def _read_groups(table: Path, pairs: dict[str, tuple[Path, Path]]) -> dict[str, str]:
    try:
        text = read_limited(table, "table_bytes").decode("utf-8-sig")
        rows = list(csv.DictReader(text.splitlines()))
    except OSError as error:
        raise CovbenchError(f"{table} can't be read ({error.strerror}).", "Check it.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CovbenchError(f"{table} is no CSV table ({error}).", "Save it as UTF-8.") from error
    groups: dict[str, str] = {}
    for row in rows:
        name, group = (row.get("id") or "").strip(), (row.get("group") or "").strip()
        if not name or not group:
            raise CovbenchError(
                f"{table} has a row without id or group: {dict(row)}.",
                "Its first line is `id,group`; then one line per file, without the ending.",
            )
        if groups.setdefault(name, group) != group:
            raise CovbenchError(f"{table} puts {name!r} in two groups.", "Keep one line per id.")
    for names, text in (
        (sorted(pairs.keys() - groups.keys()), "does not say which group these belong to"),
        (sorted(groups.keys() - pairs.keys()), "names files that are not in images/"),
    ):
        if names:
            raise CovbenchError(
                f"{table} {text}: {', '.join(names[:5])}"
                f"{f' and {len(names) - 5} more' if len(names) > 5 else ''}.",
                "List every image once, by its file name without the ending.",
            )
    return groups


def _decode(
    pairs: dict[str, tuple[Path, Path]],
    groups: dict[str, str],
    options: FolderOptions,
) -> Decoded:
    images = [image for image, _ in pairs.values()]
    if groups or all(_is_nifti(image) and nifti.is_volume(image) for image in images):
        known: GroupsKnown = "all"
        notes: tuple[str, ...] = ()
    else:
        known = "none"
        notes = ("No groups given: covbench can't tell whether folds share a patient.",)

    def steps() -> Iterator[list[Slice]]:
        for stem, (image, mask) in pairs.items():
            read = _volume_slices if _is_nifti(image) else _picture_slice
            yield read(stem, groups.get(stem, stem), image, mask, options)

    return Decoded(steps(), known, notes=notes)


def _picture_slice(
    stem: str, group: str, image: Path, mask: Path, options: FolderOptions
) -> list[Slice]:
    grey, labels = read_image(image, options.window), read_mask(mask, options.label_map)
    _check_sizes(image, mask, grey.shape, labels.shape)
    return [Slice(stem, group, grey, labels)]


def _volume_slices(
    stem: str, group: str, image: Path, mask: Path, options: FolderOptions
) -> list[Slice]:
    volume, stored = nifti.read_volume(image), nifti.read_volume(mask)
    _check_sizes(image, mask, volume.values.shape, stored.values.shape)
    nifti.check_same_grid(volume, stored)
    grey = nifti.grey_slices(volume, options.window)
    labels = to_labels(stored.values, options.label_map, mask)
    names = [stem] if len(grey) == 1 else [f"{stem}-{k:04d}" for k in range(len(grey))]
    return [
        Slice(name, group, grey[k], labels[k], volume.spacing_mm) for k, name in enumerate(names)
    ]


def _check_sizes(image: Path, mask: Path, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if a != b:
        sizes = (" x ".join(str(n) for n in shape) for shape in (a, b))
        raise CovbenchError(
            f"{image} and its mask {mask} differ in size: {' and '.join(sizes)}.",
            "Export the mask at the image's own size.",
        )


CARD = DatasetCard(
    name="folder",
    title="Your own images/ and masks/: PNG, JPEG, TIFF or NIfTI",
    tasks=("infection", "multiclass"),
    licence="yours",
    citation="yours",
    obtain="covbench data prepare folder FOLDER --as NAME",
)
RECIPE = Recipe(card=CARD, options=FolderOptions, find=_find)
