"""A prepared dataset on disk, opened for reading: flat files of pixels, a table and a manifest.

NAME/manifest.json   what it is, where it came from, and the SHA-256 of everything
NAME/cases.csv       one line per slice
NAME/images.raw      grey values (uint8) or Hounsfield units (int16) of all slices, one after the
                     other, row by row
NAME/masks.raw       their class labels; 255 = ignore
NAME/lungs.raw       1 inside the lungs, where somebody outlined them
NAME/folds.json      which slices train and test, where the user gave lists
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.cases import Case, read_cases
from benchmark.datasets.folds import Fold, Split, make_folds
from benchmark.datasets.lists import FOLDS, FoldList, fold_list, lists_from_json
from benchmark.datasets.manifest import CASES, IMAGES, LUNGS, MANIFEST, MASKS, Manifest
from benchmark.window import LUNG_WINDOW, Window, Windowed, windowed
from zoo.errors import CovbenchError
from zoo.limits import read_limited

Grey = NDArray[np.uint8]

TASKS = ("infection", "lung", "hierarchical", "multiclass")
"""What can be segmented: lesions; the lungs; lesions inside predicted lungs; kinds of lesion."""


class PreparedDataset:
    """An opened prepared dataset; its arrays are read-only memory maps.

    Attributes:
        name: The name under which it was prepared.
        path: Its folder.
        manifest: What it is.
        cases: Its slices, in order.
        foreground: Pixels of each slice that are neither background nor ignored.
        fresh: Whether `prepare_dataset` has just made it, rather than found it as it should be.
        task: One of `TASKS`: what `mask` is the truth of.
        window: The Hounsfield units that `image` shows black and white.
    """

    def __init__(
        self,
        path: Path,
        *,
        fresh: bool = False,
        task: str = "infection",
        window: Window = LUNG_WINDOW,
    ) -> None:
        """Open the dataset in a folder.

        Args:
            path: The folder.
            fresh: See the attribute.
            task: See the attribute.
            window: See the attribute.

        Raises:
            CovbenchError: The folder holds no whole prepared dataset, no lungs for their task, or
                8-bit grey where another window than the default is asked for.
        """
        self.path = path
        self.fresh = fresh
        self.task = task
        self.window = window
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
        self.has_lungs = LUNGS in self.manifest.files
        if task == "lung" and not self.has_lungs:
            raise CovbenchError(
                f"Nobody outlined the lungs in the dataset {self.name}.",
                "Choose another --task, or prepare it with lung masks (docs/datasets.md).",
            )
        if window != LUNG_WINDOW and self.manifest.values == "grey":
            raise CovbenchError(
                f"input.window = {list(window)} can't be applied to {self.name}: it holds 8-bit "
                "grey, windowed before or while it was prepared.",
                "Leave input.window at its default, or prepare the scans in Hounsfield units "
                "without the option window.",
            )
        dtype = np.dtype(np.int16 if self.manifest.values == "hu" else np.uint8)
        bytes_of = {IMAGES: dtype.itemsize, MASKS: 1, **({LUNGS: 1} if self.has_lungs else {})}
        for file, each in bytes_of.items():
            whole = path / file
            if not whole.is_file() or whole.stat().st_size != each * self._starts[-1]:
                raise damaged(path, f"{file} is missing or has the wrong length")
        if self.manifest.manifest_hash != self.manifest.identity():
            raise damaged(path, f"{MANIFEST} does not match its own hash")
        self._images: NDArray[Any] = np.memmap(path / IMAGES, dtype=dtype, mode="r")
        self._lungs: Grey | None = None
        if self.has_lungs:
            self._lungs = np.memmap(path / LUNGS, dtype=np.uint8, mode="r")
        truth = LUNGS if task == "lung" else MASKS
        self._masks: Grey = np.memmap(path / truth, dtype=np.uint8, mode="r")

    @property
    def manifest_hash(self) -> str:
        """The identity of images and masks, SHA-256 in hex."""
        return self.manifest.manifest_hash

    @property
    def data_hash(self) -> str:
        """The identity of what its task reads; see `hash_for`."""
        return self.hash_for(self.task)

    def hash_for(self, task: str) -> str:
        """The identity of what a task reads, SHA-256 in hex.

        The lungs count for the task lung alone. Where they are masks that a network predicted,
        its run is part of the identity of the run that uses them.
        """
        if task != "lung":
            return self.manifest_hash
        both = f"{self.manifest_hash}:{self.manifest.files[LUNGS]}"
        return hashlib.sha256(both.encode()).hexdigest()

    @property
    def classes(self) -> dict[int, str]:
        """Label to name of what `mask` holds; 0 is the background."""
        return {0: "background", 1: "lung"} if self.task == "lung" else self.manifest.classes

    def __len__(self) -> int:
        return len(self.cases)

    def image(self, i: int) -> Grey:
        """Grey values of slice i, (H, W) uint8: a view of the memory map, or windowed from it."""
        stored = self.stored(i)
        return windowed(stored, self.window) if self.manifest.values == "hu" else stored

    def stored(self, i: int) -> NDArray[Any]:
        """What is kept of slice i, (H, W): uint8 grey, or int16 Hounsfield units; a view."""
        return self._view(self._images, i)

    def mask(self, i: int) -> Grey:
        """Class labels of slice i, (H, W) uint8, 255 = ignore: a view of the memory map."""
        return self._view(self._masks, i)

    def lung(self, i: int) -> Grey:
        """The lungs of slice i, (H, W) uint8, 1 inside: a view of the memory map.

        Raises:
            CovbenchError: Nobody outlined them.
        """
        if self._lungs is None:
            raise CovbenchError(
                f"Nobody outlined the lungs in the dataset {self.name}.",
                "Prepare it with lung masks (docs/datasets.md), or go without.",
            )
        return self._view(self._lungs, i)

    def _view(self, flat: NDArray[Any], i: int) -> NDArray[Any]:
        case = self.cases[i]
        start = self._starts[range(len(self.cases))[i]]
        return flat[start : start + case.height * case.width].reshape(case.height, case.width)

    def of_task(self, task: str) -> PreparedDataset:
        """The same dataset with the truth of another task.

        Raises:
            CovbenchError: It has no lungs for their task.
        """
        return PreparedDataset(self.path, fresh=self.fresh, task=task, window=self.window)

    def uniform_size(self) -> tuple[int, int] | None:
        """Height and width where all slices share them, else None."""
        sizes = {(case.height, case.width) for case in self.cases}
        return sizes.pop() if len(sizes) == 1 else None

    def at_size(self, size: int) -> tuple[Grey | Windowed, Grey]:
        """All slices stretched to squares: images and masks, each (N, size, size) uint8.

        Images are area-averaged where they shrink and linear where they grow, after windowing;
        masks take the nearest label. Where every slice has that size already, both are read-only
        views, and Hounsfield units are windowed where they are read.
        """
        if self.uniform_size() == (size, size):
            shape = (len(self.cases), size, size)
            images: Grey | Windowed = self._images.reshape(shape)
            if self.manifest.values == "hu":
                images = Windowed(self._images.reshape(shape), self.window)
            return images, self._masks.reshape(shape)
        stretched = np.empty((2, len(self.cases), size, size), dtype=np.uint8)
        for i in range(len(self.cases)):
            stretched[0, i], stretched[1, i] = self.stretched(i, size)
        return stretched[0], stretched[1]

    def planes(self, size: int) -> Grey | None:
        """One more channel of the input, (N, size, size) uint8; plain images have none."""
        return None

    def stretched(self, i: int, size: int) -> tuple[Grey, Grey]:
        """Slice i as it is in `at_size`: image and mask, each (size, size) uint8."""
        import cv2

        mask = cv2.resize(self.mask(i), (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
        return stretch(self.image(i), size), np.asarray(mask, dtype=np.uint8)

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
            shipped=fold_list(listed) if listed else self._own_lists(),
        )

    def _own_lists(self) -> FoldList | None:
        """The folds that the user gave lists of."""
        if FOLDS not in self.manifest.files:
            return None
        try:
            return lists_from_json(read_limited(self.path / FOLDS, "manifest_bytes"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(self.path, f"{FOLDS} can't be read") from error

    def verify(self) -> None:
        """Hash every prepared file again.

        Raises:
            CovbenchError: One is not what was prepared; the error names it.
        """
        for name, expected in self.manifest.files.items():
            if file_hash(self.path / name) != expected:
                raise damaged(self.path, f"{name} is not what was prepared (its SHA-256 differs)")


def stretch(image: Grey, size: int) -> Grey:
    """Grey values as a network gets them: (size, size), averaged where they shrink, else linear."""
    import cv2

    how = cv2.INTER_AREA if image.size > size * size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=how), dtype=np.uint8)


def tasks_of(classes: Mapping[int, str], has_lungs: bool) -> tuple[str, ...]:
    """What a dataset with these classes can serve.

    Args:
        classes: Label to name, the background included.
        has_lungs: Whether the lungs are outlined.
    """
    direct = "infection" if len(classes) == 2 else "multiclass"
    inside = ("hierarchical",) if direct == "infection" else ()
    return (direct, "lung", *inside) if has_lungs else (direct,)


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
