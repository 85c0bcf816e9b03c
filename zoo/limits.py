"""The limits at which a reader refuses what it is given: each stated once, here.

They are far above what honest files need, and low enough that a damaged or hostile one can't
exhaust the machine: they are checked before memory is asked for. A user raises one with
`--limit name=value`, or for all commands with COVBENCH_LIMITS="name=value,name=value"; worker
processes inherit the variable, so that both hold there too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.errors import CovbenchError, unknown

ENVIRONMENT = "COVBENCH_LIMITS"

_CONTAINERS = (dict, list, tuple)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Limits:
    """What is read at most.

    Attributes:
        image_pixels: Pixels of one picture (8192 x 8192).
        volume_voxels: Voxels of one volume (a thin-slice CT has 2**28).
        volume_bytes: Bytes of one volume, decoded.
        slice_bytes: Bytes of the file of one DICOM slice.
        gzip_ratio: Bytes that one byte of gzip can stand for (deflate ends at 1032).
        gzip_free_bytes: Bytes up to which a compressed volume is read whatever its ratio.
        gzip_large_ratio: The ratio that is believed above them (a CT has 2 to 4).
        dataset_files: Image files of one dataset.
        classified_files: Image files of one folder of classes (ImageNet has 14 million).
        table_bytes: Bytes of a table such as groups.csv.
        settings_bytes: Bytes of a TOML file: a protocol, a recipe, a layout.
        archive_bytes: Bytes of an archive.
        archive_unpacked_bytes: Bytes of all its files together.
        archive_ratio: Bytes that one byte of an archive can stand for (a store of 90 runs: 10).
        archive_files: Files of one archive.
        decoder_bytes: Bytes that its decompressor may ask for (ours writes what needs 9 MiB).
        manifest_bytes: Bytes of an archive's or a dataset's manifest.
        record_bytes: Bytes of a record.
        failure_bytes: Bytes of the account of a failed attempt.
        cases_bytes: Bytes of a table of per-image scores.
        predictions_bytes: Bytes of a file of predictions.
        predictions_unpacked_bytes: Bytes of its arrays, unpacked.
        directory_bytes: Bytes of its table of contents (100,000 images).
        weights_bytes: Bytes of a file of weights.
        checkpoint_bytes: Bytes of a checkpoint: weights three to four times, as its optimiser has.
        source_bytes: Bytes of the file of a user's own network.
        profile_bytes: Bytes of a machine's profile.
        text_characters: Characters of one text in a record, a manifest or a table.
        nesting: Lists and tables inside each other, in JSON and TOML.
        plugin_seconds: How long the import of a user's own network may take.
    """

    image_pixels: int = 2**26
    volume_voxels: int = 2**30
    volume_bytes: int = 2**32
    slice_bytes: int = 2**28
    gzip_ratio: int = 1100
    gzip_free_bytes: int = 2**28
    gzip_large_ratio: int = 200
    dataset_files: int = 100_000
    classified_files: int = 2**24
    table_bytes: int = 2**24
    settings_bytes: int = 2**20
    archive_bytes: int = 2**33
    archive_unpacked_bytes: int = 2**34
    archive_ratio: int = 1000
    archive_files: int = 200_000
    decoder_bytes: int = 2**27
    manifest_bytes: int = 2**26
    record_bytes: int = 2**23
    failure_bytes: int = 2**20
    cases_bytes: int = 2**26
    predictions_bytes: int = 2**29
    predictions_unpacked_bytes: int = 2**30
    directory_bytes: int = 2**23
    weights_bytes: int = 2**31
    checkpoint_bytes: int = 2**33
    source_bytes: int = 2**21
    profile_bytes: int = 2**26
    text_characters: int = 2**20
    nesting: int = 64
    plugin_seconds: int = 120


NAMES = tuple(field.name for field in fields(Limits))


def limits() -> Limits:
    """The limits that hold now.

    Raises:
        CovbenchError: COVBENCH_LIMITS names a limit that there isn't, or no number.
    """
    return _parsed(os.environ.get(ENVIRONMENT, ""))


def set_limits(words: Iterable[str]) -> None:
    """Change limits in this process and in those that it starts.

    Args:
        words: Each "name=value"; a value may end in K, M, G or T, which are powers of 1024.

    Raises:
        CovbenchError: A limit is unknown, or a value is no positive whole number.
    """
    before = os.environ.get(ENVIRONMENT, "")
    text = ",".join([*filter(None, [before]), *words])
    _parsed(text)
    os.environ[ENVIRONMENT] = text


@contextmanager
def kept() -> Iterator[None]:
    """Limits that are changed inside are afterwards what they were."""
    before = os.environ.get(ENVIRONMENT)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ENVIRONMENT, None)
        else:
            os.environ[ENVIRONMENT] = before


def raising(name: str, needed: int | None = None) -> str:
    """The sentence that says how a limit is raised.

    Args:
        name: The limit.
        needed: What would do; twice the present limit where that isn't known.
    """
    value = needed or 2 * int(getattr(limits(), name))
    return f"Where it is meant to be so, raise the limit: --limit {name}={value}."


def read_limited(path: Path, name: str) -> bytes:
    """The contents of a plain file, unless it is larger than a limit.

    Args:
        path: The file; pipes and devices, which may never end, are refused.
        name: The limit.

    Raises:
        CovbenchError: It is no plain file, or too large.
        OSError: It can't be read.
    """
    if path.exists() and not path.is_file():
        raise CovbenchError(f"{path} is no plain file.", "Give a file that lies on a disk.")
    most = int(getattr(limits(), name))
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise CovbenchError(
                f"{path} has {size:,} bytes, more than the limit of {most:,}.",
                f"Check that it is the right file. {raising(name, size)}",
            )
        return file.read()


def check_nesting(value: Any) -> None:
    """Refuse lists and tables that lie too deep inside each other.

    Raises:
        ValueError: They do.
    """
    most = limits().nesting
    layer, depth = [value] if value and isinstance(value, _CONTAINERS) else [], 0
    while layer:
        depth += 1
        if depth > most:
            raise ValueError(f"it is nested too deeply: more than {most} levels (limit nesting)")
        layer = [
            inner
            for each in layer
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, _CONTAINERS) and inner
        ]


@lru_cache(maxsize=16)
def _parsed(text: str) -> Limits:
    """The limits with a user's changes."""
    changed: dict[str, int] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (part.strip() for part in word.partition("="))
        if name not in NAMES:
            raise unknown("limit", name, NAMES, ", ".join(NAMES))
        number = re.fullmatch(r"([0-9]{1,18})([KMGT]?)", value, re.ASCII)
        if number is None or not int(number[1]):
            raise CovbenchError(
                f"The limit {name}={value[:40]!r} is no positive whole number.",
                f"Write --limit {name}={getattr(Limits(), name)} or such as 2G (powers of 1024).",
            )
        changed[name] = int(number[1]) * _UNITS[number[2]]
    return replace(Limits(), **changed)
