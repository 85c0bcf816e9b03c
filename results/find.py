"""Runs of a store by what a user calls them: an id, a folder or a title."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.files import sha256_file
from results.record import RunRecord
from results.store import RECORD, Store
from results.untrusted import WEIGHTS
from zoo.errors import CovbenchError, unknown
from zoo.limits import read_limited

_SHORTEST = 6
"""So many digits of an id must be given at least."""


@dataclass(frozen=True)
class Named:
    """A run as users call it.

    Attributes:
        id: Its id, or the digits of it that are known.
        title: Its title.
        folder: Its folder.
        note: What tells it from another of the same title.
    """

    id: str
    title: str
    folder: Path
    note: str = ""


def meant(word: str, runs: Iterable[Named]) -> list[Named]:
    """The runs that a word names: by title, by folder, or else by the beginning of the id."""
    known = list(runs)
    short = word.lower()
    is_id = re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},64}}", short) is not None
    for found in (
        [run for run in known if run.title == word],
        [run for run in known if run.folder == Path(word)],
        [run for run in known if is_id and run.id.startswith(short[: len(run.id)])],
    ):
        if found:
            return found
    return []


def only(word: str, found: Sequence[Named]) -> Named:
    """The one run among those that a word names.

    Raises:
        CovbenchError: There are several.
    """
    if len(found) > 1:
        listed = ", ".join(f"{run.id[:12]} ({run.note or run.title})" for run in found[:10])
        raise CovbenchError(f"{word!r} names {len(found)} runs.", f"Name one by its id: {listed}.")
    return found[0]


@dataclass(frozen=True)
class Found:
    """A finished run and where it lies.

    Attributes:
        record: Its record.
        folder: The folder of its files.
        store: The store that the folder is part of.
    """

    record: RunRecord
    folder: Path
    store: Path

    @property
    def weights(self) -> Path:
        """Its trained weights, checked against the record.

        Raises:
            CovbenchError: The run kept none, or the file is missing or not that of the record.
        """
        path, expected = self.folder / WEIGHTS, self.record.files.get(WEIGHTS)
        if expected is None and self.record.spec.inner is not None:
            raise CovbenchError(
                f"{self.record.spec.title} kept no weights: it only served a cascade.",
                "Name the lung run of the whole fold, whose title has no part.",
            )
        if expected is None:
            raise CovbenchError(
                f"{self.record.spec.title} kept no weights.",
                "Run it again with --set keep=both --force, or choose another run.",
            )
        if not path.is_file():
            raise CovbenchError(
                f"There is no {path}, which the run's record names.",
                "Put the file back, or run it again: covbench run --force.",
            )
        if sha256_file(path) != expected:
            raise CovbenchError(
                f"{path} doesn't match the SHA-256 in its record.",
                "Put the original file back, or run it again: covbench run --force.",
            )
        return path


def find_run(store: Path, word: str) -> Found:
    """The one finished run that a word means.

    Args:
        store: The folder of the records.
        word: The id or at least six digits of its beginning, the run's folder, or its title.

    Raises:
        CovbenchError: There is no such run, or there are several.
    """
    folder = Path(word)
    if (folder / RECORD).is_file():
        return _in(folder)
    if not store.is_dir():
        raise CovbenchError(
            f"There is no folder of runs {store}.",
            "Name it: --from FOLDER, as `covbench run` --out.",
        )
    records = {each.spec.id: each for each in Store(store).records() if isinstance(each, RunRecord)}
    runs = [
        Named(run, each.spec.title, Store(store).folder(each.spec), each.spec.protocol)
        for run, each in records.items()
    ]
    if not runs:
        raise CovbenchError(
            f"There are no finished runs below {store}.", "Name their folder: --from FOLDER."
        )
    found = meant(word, runs)
    if not found:
        titles = "; ".join(f"{run.id[:12]} {run.title}" for run in runs)
        more = " ..." if len(titles) > 600 else ""
        known = [name for run in runs for name in (run.title, run.id[:12])]
        raise unknown("run", word, known, titles[:600] + more)
    one = only(word, found)
    return Found(records[one.id], one.folder, store)


def _in(folder: Path) -> Found:
    """The run of a folder."""
    try:
        record = RunRecord.from_text(read_limited(folder / RECORD, "record_bytes").decode())
    except (OSError, ValueError, RecursionError) as error:
        raise CovbenchError(
            f"{folder / RECORD} can't be read: {' '.join(str(error).split())[:200]}.",
            "Name another run, or run it again.",
        ) from error
    return Found(record, folder, folder.resolve().parent.parent)
