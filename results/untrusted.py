"""Reading an archive that nobody vouches for: limits first, then plain files.

The limits themselves: `zoo.limits`.
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
from zoo.limits import limits

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"

LIMITS = {
    MANIFEST: "manifest_bytes",
    RECORD: "record_bytes",
    CASES: "cases_bytes",
    PREDICTIONS: "predictions_bytes",
    WEIGHTS: "weights_bytes",
    "failed-N.json": "failure_bytes",
    "NAME.py": "source_bytes",
}
"""The limit of each kind of file in an archive. There are no other kinds."""

MAX_INTEGER = 2**63
"""What a whole number in a record stays below."""

_BLOCK = 512
_CHUNK = 2**18
_FOLDER = r"[A-Za-z0-9._=-]{1,120}/[A-Za-z0-9._=-]{1,120}"
_PATTERNS = {
    r"failed-[1-9][0-9]{0,5}\.json": "failed-N.json",
    r"cases(?:-[A-Za-z0-9._=-]{1,80})?\.csv": CASES,
    # pytest would run the first two where they lie
    r"(?!conftest\.|test_|__)[A-Za-z_]\w{0,80}\.py": "NAME.py",
}


class Refused(ValueError):
    """Why an archive is not let in.

    Args:
        reason: Why, as the end of a sentence.
        limit: The limit that it exceeds, if it is one.
        needed: What the limit would have to be, where that is known.
    """

    def __init__(self, reason: str, limit: str = "", needed: int | None = None) -> None:
        super().__init__(reason)
        self.limit = limit
        self.needed = needed


@dataclass(frozen=True)
class Member:
    """A file of an archive; its contents can be read once, in their turn.

    Attributes:
        name: Its name in the archive, which is one of those that may be there.
        kind: Which of `LIMITS` it is.
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
        most = limits()
        by_ratio = size * most.archive_ratio
        self._left = min(most.archive_unpacked_bytes, by_ratio)
        self._limit = "archive_ratio" if self._left == by_ratio else "archive_unpacked_bytes"
        self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=most.decoder_bytes)

    def some(self, most: int) -> bytes:
        """At least one byte and at most so many; none at the end."""
        while not self._xz.eof:
            more = self._file.read(_CHUNK) if self._xz.needs_input else b""
            if self._xz.needs_input and not more:
                raise Refused("it ends too early")
            try:
                found = self._xz.decompress(more, max_length=most)
            except lzma.LZMAError as error:
                limit = "decoder_bytes" if "emory" in str(error) else ""
                raise Refused(f"it can't be decompressed: {error}", limit) from error
            self._left -= len(found)
            if self._left < 0:
                raise Refused("it unpacks to far more than its size allows", self._limit)
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
    most = limits()
    if size > most.archive_bytes:
        raise Refused(f"it has {size} bytes, more than {most.archive_bytes}", "archive_bytes", size)
    seen: set[str] = set()
    try:
        with path.open("rb") as file:
            stream = _Stream(file, size)
            while (member := _next(stream)) is not None:
                if member.name in seen:
                    raise Refused(f"{member.name} is in it twice")
                if len(seen) == most.archive_files:
                    raise Refused(f"it has more than {most.archive_files} files", "archive_files")
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
    limit = LIMITS[kind]
    most = int(getattr(limits(), limit))
    if not 0 <= info.size <= most:
        raise Refused(f"{info.name} has {info.size} bytes, more than {most}", limit, info.size)
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
    if plain and last in LIMITS and last not in (MANIFEST, *_PATTERNS.values()):
        return last
    for pattern, kind in _PATTERNS.items():
        if plain and re.fullmatch(pattern, last, re.ASCII):
            return kind
    raise Refused(f"{ascii(name)[:200]} has no place in an archive")
