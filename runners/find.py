"""Runs of a store as a user names them: the beginning of an id, a title, a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from results.record import RunRecord
from results.store import Store
from runners.plan import read_plan
from zoo.errors import CovbenchError, unknown


@dataclass(frozen=True)
class Found:
    """A run of a store: its folder and its title."""

    folder: Path
    title: str

    @property
    def id(self) -> str:
        """The first 12 digits of its id, as they stand in its folder's name."""
        return self.folder.name.rpartition("-")[2]


def all_runs(root: Path) -> list[Found]:
    """Every run that a store was asked for or holds files of."""
    titles = {root / folder: title for folder, title in read_plan(root).items()}
    for name in (".lock", "record.json"):
        for path in root.rglob(name):
            titles.setdefault(path.parent, "")
    return [Found(folder, title or _title(folder, root)) for folder, title in titles.items()]


def find_runs(root: Path, words: list[str]) -> list[Found]:
    """The runs that words name.

    Args:
        root: The store.
        words: Each the beginning of an id (4 digits at least), a folder, a title, or a part of
            titles.

    Raises:
        CovbenchError: A word names no run.
    """
    runs = all_runs(root)
    chosen: dict[Path, Found] = {}
    for word in words:
        named = _named(word, runs, root)
        if not named:
            raise unknown("run", word, [run.title for run in runs], f"covbench status --out {root}")
        chosen.update({run.folder: run for run in named})
    return list(chosen.values())


def find_run(root: Path, word: str) -> Found:
    """The one run that a word names.

    Raises:
        CovbenchError: It names none, or several.
    """
    found = find_runs(root, [word])
    if len(found) > 1:
        raise CovbenchError(
            f"{word!r} names {len(found)} runs.",
            "Name one: " + ", ".join(f"{run.id} ({run.title})" for run in found[:4]),
        )
    return found[0]


def _named(word: str, runs: list[Found], root: Path) -> list[Found]:
    path = Path(word)
    for exact in (
        [run for run in runs if run.title == word],
        [run for run in runs if run.folder in (root / path, path)],
        [run for run in runs if len(word) >= 4 and run.id.startswith(word.lower()[:12])],
    ):
        if exact:
            return exact
    return [run for run in runs if word in run.title]


def _title(folder: Path, root: Path) -> str:
    """The title of a run that no plan names: of its record, or its folder's name."""
    for found in Store(folder).records():
        if isinstance(found, RunRecord):
            return found.spec.title
    return str(folder.relative_to(root))
