"""Reading an archive that nobody vouches for: limits first, then plain files.

The limits are far above what honest archives need, and low enough that a hostile one can't
exhaust the machine. They are checked before memory is asked for.
"""

from __future__ import annotations

import lzma
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from results.cases import CASES
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
