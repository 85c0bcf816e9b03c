"""Progress of a run as a small file in its folder, so that any engine's driver can read it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from zoo.errors import CovbenchError, one_line
from zoo.limits import read_limited

PROGRESS = "progress.json"

LOG = "log.txt"
"""Where a run's output goes, beside it."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: its phase, steps done and in all, the mean loss of this epoch, epochs."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    phase: str
    done: int = 0
    total: int = 0
    loss: float | None = None
    epoch: int = 0
    epochs: int = 0


_PROGRESS = TypeAdapter(Progress)


class ProgressWriter:
    """Writes progress at most twice a second; it is a courtesy, so errors are ignored.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / PROGRESS
        self._last = float("-inf")

    def __call__(self, progress: Progress, *, now: bool = False) -> None:
        """Write it, unless something was written within the last half second."""
        if not now and time.monotonic() - self._last < 0.5:
            return
        self._last = time.monotonic()
        temporary = self._path.with_name(f".{PROGRESS}.{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(asdict(progress)))
            temporary.replace(self._path)
        except OSError:
            temporary.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the file, when the run is over."""
        self._path.unlink(missing_ok=True)


def read_progress(folder: Path) -> Progress | None:
    """The last written progress of a run, or None where there is none that can be read."""
    try:
        found = _PROGRESS.validate_json(read_limited(folder / PROGRESS, "text_characters"))
    except (OSError, ValueError, CovbenchError):
        return None
    return replace(found, phase=one_line(found.phase))
