"""The files of a user's own folder: images, their masks and lungs by name, and their groups."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.datasets import dicom_files, nifti
from benchmark.datasets.readers import PICTURE_SUFFIXES
from zoo.errors import CovbenchError
from zoo.limits import limits, raising, read_limited

_LUNGS = "lungs"


@dataclass(frozen=True)
class Item:
    """An image, its mask and, where the folder has them, its lungs: files, or DICOM folders."""

    image: Path
    mask: Path
    lung: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All there are."""
        return (self.image, self.mask, *([self.lung] if self.lung else []))

    def files(self) -> dict[str, Path]:
        """Every file by its name within the user's folder."""
        found = {}
        for path in self.paths:
            for file in dicom_files.series_files(path) if path.is_dir() else [path]:
                found[file.relative_to(path.parent.parent).as_posix()] = file
        return found


def find_items(root: Path) -> dict[str, Item]:
    """Stem to item, in the order of the stems.

    Raises:
        CovbenchError: A folder is missing or empty, a file has no partner or two, or an image and
            its mask are of different kinds.
    """
    images, masks = _listed(root / "images"), _listed(root / "masks")
    if not images:
        raise CovbenchError(
            f"{root / 'images'} holds no PNG, JPEG, TIFF or NIfTI file and no DICOM series.",
            "Put the images there, and their masks of the same name into masks/.",
        )
    truths = _partners(images, masks, "mask", "A slice without infection has a mask of zeros.")
    outlines = _listed(root / _LUNGS) if (root / _LUNGS).is_dir() else {}
    lungs = (
        _partners(images, outlines, "lung", "Or remove lungs/ to go without.") if outlines else {}
    )
    items = {stem: Item(images[stem], truths[stem], lungs.get(stem)) for stem in sorted(images)}
    for item in items.values():
        for other in item.paths[1:]:
            if is_scan(item.image) != is_scan(other):
                kinds = ("a scan (NIfTI or DICOM)", "a picture")
                one, two = kinds if is_scan(item.image) else kinds[::-1]
                raise CovbenchError(
                    f"{item.image} is {one} and {other} is {two}.",
                    "Give both in the same kind of file.",
                )
    return items


def is_scan(path: Path) -> bool:
    """Whether it is a NIfTI file or the folder of a DICOM series, rather than a picture."""
    return path.is_dir() or _suffix(path).lower() in nifti.SUFFIXES


def matched_groups(stems: Mapping[str, Item], pattern: str) -> dict[str, str]:
    """Stem to group, by a regular expression with one capturing group.

    Raises:
        CovbenchError: It finds nothing in a stem.
    """
    groups = {}
    for stem in stems:
        match = re.search(pattern, stem)
        if match is None or not match[1]:
            raise CovbenchError(
                f"The expression groups={pattern} finds no patient in {stem!r}.",
                "Mend it so that its (capturing group) is found in every file's stem.",
            )
        groups[stem] = match[1]
    return groups


def _partners(
    images: Mapping[str, Path], others: Mapping[str, Path], kind: str, hint: str
) -> dict[str, Path]:
    """Stem of an image to its mask or lungs: the same stem, or that with `_mask` or `_lung`."""
    ending = f"_{kind}"
    bare = {stem.removesuffix(ending): path for stem, path in others.items()}
    if len(bare) < len(others):
        twice = next(s for s in others if s.endswith(ending) and s.removesuffix(ending) in others)
        raise CovbenchError(
            f"{others[twice]} and {others[twice.removesuffix(ending)]} are {kind}s of one image.",
            "Keep one of them.",
        )
    matched = {stem: others[stem] if stem in others else bare.get(stem) for stem in images}
    alone = [images[stem] for stem, other in matched.items() if other is None]
    used = set(matched.values())
    orphans = [path for path in others.values() if path not in used]
    for paths, has, lacks in ((alone, "image", kind), (orphans, kind, "image")):
        if paths:
            more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
            raise CovbenchError(
                f"No {lacks} for the {has} {', '.join(str(p) for p in paths[:5])}{more}.",
                f"Give every {has} its {lacks}: the same file name, in {lacks}s/. {hint}",
            )
    return {stem: other for stem, other in matched.items() if other}


def _listed(folder: Path) -> dict[str, Path]:
    """Stem to file or DICOM folder; hidden ones and other kinds are passed over."""
    if not folder.is_dir():
        raise CovbenchError(
            f"{folder} is missing.",
            "Put the pictures into images/ and their masks, of the same names, into masks/.",
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = _suffix(path)
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not dicom_files.holds_series(path):
                _check_no_pictures(path, folder)
                continue
            suffix = ""
        elif not suffix or not path.is_file():
            continue
        stem = path.name.removesuffix(suffix)
        if stem in found:
            raise CovbenchError(f"{found[stem]} and {path} share a name.", "Rename one of them.")
        found[stem] = path
    if len(found) > limits().dataset_files:
        raise CovbenchError(
            f"{folder} holds {len(found):,} files; the limit is {limits().dataset_files:,}.",
            f"Prepare it in parts, under several names. {raising('dataset_files', len(found))}",
        )
    return found


def _check_no_pictures(inner: Path, folder: Path) -> None:
    """Refuse pictures that lie too deep: they would be left out without a word."""
    deep = (each for each in inner.rglob("*") if _suffix(each) and not each.name.startswith("."))
    if (one := next(deep, None)) is not None:
        raise CovbenchError(
            f"{one} lies in a folder inside of {folder.name}/, where every file is an image.",
            f"Move the pictures into {folder} itself, under names of their own; groups.csv or "
            "--option groups=... says which patient each is of.",
        )


def _suffix(path: Path) -> str:
    """The known ending of a file's name, as it is written, or nothing."""
    endings = (*nifti.SUFFIXES[::-1], *PICTURE_SUFFIXES)
    return next((path.name[-len(e) :] for e in endings if path.name.lower().endswith(e)), "")


def read_groups(table: Path, stems: Mapping[str, Item]) -> dict[str, str]:
    """Stem to group, from a table with the columns id and group.

    Raises:
        CovbenchError: It is no such table, or doesn't name every stem once and no other.
    """
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
        (sorted(stems.keys() - groups.keys()), "does not say which group these belong to"),
        (sorted(groups.keys() - stems.keys()), "names files that are not in images/"),
    ):
        if names:
            raise CovbenchError(
                f"{table} {text}: {', '.join(names[:5])}"
                f"{f' and {len(names) - 5} more' if len(names) > 5 else ''}.",
                "List every image once, by its file name without the ending.",
            )
    return groups
