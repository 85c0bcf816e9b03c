"""A folder of images with a folder per class, as ImageNet's: listed, and checked whole once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.datasets.readers import PICTURE_SUFFIXES, read_colour
from zoo.errors import CovbenchError
from zoo.limits import limits, raising, read_limited

TRAIN, VAL = "train", "val"

_LAYOUT = "It must hold train/CLASS/IMAGE.JPEG and val/CLASS/IMAGE.JPEG, a folder per class."
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Split:
    """The images of one side.

    Attributes:
        files: Their paths inside the folder, `train/CLASS/IMAGE.JPEG`, in alphabetical order.
        labels: (N,) int64, each image's class by its place in the alphabetical order of classes.
    """

    files: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """What a folder holds, by its listing alone.

    Attributes:
        root: The folder.
        classes: Names of the classes in alphabetical order.
        train: What is trained on.
        val: What top-1 is taken over.
        listing: SHA-256 of every file's path, size and time of change: which folder was checked.
    """

    root: Path
    classes: tuple[str, ...]
    train: Split
    val: Split
    listing: str


def open_folder(root: Path) -> ImageFolder:
    """List a folder of images; none is opened.

    Files and folders whose names begin with a dot are passed over; any other file that is no
    picture by its name is refused, so that nothing is left out in silence.

    Args:
        root: A folder with `train/CLASS/*` and `val/CLASS/*`, the same classes in both.

    Raises:
        CovbenchError: The folder is missing or of another shape.
    """
    if not root.is_dir():
        raise CovbenchError(f"There is no folder {root}.", _LAYOUT)
    digest = hashlib.sha256()
    found = {side: _side(root, side, digest) for side in (TRAIN, VAL)}
    classes = tuple(sorted(found[TRAIN]))
    if len(classes) < 2:
        raise CovbenchError(
            f"{root / TRAIN} holds one class ({classes[0]}): there is nothing to tell apart.",
            "Give a folder with two classes or more.",
        )
    odd = sorted(found[TRAIN].keys() ^ found[VAL].keys())
    if odd:
        where, other = (TRAIN, VAL) if odd[0] in found[TRAIN] else (VAL, TRAIN)
        raise CovbenchError(
            f"{root}: {len(odd)} classes are in train or val alone, such as {odd[0]!r}, which "
            f"{where} has and {other} has not.",
            "Both must have the same folders of classes.",
        )
    train, val = (_split(found[side], classes) for side in (TRAIN, VAL))
    return ImageFolder(root, classes, train, val, digest.hexdigest())


def check_images(
    folder: ImageFolder,
    notes: Path,
    threads: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Read and decode every image once; a later call with the same listing reads a note instead.

    Args:
        folder: The images.
        notes: Where the note of the check is kept, and the list of what can't be read.
        threads: Threads that decode.
        progress: Called with images done, and in all.

    Returns:
        The manifest's hash: SHA-256 of every image's path and SHA-256, in order.

    Raises:
        CovbenchError: Images can't be read; all of them are listed in `unreadable.txt`.
    """
    note = notes / f"images-{folder.listing[:12]}.json"
    known = _read_note(note)
    if known.get("listing") == folder.listing:
        return str(known["manifest_hash"])
    digest = hashlib.sha256()
    broken: list[tuple[str, str]] = []
    files = (*folder.train.files, *folder.val.files)
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(files), _CHUNK):
            chunk = files[start : start + _CHUNK]
            for name, (sha, problem) in zip(
                chunk, pool.map(lambda each: _check(folder.root / each), chunk), strict=True
            ):
                digest.update(f"{name}\0{sha}\n".encode())
                if problem:
                    broken.append((name, problem))
                done += 1
                progress(done, len(files))
    if broken:
        listed = notes / "unreadable.txt"
        listed.write_text("".join(f"{name}\t{problem}\n" for name, problem in broken))
        count = "1 image" if len(broken) == 1 else f"{len(broken):,} images"
        raise CovbenchError(
            f"{count} of {len(files):,} can't be read; the first: {broken[0][1]}",
            f"Fetch them again, or delete them; {listed} lists them all. Nothing was trained.",
        )
    note.write_text(
        json.dumps({"listing": folder.listing, "manifest_hash": digest.hexdigest()}, indent=1)
    )
    return digest.hexdigest()


def _side(root: Path, side: str, digest: hashlib._Hash) -> dict[str, list[str]]:
    """Class to its files' paths inside the folder, both in alphabetical order."""
    if not (root / side).is_dir():
        raise CovbenchError(f"{root} has no folder {side}.", _LAYOUT)
    found: dict[str, list[str]] = {}
    count = 0
    for group in _entries(root / side):
        if not group.is_dir():
            raise CovbenchError(
                f"{root / side} holds the file {group.name} beside its folders of classes.",
                f"Sort {side}'s images into a folder per class, as {TRAIN}'s are.",
            )
        files = found[group.name] = []
        for entry in _entries(Path(group.path)):
            name = f"{side}/{group.name}/{entry.name}"
            if not entry.name.lower().endswith(PICTURE_SUFFIXES) or not entry.is_file():
                raise CovbenchError(
                    f"{root / name} is no PNG, JPEG or TIFF file by its name.",
                    "Take it out of the folder, or convert it.",
                )
            about = entry.stat()
            digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
            files.append(name)
            count += 1
            if count > limits().classified_files:
                raise CovbenchError(
                    f"{root / side} holds more than {limits().classified_files:,} images.",
                    f"Check that it is the right folder. {raising('classified_files')}",
                )
        if not files:
            raise CovbenchError(
                f"The class {root / side / group.name} holds no image.",
                "Fill the folder, or remove it from train and val.",
            )
    if not found:
        raise CovbenchError(f"{root / side} holds no folder of a class.", _LAYOUT)
    return found


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    return (entry for entry in found if not entry.name.startswith("."))


def _split(found: dict[str, list[str]], classes: tuple[str, ...]) -> Split:
    files = tuple(name for each in classes for name in found[each])
    counts = [len(found[each]) for each in classes]
    return Split(files, np.repeat(np.arange(len(classes)), counts))


def _check(path: Path) -> tuple[str, str]:
    """SHA-256 of a file's bytes, and what is wrong with the picture, if something is."""
    try:
        with path.open("rb") as file:
            sha = hashlib.file_digest(file, "sha256").hexdigest()
        read_colour(path)
    except CovbenchError as error:
        return sha, error.problem
    except OSError as error:
        return "", f"{path}: {error.strerror}."
    return sha, ""


def _read_note(path: Path) -> dict[str, object]:
    try:
        known = json.loads(read_limited(path, "record_bytes"))
    except (OSError, ValueError, RecursionError, CovbenchError):
        return {}
    return known if isinstance(known, dict) and "manifest_hash" in known else {}
