"""NIfTI volumes as people download them: in folders, in zip archives, or both at once.

A dataset's parts (images, infection masks, lung masks) are folders or archives with known names.
A file belongs to a part where a folder above it, or the archive that holds it, has its name.
Archives are never unpacked under names of their own: a member is copied to a temporary file, read
and forgotten, one at a time.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets import nifti
from benchmark.datasets.readers import Grey, to_labels
from benchmark.datasets.recipes import Decoded, Slice
from benchmark.datasets.volume import (
    Volume,
    check_same_grid,
    grey_slices,
    in_hounsfield,
    prepared_slices,
)
from benchmark.window import Window
from zoo.errors import CovbenchError
from zoo.limits import limits, raising

_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class VolumeFile:
    """A NIfTI file: on disk, or a member of a zip archive."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    @property
    def stem(self) -> str:
        """Its name without .nii or .nii.gz."""
        return self.name[: -len(_suffix(self.name))]

    def read(self) -> Volume:
        """The volume; see `nifti.read_volume`.

        Raises:
            CovbenchError: The file or its archive is damaged, or too large.
        """
        with self._on_disk() as path:
            return nifti.read_volume(path)

    @contextmanager
    def _on_disk(self) -> Iterator[Path]:
        if not self.member:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="covbench-") as folder:
            # The name shows in errors; only its last part counts, so it can lead nowhere else.
            copy = Path(folder) / self.name
            try:
                with (
                    zipfile.ZipFile(self.path) as archive,
                    archive.open(self.member) as packed,
                    copy.open("wb") as file,
                ):
                    shutil.copyfileobj(packed, file, 2**20)
            except RuntimeError as error:  # a password, says zipfile
                raise CovbenchError(
                    f"{self.path}: {self.member} can't be read ({error}).", "Unpack it yourself."
                ) from error
            except _BROKEN_ZIP as error:
                raise CovbenchError(
                    f"{self.path}: {self.member} is damaged ({error}).", "Download it again."
                ) from error
            yield copy


def find_parts(root: Path, parts: Mapping[str, Sequence[str]]) -> dict[str, dict[str, VolumeFile]]:
    """The volumes of each part that a folder holds.

    Args:
        root: The folder; everything below it is looked through, and the zip archives in it.
        parts: What names a part's folder or archive may have, in small letters.

    Returns:
        For each part the volumes by stem, in the order of the stems. Where a volume is there
        unpacked and in an archive, the unpacked one counts.

    Raises:
        CovbenchError: An archive is damaged or holds too much, or two volumes of a part share a
            stem.
    """
    found: dict[str, dict[str, VolumeFile]] = {part: {} for part in parts}
    for file, above in _volume_files(root):
        for part, names in parts.items():
            if not above.intersection(names):
                continue
            other = found[part].setdefault(file.stem, file)
            if other is not file and bool(other.member) == bool(file.member):
                raise CovbenchError(
                    f"{other.path} and {file.path} both hold a volume {file.stem}.",
                    "Keep one of them.",
                )
    return {part: dict(sorted(volumes.items())) for part, volumes in found.items()}


def _volume_files(root: Path) -> Iterator[tuple[VolumeFile, set[str]]]:
    """Every NIfTI file and the names above it in small letters; unpacked ones first."""
    archives = []
    for path in sorted(root.rglob("*")):
        below = path.relative_to(root)
        if any(part.startswith(".") for part in below.parts) or not path.is_file():
            continue
        above = {part.lower() for part in below.parts[:-1]}
        if _suffix(path.name):
            yield VolumeFile(path), above
        elif path.suffix.lower() == ".zip":
            archives.append((path, above | {path.stem.lower()}))
    for path, above in archives:
        for member in _members(path):
            inner = PurePosixPath(member).parts[:-1]
            yield VolumeFile(path, member), above | {part.lower() for part in inner}


