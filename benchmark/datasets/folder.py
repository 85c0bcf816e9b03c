"""Anyone's own data: a folder with `images/`, `masks/` and perhaps `lungs/`, paired by file name.

PNG, JPEG (images only), TIFF, NIfTI and DICOM series (a folder each) are read. A mask has its
image's stem, or that stem with `_mask` after it (lungs: `_lung`). A scan gives one slice per axial
plane, a TIFF one per page; each is one group unless told otherwise: `groups.csv` (columns
`id,group`; an id is a stem) or the option `groups` (a regular expression whose one capturing group
is the patient) says which files belong together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, field_validator, model_validator

from benchmark.datasets import nifti
from benchmark.datasets.dicom import read_series
from benchmark.datasets.folder_files import Item, find_items, is_scan, matched_groups, read_groups
from benchmark.datasets.folds import GroupsKnown
from benchmark.datasets.readers import Grey, page_count, read_images, read_stored, to_labels
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
from benchmark.datasets.volume import Volume, check_same_grid, in_hounsfield, prepared_slices
from benchmark.labels import ALL, IGNORE
from zoo.errors import CovbenchError


def _pairs(value: object) -> object:
    """`1:ground glass,2:consolidation` from a command line becomes a mapping."""
    if isinstance(value, str):
        pairs = [pair.partition(":") for pair in value.split(",")]
        return {key.strip(): rest.strip() for key, _, rest in pairs}
    return value


_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,58}[A-Za-z0-9])?"


class FolderOptions(Options):
    """How the files are to be read.

    `label_map` maps stored labels to classes (0 is background; 255 as a class: ignored);
    `classes` names the classes where there are several, and alone it also is the label map;
    `lung_map` maps stored values of lungs/ to 1 (lung) or 0, and unlisted ones are no lung;
    without it any value but 0 is lung. `window` gives the stored values that become black and
    white; without it, Hounsfield units are kept as they are. `groups` is a regular expression
    searched in each stem, and wins over groups.csv. `series`: the UID or number of the series to
    take from DICOM folders that hold several.
    """

    later: ClassVar[frozenset[str]] = frozenset({"classes", "lung_map", "series"})

    label_map: LabelMapOption = Field(default={0: 0, 1: 1, 255: 1})
    window: WindowOption | None = None
    groups: str | None = None
    classes: Annotated[dict[int, str] | None, BeforeValidator(_pairs)] = None
    lung_map: Annotated[dict[int, int] | None, BeforeValidator(_pairs)] = None
    series: str | None = None

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

    @field_validator("lung_map")
    @classmethod
    def _lung_or_not(cls, lung_map: dict[int, int] | None) -> dict[int, int] | None:
        if lung_map is not None and not {1} <= set(lung_map.values()) <= {0, 1}:
            raise ValueError("it maps stored values to 1 (lung) or 0 (not), at least one to 1")
        return lung_map

    @model_validator(mode="before")
    @classmethod
    def _named_labels(cls, given: Any) -> Any:
        """Names without a label map say that masks store the classes themselves."""
        if isinstance(given, dict) and given.get("classes") and "label_map" not in given:
            names = _pairs(given["classes"])
            if isinstance(names, dict) and all(str(key).isdigit() for key in names):
                return {**given, "label_map": {key: key for key in names}}
        return given

    @field_validator("classes")
    @classmethod
    def _named(cls, names: dict[int, str] | None, info: Any) -> dict[int, str] | None:
        if names is None:
            return None
        if any(not re.fullmatch(_NAME, name) for name in names.values()):
            raise ValueError(
                "a name is made of up to 60 letters, digits, spaces, dashes and underscores, and "
                "begins and ends with a letter or digit"
            )
        # Files are named after them, on systems that take `A b` and `a-b` for the same.
        plain = [re.sub(r"[ _-]+", "-", name).lower() for name in (ALL, *names.values())]
        if plain[0] in plain[1:]:
            raise ValueError(f"{ALL!r} is what all classes together are called")
        used = set(info.data.get("label_map", {}).values()) - {0, IGNORE}
        if len(used) < 2:
            raise ValueError("one class alone is called infection; name two or more")
        if set(names) != used or len({*plain, "background"}) != len(names) + 2:
            listed = ", ".join(str(k) for k in sorted(used))
            raise ValueError(f"each of the classes {listed} needs one name of its own")
        return dict(sorted(names.items()))


def _find(source: Path | None, options: FolderOptions) -> Source:
    root = source_folder(source, CARD)
    items = find_items(root)
    table = root / "groups.csv"
    groups: dict[str, str] = {}
    files = {label: path for item in items.values() for label, path in item.files().items()}
    if options.groups is not None:
        groups = matched_groups(items, options.groups)
    elif os.path.lexists(table):  # a broken link too: it is no absence of groups
        groups = read_groups(table, items)
        files[table.name] = table
    return Source(files, len(items), partial(_decode, items, groups, options))


def _decode(
    items: Mapping[str, Item], groups: Mapping[str, str], options: FolderOptions
) -> Decoded:
    known: GroupsKnown = "all"
    notes: list[str] = []
    if not groups and not all(_has_several(item.image) for item in items.values()):
        known = "none"
        notes.append("No groups given: covbench can't tell whether folds share a patient.")
    if options.window is not None and any(is_scan(item.image) for item in items.values()):
        notes.append(
            f"Scans were windowed to {options.window[0]:g} to {options.window[1]:g}: a protocol "
            "can't choose another window."
        )

    def steps() -> Iterator[list[Slice]]:
        for stem, item in items.items():
            read = _scan_slices if is_scan(item.image) else _picture_slices
            yield read(stem, groups.get(stem, stem), item, options)

    return Decoded(steps(), known, notes=tuple(notes))


def _has_several(image: Path) -> bool:
    """Whether an image is many slices of somebody, and so a group that is known."""
    if image.is_dir():
        return True
    return nifti.is_volume(image) if is_scan(image) else page_count(image) > 1


def _picture_slices(stem: str, group: str, item: Item, options: FolderOptions) -> list[Slice]:
    greys, stored = read_images(item.image, options.window), read_stored(item.mask)
    masks = [to_labels(page, options.label_map, item.mask) for page in stored]
    _check_sizes(item.image, item.mask, _shapes(greys), _shapes(masks))
    lungs: list[Grey | None] = [None] * len(greys)
    if item.lung is not None:
        outlined = [_lung(page, options.lung_map) for page in read_stored(item.lung)]
        _check_sizes(item.image, item.lung, _shapes(greys), _shapes(outlined))
        lungs = list(outlined)
    return [
        Slice(name, group, grey, mask, None, lung)
        for name, grey, mask, lung in zip(
            _names(stem, len(greys)), greys, masks, lungs, strict=True
        )
    ]


def _scan_slices(stem: str, group: str, item: Item, options: FolderOptions) -> list[Slice]:
    scan = _read_scan(item.image, options.series)
    labels = to_labels(_on_grid(scan, item.mask).values, options.label_map, item.mask)
    lungs: list[Any] = [None] * len(labels)
    if item.lung is not None:
        lungs = list(_lung(_on_grid(scan, item.lung).values, options.lung_map))
    if item.image.is_dir() and options.window is None and not in_hounsfield(scan):
        raise CovbenchError(
            f"{item.image} is not in Hounsfield units: nothing in it is below -100.",
            "Give the values that become black and white, for example --option window=0,1500.",
        )
    images = prepared_slices(scan, options.window)
    return [
        Slice(name, group, images[k], labels[k], scan.spacing_mm, lungs[k])
        for k, name in enumerate(_names(stem, len(images)))
    ]


def _read_scan(path: Path, series: str | None = None, *, stored: bool = False) -> Volume:
    if path.is_dir():
        return read_series(path, series, stored=stored)
    return nifti.read_volume(path)


def _on_grid(scan: Volume, path: Path) -> Volume:
    """A mask or lungs, which must lie where the scan does."""
    mask = _read_scan(path, stored=True)
    _check_sizes(scan.path, path, scan.values.shape, mask.values.shape)
    check_same_grid(scan, mask)
    return mask


def _lung(values: NDArray[np.generic], lung_map: Mapping[int, int] | None) -> Grey:
    """1 inside the lungs."""
    if lung_map is None:
        return np.not_equal(values, 0).astype(np.uint8)
    return np.isin(values, [value for value, lung in lung_map.items() if lung]).astype(np.uint8)


def _names(stem: str, count: int) -> list[str]:
    return [stem] if count == 1 else [f"{stem}-{k:04d}" for k in range(count)]


def _shapes(pages: list[Grey]) -> tuple[Any, ...]:
    """The size of one page, or how many of which sizes there are."""
    return pages[0].shape if len(pages) == 1 else tuple((len(pages), *p.shape) for p in pages)


def _check_sizes(image: Path, mask: Path, a: tuple[Any, ...], b: tuple[Any, ...]) -> None:
    if a != b:
        one, two = (_size(shape) for shape in (a, b))
        raise CovbenchError(
            f"{image} and its mask {mask} differ in size: {one} and {two}.",
            "Export the mask at the image's own size.",
        )


def _size(shape: tuple[Any, ...]) -> str:
    if shape and isinstance(shape[0], tuple):
        return " or ".join(sorted({_size(page) for page in shape}))
    return " x ".join(str(n) for n in shape)


CARD = DatasetCard(
    name="folder",
    title="Your own images/ and masks/: PNG, JPEG, TIFF, NIfTI or DICOM",
    tasks=("infection", "multiclass"),
    licence="yours",
    citation="yours",
    obtain="covbench data prepare folder FOLDER --as NAME",
)
RECIPE = Recipe(card=CARD, options=FolderOptions, find=_find)
