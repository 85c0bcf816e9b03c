"""Reading an archive that nobody vouches for: limits first, then plain files, then contents.

The limits are far above what honest archives need, and low enough that a hostile one can't
exhaust the machine. They are checked before memory is asked for.
"""

from __future__ import annotations

import csv
import io
import lzma
import math
import re
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from results.anonymous import texts
from results.cases import CASES, COLUMNS, WORDS
from results.predictions import PREDICTIONS
from results.store import RECORD

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"

MAX_ARCHIVE_BYTES = 2**33
"""Bytes of an archive."""

MAX_UNPACKED_BYTES = 2**34
"""Bytes of all its files together."""

MAX_RATIO = 1000
"""Bytes that one byte of an archive can stand for (a store of 90 runs: 10)."""

MAX_MEMORY_BYTES = 2**27
"""Bytes that the decompressor may ask for (ours writes archives that need 9 MiB)."""

MAX_FILES = 200_000
"""Files of one archive."""

MAX_BYTES = {
    MANIFEST: 2**26,
    RECORD: 2**23,
    CASES: 2**26,
    PREDICTIONS: 2**29,
    WEIGHTS: 2**31,
    "failed-N.json": 2**20,
    "NAME.py": 2**21,
}
"""Bytes of one file, by its kind. There are no other kinds."""

MAX_DIRECTORY_BYTES = 2**23
"""Bytes of the table of contents of a predictions.npz (100,000 images)."""

MAX_INTEGER = 2**63
"""What a whole number in a record stays below."""

_BLOCK = 512
_CHUNK = 2**18
_FOLDER = r"[A-Za-z0-9._=-]{1,120}/[A-Za-z0-9._=-]{1,120}"
_PATTERNS = {
    r"failed-[1-9][0-9]{0,5}\.json": "failed-N.json",
    # pytest would run the first two where they lie
    r"(?!conftest\.|test_|__)[A-Za-z_]\w{0,80}\.py": "NAME.py",
}


class Refused(ValueError):
    """Why an archive is not let in."""


@dataclass(frozen=True)
class Member:
    """A file of an archive; its contents can be read once, in their turn.

    Attributes:
        name: Its name in the archive, which is one of those that may be there.
        kind: Which of `MAX_BYTES` it is.
        size: Its bytes.
        chunks: Its contents.
    """

    name: str
    kind: str
    size: int
    chunks: Iterator[bytes]


