"""Files that are whole or absent: written beside their place, synced, then named."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from zoo.limits import check_nesting

R = TypeVar("R")

_STALE_ATTEMPTS = 3
_STALE_PAUSE = 0.2

_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON writes a half of the pair that stands for a rare character."""

TEMPORARY = ".*.tmp"
"""Names of the files that are being written."""


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says; unlike `json.loads`, it says each thing once, and no NaN.

    Raises:
        ValueError: It is no such JSON, or is nested too deeply.
    """
    try:
        payload = json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    check_nesting(payload)
    if _HALF_OF_A_PAIR.search(text if isinstance(text, str) else text.decode("latin-1")):
        json.dumps(payload, ensure_ascii=False).encode()  # alone, it can't be written again
    return payload


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def file_name(text: str) -> str:
    """A text as a part of a file's name: letters, digits and `._=-` stay."""
    return re.sub(r"[^A-Za-z0-9._=-]+", "-", text).strip("-.")[:80] or "row"


def lasting(act: Callable[[], R]) -> R:
    """What a function gives, tried again where a network file system says that a handle is stale.

    A file that another machine has just replaced is found at the second attempt.

    Raises:
        OSError: It still is at the last attempt, or there is another problem.
    """
    for _ in range(_STALE_ATTEMPTS):
        try:
            return act()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            time.sleep(_STALE_PAUSE)
    return act()


def tail(path: Path, most: int = 4000) -> str:
    """The last bytes of a text file, however long it is."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most))
        return file.read(most).decode(errors="replace")


def read_text(path: Path) -> str:
    """A file's text, UTF-8, also where another machine has just replaced it."""
    return lasting(lambda: path.read_text(encoding="utf-8"))


def look_again(folder: Path) -> None:
    """Have a network file system ask its server what a folder holds now.

    It may answer from memory that a file is not there which another machine has written; opening
    the folder makes it ask.
    """
    with suppress(OSError):
        os.close(os.open(folder, os.O_RDONLY))


def found_below(root: Path, pattern: str) -> list[Path]:
    """The paths below a folder that match, in order, also while other processes change it.

    What a network file system keeps of a deleted file that is still open (`.nfs...`) is no file
    of ours.
    """

    def look() -> list[Path]:
        return sorted(p for p in root.rglob(pattern) if not p.name.startswith(".nfs"))

    for _ in range(_STALE_ATTEMPTS):
        with suppress(FileNotFoundError):  # a folder that was removed meanwhile
            return lasting(look)
    return lasting(look)


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in the target's folder, synced to disk at the end; removed whatever happens."""
    target.parent.mkdir(parents=True, exist_ok=True)
    name = f".{target.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"
    path = target.parent / name
    try:
        with path.open("xb") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Delete what processes of this machine were writing in a folder when they were killed."""
    for path in folder.glob(f".*.{socket.gethostname()}.*.tmp"):
        process = path.name.split(".")[-3]
        if process.isdecimal() and not is_alive(int(process)):
            path.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Whether a process of this machine, by its number, still runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a new name durable; some network file systems can't, and need not."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


def write_atomically(target: Path, write: bytes | str | Callable[[BinaryIO], object]) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half of one.

    Args:
        target: Where the file goes; its folder is made.
        write: The contents, or a function that writes them into an open binary file.
    """
    with _temporary(target) as (path, file):
        _pour(file, write)
        os.replace(path, target)
    _sync_folder(target.parent)


def write_once(target: Path, text: str) -> bool:
    """Write a file unless it is there: of several writers, the first one wins.

    A hard link fails where the name exists, on network file systems too.

    Returns:
        Whether this call wrote it.
    """
    with _temporary(target) as (path, file):
        _pour(file, text)
        try:
            os.link(path, target)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links: the lock of the run must do
            if target.exists():
                return False
            os.replace(path, target)
    _sync_folder(target.parent)
    return True


def _pour(file: BinaryIO, write: bytes | str | Callable[[BinaryIO], object]) -> None:
    if callable(write):
        write(file)
    else:
        file.write(write.encode() if isinstance(write, str) else write)
    _sync(file)