def _members(path: Path) -> list[str]:
    """The NIfTI files of an archive, without the hidden ones that macOS adds."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except _BROKEN_ZIP as error:
        raise CovbenchError(
            f"{path} is no whole zip archive ({error}).", "Download it again."
        ) from error
    if len(entries) > limits().dataset_files:
        raise CovbenchError(
            f"{path} holds {len(entries):,} files; the limit is {limits().dataset_files:,}.",
            f"Check that it is the right archive. {raising('dataset_files', len(entries))}",
        )
    wanted = []
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        if entry.is_dir() or hidden or not _suffix(entry.filename):
            continue
        if entry.file_size > limits().volume_bytes:
            raise CovbenchError(
                f"{path}: {entry.filename} claims {entry.file_size:,} bytes and was not read.",
                f"Check that it is a CT volume. {raising('volume_bytes', entry.file_size)}",
            )
        _check_packing(path, entry)
        wanted.append(entry.filename)
    return sorted(wanted)


def _check_packing(path: Path, entry: zipfile.ZipInfo) -> None:
    """Refuse a member that unpacks to far more than a scan does, or with what eats memory."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CovbenchError(
            f"{path}: {entry.filename} is packed in a way that is not read here.",
            "Unpack the archive yourself, and name the folder.",
        )
    packed = max(1, min(entry.compress_size, path.stat().st_size))
    ratio = -(-entry.file_size // packed)
    if entry.file_size > limits().gzip_free_bytes and ratio > limits().gzip_large_ratio:
        raise CovbenchError(
            f"{path}: {entry.filename} unpacks to {ratio:,} times its size, far more than a scan "
            "does, and was not read.",
            f"Check that it is a CT volume. {raising('gzip_large_ratio', ratio)}",
        )


def _suffix(name: str) -> str:
    endings = nifti.SUFFIXES[::-1]
    return next((name[-len(e) :] for e in endings if name.lower().endswith(e)), "")


def source_files(root: Path, volumes: Iterable[VolumeFile]) -> dict[str, Path]:
    """What a preparation reads, by its name within the folder: files, and archives as a whole."""
    paths = {volume.path for volume in volumes}
    return {path.relative_to(root).as_posix(): path for path in sorted(paths)}


def same_stems(has: Mapping[str, VolumeFile], other: Mapping[str, VolumeFile], what: str) -> None:
    """Refuse volumes without their counterpart.

    Raises:
        CovbenchError: A stem of `has` is not in `other`; `what` names what it lacks.
    """
    alone = [volume for stem, volume in has.items() if stem not in other]
    if alone:
        more = f" and {len(alone) - 3} more" if len(alone) > 3 else ""
        names = ", ".join(volume.name for volume in alone[:3])
        raise CovbenchError(
            f"No {what} for {names}{more} ({alone[0].path}).",
            "Unpack the download again: the files of one scan share their name.",
        )


@dataclass(frozen=True)
class Scan:
    """A scan with its masks, still in its files; `name` begins the ids of its slices.

    `labels` turns the stored values of `mask` into classes; `lungs` gives the lungs' outlines.
    """

    name: str
    group: str
    image: VolumeFile
    mask: VolumeFile
    labels: Callable[[NDArray[np.generic], Path], Grey]
    lungs: VolumeFile | None = None
    source: str = ""


@dataclass(frozen=True)
class ScanRead:
    """A scan in memory: slices, (N, H, W) each, from feet to head; see `Slice`."""

    image: Grey | NDArray[np.int16]
    mask: Grey
    lung: Grey | None
    spacing_mm: tuple[float, float] | None
    hounsfield: bool


def read_scan(scan: Scan, window: Window | None) -> ScanRead:
    """A scan's slices. Its volumes are read one after the other, so that one is held at a time.

    Args:
        scan: The scan.
        window: The Hounsfield units that become black and white; None keeps the units. A volume
            of 0 to 255 counts as windowed and is kept as it is.

    Raises:
        CovbenchError: A volume can't be read, or image and masks do not lie on one another.
    """
    volume = scan.image.read()
    hounsfield = in_hounsfield(volume)
    image = prepared_slices(volume, window if hounsfield else None)
    frame = Volume(volume.path, volume.values[:0], volume.spacing_mm, volume.axes, volume.affine)
    del volume
    mask = _aligned(scan, scan.mask, frame, image.shape)
    labels = scan.labels(mask.values, mask.path)
    lung = None
    if scan.lungs is not None:
        lung = (_aligned(scan, scan.lungs, frame, image.shape).values != 0).astype(np.uint8)
    return ScanRead(image, labels, lung, frame.spacing_mm, hounsfield)


def _aligned(scan: Scan, file: VolumeFile, frame: Volume, shape: tuple[int, ...]) -> Volume:
    mask = file.read()
    if mask.values.shape != shape:
        sizes = (" x ".join(str(n) for n in of) for of in (shape, mask.values.shape))
        raise CovbenchError(
            f"The scan {scan.name} and its mask {file.path.name} differ in size: "
            f"{' and '.join(sizes)}.",
            "Download both again.",
        )
    check_same_grid(frame, mask)
    return mask


def slices(scan: Scan, read: ScanRead) -> list[Slice]:
    """The slices of a scan, numbered from 0 at the feet."""
    return [
        Slice(
            f"{scan.name}-{k:04d}",
            scan.group,
            read.image[k],
            read.mask[k],
            read.spacing_mm,
            None if read.lung is None else read.lung[k],
            scan.source,
        )
        for k in range(len(read.image))
    ]


def labels_by(label_map: Mapping[int, int]) -> Callable[[NDArray[np.generic], Path], Grey]:
    """What turns stored values into classes by a label map; see `readers.to_labels`."""
    return lambda values, path: to_labels(values, label_map, path)


class Reader:
    """Reads the scans of a dataset and counts what their values were."""

    def __init__(self, window: Window | None) -> None:
        self._window = window
        self._hounsfield = 0
        self._windowed = 0

    def read(self, scan: Scan) -> ScanRead:
        """See `read_scan`."""
        read = read_scan(scan, self._window)
        self._hounsfield += read.hounsfield
        self._windowed += not read.hounsfield
        return read

    def grey(self, scan: Scan) -> Grey:
        """The image alone, as 8-bit grey, (N, H, W)."""
        volume = scan.image.read()
        return grey_slices(volume, self._window if in_hounsfield(volume) else None)

    def decoded(self, scans: Sequence[Scan], notes: tuple[str, ...] = ()) -> Decoded:
        """The slices of scans whose patients are all known, one scan a step.

        Args:
            scans: In order.
            notes: What is said beside the grey values.
        """
        steps = (slices(scan, self.read(scan)) for scan in scans)
        return Decoded(steps, "all", notes=notes, closing=lambda: [self.told()])

    def told(self) -> str:
        """What to say of the grey values."""
        count = self._hounsfield + self._windowed
        parts = []
        if self._hounsfield:
            low, high = self._window or (0, 0)
            shown = f", shown from {low:g} to {high:g}" if self._window else ""
            parts.append(f"{self._hounsfield} of {count} scans store Hounsfield units{shown}")
        if self._windowed:
            parts.append(
                f"{self._windowed} of {count} are windowed to 0 to 255 already and kept as they are"
            )
        return "; ".join(parts) + "."
