"""What files that nobody vouches for may hold: texts, tables, arrays."""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from results.anonymous import texts
from results.cases import CASES, COLUMNS, WORDS
from results.predictions import PREDICTIONS
from results.untrusted import MAX_INTEGER, Refused
from zoo.limits import limits


def check_values(payload: Any) -> None:
    """Refuse texts that steer a terminal, and numbers that no run has.

    Raises:
        Refused: There is one.
    """
    most = limits().text_characters
    for text in texts(payload):
        if len(text) > most:
            raise Refused(f"a text has more than {most} characters", "text_characters", len(text))
        _check_text(text)
    for number in _integers(payload):
        if abs(number) >= MAX_INTEGER:
            raise Refused("a number is too large")


def check_cases(content: bytes) -> int:
    """Refuse a cases.csv that is not a plain table of images and numbers.

    Returns:
        How many images it has.

    Raises:
        Refused: It is not.
    """
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
        head, *rows = lines or [[]]
        if head[:2] != ["id", "group"] or len(set(head)) < len(head):
            raise Refused("its first columns are not id and group, or two have one name")
        for name in head:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name) or name in COLUMNS[:-2]:
                raise Refused(f"a column is called {ascii(name)[:80]}")
        for row in rows:
            if len(row) != len(head):
                raise Refused("a line has not one field a column")
            for name, field in zip(head, row, strict=True):
                if name in WORDS:
                    _check_text(field)
                    _check_formula(field)
                elif field and not math.isfinite(float(field)):
                    raise Refused("a number is not finite")
    except (csv.Error, ValueError) as error:
        raise Refused(f"{CASES} is not what it should be: {error}") from error
    if len({row[0] for row in rows}) < len(rows):
        raise Refused(f"{CASES} has an image twice")
    return len(rows)


def check_predictions(file: BinaryIO) -> int:
    """Refuse a predictions.npz that would ask for more memory than it has bytes.

    Only the headers of its arrays are read.

    Returns:
        How many images it has.

    Raises:
        Refused: It is not what covbench writes.
    """
    from numpy.lib import format as npy

    try:
        file.seek(-42, io.SEEK_END)
        large, end = file.read(20), file.read(22)
        size = int.from_bytes(end[12:16], "little")
        most = limits()
        if large[:4] == b"PK\6\7" or end[:4] != b"PK\5\6" or size > most.directory_bytes:
            raise Refused("it has too many arrays, or a comment", "directory_bytes")
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if [entry.filename for entry in entries] != [
                "ids.npy",
                *(f"p{place}.npy" for place in range(len(entries) - 1)),
            ]:
                raise Refused("its arrays have other names")
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > most.predictions_unpacked_bytes:
                raise Refused("its arrays are too large", "predictions_unpacked_bytes", unpacked)
            for entry in entries:
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise Refused("its arrays are compressed in another way")
                with archive.open(entry) as array:
                    if npy.read_magic(array) != (1, 0):
                        raise Refused("its arrays have another format")
                    shape, _, dtype = npy.read_array_header_1_0(array)
                    ids = entry.filename == "ids.npy"
                    good = dtype.kind == "U" if ids else dtype.str == "|u1"
                    if not good or len(shape) != (1 if ids else 2) or min(shape) < 0:
                        raise Refused("its arrays have other types")
                    if math.prod(shape) * dtype.itemsize != entry.file_size - array.tell():
                        raise Refused("its arrays have other sizes")
                    if ids and shape != (len(entries) - 1,):
                        raise Refused("it has not one array an image")
    except Exception as error:  # zipfile and numpy fail in many ways on what is not theirs
        reason = error if isinstance(error, Refused) else type(error).__name__
        limit, needed = getattr(error, "limit", ""), getattr(error, "needed", None)
        raise Refused(f"{PREDICTIONS} is not what it should be: {reason}", limit, needed) from error
    return len(entries) - 1


def _check_text(text: str) -> None:
    # Control characters, invisible ones that turn the direction of text, line separators.
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text):
        raise Refused(f"a text holds a control character: {ascii(text)[:80]}")


def _check_formula(text: str) -> None:
    # A spreadsheet that opens the file would compute it.
    if text.startswith(("=", "+", "-", "@")):
        raise Refused(f"a name begins like a formula: {ascii(text)[:80]}")


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _integers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _integers(item)
