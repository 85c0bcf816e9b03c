"""One run of a store, by what a user calls it: its id, its folder or its title."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from results.files import sha256_file
from results.record import RunRecord
from results.store import RECORD, Store
from zoo.errors import CovbenchError, unknown

WEIGHTS = "weights.safetensors"
_SHORTEST = 6


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
    short = word.lower()
    is_id = re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},64}}", short) is not None
    found = [
        each
        for each in records.values()
        if (is_id and each.spec.id.startswith(short)) or each.spec.title == word
    ]
    if not found:
        known = [name for each in records.values() for name in (each.spec.title, each.spec.id[:12])]
        if not known:
            raise CovbenchError(
                f"There are no finished runs below {store}.", "Name their folder: --from FOLDER."
            )
        titles = "; ".join(f"{each.spec.id[:12]} {each.spec.title}" for each in records.values())
        more = " ..." if len(titles) > 600 else ""
        raise unknown("run", word, known, titles[:600] + more)
    if len(found) > 1:
        listed = ", ".join(f"{each.spec.id[:12]} ({each.spec.protocol})" for each in found[:10])
        raise CovbenchError(
            f"{len(found)} runs are called {word!r}.", f"Name one by its id: {listed}."
        )
    return Found(found[0], Store(store).folder(found[0].spec), store)


def _in(folder: Path) -> Found:
    """The run of a folder."""
    try:
        record = RunRecord.from_text((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CovbenchError(
            f"{folder / RECORD} can't be read: {' '.join(str(error).split())[:200]}.",
            "Name another run, or run it again.",
        ) from error
    return Found(record, folder, folder.resolve().parent.parent)
