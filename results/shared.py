"""Stores as users name them: a folder of records, an exported file, or one that covbench ships."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from results.unpack import unpack
from zoo.errors import CovbenchError

_FOLDER = Path(__file__).parent / "stores"
SUFFIX = ".covbench"


def shipped_stores() -> tuple[str, ...]:
    """The stores that covbench ships, by name."""
    return tuple(sorted(path.stem for path in _FOLDER.glob(f"*{SUFFIX}")))


@contextmanager
def opened(store: Path) -> Iterator[Path]:
    """A store as a folder, for as long as it is needed.

    Args:
        store: A folder of records, a file of `covbench export`, or the name of a shipped store.

    Yields:
        The folder; of a file, a temporary one with its contents, checked as by `covbench import`.

    Raises:
        CovbenchError: There is no such store, or the file can't be imported.
    """
    if store.is_dir():
        yield store
        return
    shipped = _FOLDER / f"{store}{SUFFIX}"
    if not store.is_file() and not shipped.is_file():
        names = ", ".join(shipped_stores()) or "none"
        raise CovbenchError(
            f"There is no folder {store}.",
            "Give with --from the folder of a `covbench run`, a file of `covbench export`, or a "
            f"store that covbench ships: {names}.",
        )
    with tempfile.TemporaryDirectory(prefix="covbench-") as folder:
        root = Path(folder) / store.stem
        unpack(store if store.is_file() else shipped, root)
        yield root
