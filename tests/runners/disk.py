"""A small file system of its own, which a test can fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Disk:
    """A small file system.

    Args:
        path: Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"
        self._ballast = path / "ballast"

    def leave(self, free: int) -> None:
        """Fill it up to so many bytes."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while self.free > free:
                file.write(bytes(min(4096, self.free - free)))

    def clear(self) -> None:
        """Free what was filled."""
        self._ballast.unlink()

    @property
    def free(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def records(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.runs.rglob("record.json")}


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Disk | None]:
    """A disk while a block runs; None where this user may not mount one.

    Args:
        path: Where to mount it; the folder is made.
        size: As `mount` takes it: `1m`.
    """
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
