"""One process at a time has a run: a lock on a file of its folder, which ends with its holder.

Where the file system has no locks (some network file systems say so), a file made exclusively
stands for one. Its holder touches it again and again; when that stops, or when its process is gone
from this machine, it is taken over. Should two hold one run after all, the first record is kept.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from results.files import is_alive
from zoo.errors import CovbenchError
from zoo.limits import read_limited

LOCK = ".lock"
HOLDER = ".holder"
"""The file that stands for a lock where there are none."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_PROCESS_DIGITS = 9
_BEAT_SECONDS = 20.0
_STALE_SECONDS = 180.0
"""A holder elsewhere that was silent for so long is gone."""


@dataclass
class Lock:
    """A run's folder in the hands of this process.

    Attributes:
        by_file: Whether a file stands for the lock, since the file system has none.
    """

    _file: IO[Any]
    _holder: Path | None = None
    _token: str = ""
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def by_file(self) -> bool:
        """Whether a file stands for the lock, since the file system has none."""
        return self._holder is not None

    @classmethod
    def take(cls, folder: Path) -> Self | None:
        """Take a run's folder.

        Args:
            folder: The folder, which must be there.

        Returns:
            The lock; it is held until `release`, or until this process ends. None where another
            living process has it.

        Raises:
            OSError: The folder can't be written.
        """
        file = (folder / LOCK).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                file.close()
                raise
            token = _make_holder(folder / HOLDER)
            if token is None:
                file.close()
                return None
            lock = cls(file, folder / HOLDER, token)
            threading.Thread(target=lock._beat, daemon=True).start()
            return lock
        return cls(file)

    def release(self) -> None:
        """Let go of the folder."""
        self._over.set()
        if self._holder is not None and _read(self._holder) == self._token:
            self._holder.unlink(missing_ok=True)
        self._file.close()

    def _beat(self) -> None:
        assert self._holder is not None
        while not self._over.wait(_BEAT_SECONDS):
            with suppress(OSError):
                if _read(self._holder) == self._token:
                    os.utime(self._holder)


def is_held(folder: Path) -> bool:
    """Whether a living process holds a run's folder."""
    try:
        with (folder / LOCK).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        holder = folder / HOLDER
        return error.errno in _NO_LOCKS and holder.exists() and not _is_stale(holder)
    return False


def _make_holder(path: Path) -> str | None:
    """Make the file that stands for a lock; None where another living process has it."""
    token = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
    for _ in range(2):
        with suppress(FileExistsError):
            with path.open("x") as file:
                file.write(token)
            return token
        seen = _read(path)
        if not _is_stale(path):
            return None
        # Of several that find it stale one alone can rename it.
        aside = path.with_name(f"{HOLDER}.{uuid.uuid4().hex}.tmp")
        try:
            path.rename(aside)
        except FileNotFoundError:
            continue
        taken_meanwhile = _read(aside) != seen
        if taken_meanwhile:
            with suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)
        if taken_meanwhile:
            return None
    return None


def _is_stale(path: Path) -> bool:
    """Whether the holder is gone: its process, where it was one of this machine, or its beat."""
    host, _, rest = _read(path).partition(" ")
    process = rest.partition(" ")[0]
    if host == socket.gethostname() and process.isdecimal():
        return len(process) > _PROCESS_DIGITS or not is_alive(int(process))
    probe = path.with_name(f"{HOLDER}.{uuid.uuid4().hex}.tmp")
    try:  # by the file system's own clock: those of two machines may differ
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime > _STALE_SECONDS
    except OSError:
        return False
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _read(path: Path) -> str:
    try:
        return read_limited(path, "text_characters").decode(errors="replace")
    except (OSError, CovbenchError):
        return ""