class _Stream:
    """The decompressed bytes of an xz file, no more of them than the limits allow."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = min(MAX_UNPACKED_BYTES, size * MAX_RATIO)
        self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY_BYTES)

    def some(self, most: int) -> bytes:
        """At least one byte and at most so many; none at the end."""
        while not self._xz.eof:
            more = self._file.read(_CHUNK) if self._xz.needs_input else b""
            if self._xz.needs_input and not more:
                raise Refused("it ends too early")
            try:
                found = self._xz.decompress(more, max_length=most)
            except lzma.LZMAError as error:
                raise Refused(f"it can't be decompressed: {error}") from error
            self._left -= len(found)
            if self._left < 0:
                raise Refused("it unpacks to far more than its size allows")
            if found:
                return found
        return b""

    def exactly(self, count: int) -> Iterator[bytes]:
        """So many bytes, in pieces."""
        while count:
            found = self.some(min(count, _CHUNK))
            if not found:
                raise Refused("it ends too early")
            count -= len(found)
            yield found

    def check_end(self) -> None:
        """Nothing but zeros may follow, and nothing after the compressed bytes."""
        while found := self.some(_CHUNK):
            if found.strip(b"\0"):
                raise Refused("something follows its last file")
        if self._xz.unused_data or self._file.read(1):
            raise Refused("something follows its end")


def members(path: Path) -> Iterator[Member]:
    """The files of an archive in their order: plain files with names that may be there.

    Only the simplest kind of tar is read: what an entry is, is known from its 512 bytes alone.

    Raises:
        Refused: The archive is damaged, too large, or holds what no archive of ours does.
    """
    size = path.stat().st_size
    if size > MAX_ARCHIVE_BYTES:
        raise Refused(f"it has {size} bytes, more than {MAX_ARCHIVE_BYTES}")
    seen: set[str] = set()
    try:
        with path.open("rb") as file:
            stream = _Stream(file, size)
            while (member := _next(stream)) is not None:
                if member.name in seen:
                    raise Refused(f"{member.name} is in it twice")
                if len(seen) == MAX_FILES:
                    raise Refused(f"it has more than {MAX_FILES} files")
                seen.add(member.name)
                yield member
                for _ in member.chunks:  # what the caller left
                    pass
                if b"".join(stream.exactly(-member.size % _BLOCK)).strip(b"\0"):
                    raise Refused(f"something follows {member.name}")
            stream.check_end()
    except tarfile.HeaderError as error:
        raise Refused(f"it is no tar: {error}") from error


def _next(stream: _Stream) -> Member | None:
    """The next file, or None at the end."""
    header = b"".join(stream.exactly(_BLOCK))
    if not header.strip(b"\0"):
        return None
    info = tarfile.TarInfo.frombuf(header, "ascii", "surrogateescape")
    if info.type != tarfile.REGTYPE:
        raise Refused(f"{info.name!a} is not a plain file")
    kind = kind_of(info.name)
    if not 0 <= info.size <= MAX_BYTES[kind]:
        raise Refused(f"{info.name} has {info.size} bytes, more than {MAX_BYTES[kind]}")
    return Member(info.name, kind, info.size, stream.exactly(info.size))


def kind_of(name: str) -> str:
    """Which kind of file a name in an archive is.

    Raises:
        Refused: None that an archive may hold.
    """
    if name == MANIFEST:
        return name
    folder, _, last = name.rpartition("/")
    plain = re.fullmatch(_FOLDER, folder) and not {".", ".."} & set(folder.split("/"))
    if plain and last in MAX_BYTES and last not in (MANIFEST, *_PATTERNS.values()):
        return last
    for pattern, kind in _PATTERNS.items():
        if plain and re.fullmatch(pattern, last, re.ASCII):
            return kind
    raise Refused(f"{ascii(name)[:200]} has no place in an archive")


def check_values(payload: Any) -> None:
    """Refuse texts that steer a terminal, and numbers that no run has.

    Raises:
        Refused: There is one.
    """
    for text in texts(payload):
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
        if large[:4] == b"PK\6\7" or end[:4] != b"PK\5\6" or size > MAX_DIRECTORY_BYTES:
            raise Refused("it has too many arrays, or a comment")
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if [entry.filename for entry in entries] != [
                "ids.npy",
                *(f"p{place}.npy" for place in range(len(entries) - 1)),
            ]:
                raise Refused("its arrays have other names")
            if sum(entry.file_size for entry in entries) > 4 * MAX_BYTES[PREDICTIONS]:
                raise Refused("its arrays are too large")
            for entry in entries:
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise Refused("its arrays are compressed in another way")
                with archive.open(entry) as array:
                    if npy.read_magic(array) != (1, 0):
                        raise Refused("its arrays have another format")
                    shape, _, dtype = npy.read_array_header_1_0(array)
                    ids = entry.filename == "ids.npy"
                    good = dtype.kind == "U" if ids else dtype.str == "|u1"
                    if not good or len(shape) != (1 if ids else 2):
                        raise Refused("its arrays have other types")
                    if math.prod(shape) * dtype.itemsize != entry.file_size - array.tell():
                        raise Refused("its arrays have other sizes")
                    if ids and shape != (len(entries) - 1,):
                        raise Refused("it has not one array an image")
    except Exception as error:  # zipfile and numpy fail in many ways on what is not theirs
        reason = error if isinstance(error, Refused) else type(error).__name__
        raise Refused(f"{PREDICTIONS} is not what it should be: {reason}") from error
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
