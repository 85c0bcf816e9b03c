"""A prepared dataset on disk, opened for reading: flat uint8 files, a table and a manifest.

NAME/manifest.json   what it is, where it came from, and the SHA-256 of everything
NAME/cases.csv       one line per slice
NAME/images.raw      grey values of all slices, one after the other, row by row
NAME/masks.raw       their class labels; 255 = ignore
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from benchmark.datasets.cases import Case, read_cases
from benchmark.datasets.folds import Fold, GroupsKnown, Split, fold_list, make_folds
from zoo.errors import CovbenchError
from zoo.limits import read_limited

Grey = NDArray[np.uint8]

MANIFEST, CASES, IMAGES, MASKS = "manifest.json", "cases.csv", "images.raw", "masks.raw"


class Manifest(BaseModel):
    """What a prepared dataset is.

    `sources` gives the SHA-256 of every source file by its name within the source folder;
    `files` that of the prepared files; `class_pixels` counts the pixels of each label.
    `manifest_hash` is the identity of the data: see `identity`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    name: str
    recipe: str
    revision: int
    parameters: dict[str, Any]
    sources: dict[str, str]
    files: dict[str, str]
    slices: int
    groups: int
    groups_known: GroupsKnown
    fold_list: str | None
    classes: dict[int, str]
    class_pixels: dict[int, int]
    tasks: tuple[str, ...]
    licence: str
    citation: str
    notes: tuple[str, ...]
    manifest_hash: str = ""

    def identity(self) -> str:
        """SHA-256 over what defines the data, as canonical JSON.

        That is the prepared files (pixels, labels, ids, groups, sizes, spacing), the parameters,
        the classes and the folds: no name, path or time.
        """
        keys = ("schema", "parameters", "files", "groups_known", "fold_list", "classes")
        whole = self.model_dump(mode="json", by_alias=True)
        defining = {key: whole[key] for key in keys}
        text = json.dumps(defining, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class PreparedDataset:
    """An opened prepared dataset; its arrays are read-only memory maps.

    Attributes:
        name: The name under which it was prepared.
        path: Its folder.
        manifest: What it is.
        cases: Its slices, in order.
        foreground: Pixels of each slice that are neither background nor ignored.
        fresh: Whether `prepare_dataset` has just made it, rather than found it as it should be.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        """Open the dataset in a folder.

        Args:
            path: The folder.
            fresh: See the attribute.

        Raises:
            CovbenchError: The folder holds no whole prepared dataset.
        """
        self.path = path
        self.fresh = fresh
        try:
            text = read_limited(path / MANIFEST, "manifest_bytes")
            self.manifest = Manifest.model_validate_json(text)
            self.cases: tuple[Case, ...]
            self.foreground: tuple[int, ...]
            self.cases, self.foreground = read_cases(read_limited(path / CASES, "cases_bytes"))
        except (OSError, ValueError, csv.Error) as error:  # ValidationError is a ValueError
            raise damaged(path, f"{MANIFEST} or {CASES} can't be read") from error
        self.name = self.manifest.name
        pixels = [case.height * case.width for case in self.cases]
        self._starts = (0, *accumulate(pixels))
        for file in (IMAGES, MASKS):
            whole = path / file
            if not whole.is_file() or whole.stat().st_size != self._starts[-1]:
                raise damaged(path, f"{file} is missing or has the wrong length")
        if self.manifest.manifest_hash != self.manifest.identity():
            raise damaged(path, f"{MANIFEST} does not match its own hash")
        self._images: Grey = np.memmap(path / IMAGES, dtype=np.uint8, mode="r")
        self._masks: Grey = np.memmap(path / MASKS, dtype=np.uint8, mode="r")

    @property
    def manifest_hash(self) -> str:
        """The identity of the data, SHA-256 in hex."""
        return self.manifest.manifest_hash

    def __len__(self) -> int:
        return len(self.cases)

    def image(self, i: int) -> Grey:
        """Grey values of slice i, (H, W) uint8: a view of the memory map."""
        return self._view(self._images, i)

    def mask(self, i: int) -> Grey:
        """Class labels of slice i, (H, W) uint8, 255 = ignore: a view of the memory map."""
        return self._view(self._masks, i)

    def _view(self, flat: Grey, i: int) -> Grey:
        case = self.cases[i]
        start = self._starts[range(len(self.cases))[i]]
        return flat[start : start + case.height * case.width].reshape(case.height, case.width)

    def uniform_size(self) -> tuple[int, int] | None:
        """Height and width where all slices share them, else None."""
        sizes = {(case.height, case.width) for case in self.cases}
        return sizes.pop() if len(sizes) == 1 else None

    def at_size(self, size: int) -> tuple[Grey, Grey]:
        """All slices stretched to squares: images and masks, each (N, size, size) uint8.

        Images are area-averaged where they shrink and linear where they grow, masks take the
        nearest label. Where every slice has that size already, both are read-only views.
        """
        if self.uniform_size() == (size, size):
            shape = (len(self.cases), size, size)
            return self._images.reshape(shape), self._masks.reshape(shape)
        images = np.empty((len(self.cases), size, size), dtype=np.uint8)
        masks = np.empty_like(images)
        for i in range(len(self.cases)):
            images[i], masks[i] = self.stretched(i, size)
        return images, masks

    def stretched(self, i: int, size: int) -> tuple[Grey, Grey]:
        """Slice i as it is in `at_size`: image and mask, each (size, size) uint8."""
        import cv2

        case = self.cases[i]
        shrinks = case.height * case.width > size * size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        mask = cv2.resize(self.mask(i), (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
        image = cv2.resize(self.image(i), (size, size), interpolation=how)
        return np.asarray(image, dtype=np.uint8), np.asarray(mask, dtype=np.uint8)

    def folds(self, split: Split) -> tuple[Fold, ...]:
        """The folds of this dataset under a protocol's split rule (`benchmark.datasets.folds`).

        Raises:
            CovbenchError: The rule can't be met.
        """
        listed = self.manifest.fold_list
        return make_folds(
            self.cases,
            self.foreground,
            split,
            groups_known=self.manifest.groups_known,
            shipped=fold_list(listed) if listed else None,
        )

    def verify(self) -> None:
        """Hash every prepared file again.

        Raises:
            CovbenchError: One is not what was prepared; the error names it.
        """
        for name, expected in self.manifest.files.items():
            if file_hash(self.path / name) != expected:
                raise damaged(self.path, f"{name} is not what was prepared (its SHA-256 differs)")


def data_root(root: Path | None = None) -> Path:
    """Where prepared datasets live: `root`, else COVBENCH_DATA, else the user's cache folder."""
    if root is not None:
        return root
    if from_environment := os.environ.get("COVBENCH_DATA"):
        return Path(from_environment).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("covbench") / "data"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        CovbenchError: The file can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CovbenchError(
            f"{path} can't be read ({error.strerror}).", "Check the path and your rights."
        ) from error


def damaged(path: Path, what: str) -> CovbenchError:
    """The error for a prepared dataset that is no longer whole."""
    return CovbenchError(
        f"The prepared dataset {path.name} is damaged: {path}: {what}.",
        f"Delete {path} and run `covbench data prepare` for it again.",
    )
