"""Protocols by their name or from a file, changed with "key=value"."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.protocols.schema import Protocol
from benchmark.settings import SettingsFiles

# `size` alone is the network's input size.
_FILES = SettingsFiles(
    Protocol, __package__, "protocol", "`covbench protocols`", (("size", "input.size"),)
)


def list_protocols() -> list[Protocol]:
    """All shipped protocols, `identical` first, the others by name."""
    names = sorted(_FILES.shipped, key=lambda name: (name != "identical", name))
    return [load_protocol(name) for name in names]


def load_protocol(
    name_or_path: str | Path, overrides: Mapping[str, Any] | Sequence[str] = ()
) -> Protocol:
    """A shipped protocol by its name, or one's own from a file that ends in .toml.

    Args:
        name_or_path: "identical", or "path/to/mine.toml".
        overrides: What to change, as `SettingsFiles.load` takes it; "size=128" is the input size.

    Returns:
        The protocol; its name stays that of the file, see `Protocol.changes`.

    Raises:
        CovbenchError: The protocol or a key is not known, a value is not allowed, or the file
            cannot be read.
    """
    return _FILES.load(name_or_path, overrides)


@functools.cache
def shipped(name: str) -> Protocol | None:
    """The protocol that ships under this name, or None."""
    return load_protocol(name) if name in _FILES.shipped else None
