"""Every run of a store as a user names it, begun or not: for logs and for cancelling."""

from __future__ import annotations

from pathlib import Path

from results.find import Named, meant, only
from results.record import RunRecord
from results.store import Store
from runners.plan import read_plan
from zoo.errors import unknown


def all_runs(root: Path) -> list[Named]:
    """Every run that a store was asked for or holds files of; of ids, what their folders say."""
    titles = {root / folder: title for folder, title in read_plan(root).items()}
    for name in (".lock", "record.json"):
        for path in root.rglob(name):
            titles.setdefault(path.parent, "")
    return [
        Named(folder.name.rpartition("-")[2], title or _title(folder, root), folder)
        for folder, title in titles.items()
    ]


def find_runs(root: Path, words: list[str]) -> list[Named]:
    """The runs that words name.

    Args:
        root: The store.
        words: Each a title, a folder, six or more digits of an id, or else a part of titles.

    Raises:
        CovbenchError: A word names no run.
    """
    runs = all_runs(root)
    chosen: dict[Path, Named] = {}
    for word in words:
        named = (
            meant(word, runs)
            or meant(str(root / word), runs)
            or [run for run in runs if word in run.title]
        )
        if not named:
            raise unknown("run", word, [run.title for run in runs], f"covbench status --out {root}")
        chosen.update({run.folder: run for run in named})
    return list(chosen.values())


def find_run(root: Path, word: str) -> Named:
    """The one run that a word names.

    Raises:
        CovbenchError: It names none, or several.
    """
    return only(word, find_runs(root, [word]))


def _title(folder: Path, root: Path) -> str:
    """The title of a run that no plan names: of its record, or its folder's name."""
    for found in Store(folder).records():
        if isinstance(found, RunRecord):
            return found.spec.title
    return str(folder.relative_to(root))
