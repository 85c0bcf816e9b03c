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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmark.datasets import nifti
from benchmark.datasets.volume import Volume
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
