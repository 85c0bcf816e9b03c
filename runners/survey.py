"""What a store holds: the state of every run in it, from its files alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from results.files import found_below
from results.index import Known, known_records
from results.locks import LOCK, is_held
from results.record import Failure
from results.store import Damaged, Store
from runners.cancelling import is_cancelled
from runners.plan import read_plan
from runners.progress import read_progress
from zoo.errors import first_line, one_line


@dataclass(frozen=True)
class Entry:
    """One run: its title, its state, what there is to say of it, its folder, and its duration."""

    title: str
    state: str
    detail: str
    path: str
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("title", "detail"):  # which may come from anyone's files
            object.__setattr__(self, name, one_line(getattr(self, name)))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def survey(root: Path) -> list[Entry]:
    """The state of every run in a store.

    Args:
        root: The store's folder.

    Returns:
        One entry a run: done, failed (also where a damaged record lies beside the failure),
        running, cancelled (by `covbench cancel`), interrupted (it continues when its command is
        given again), damaged (it is run again) or missing (it was asked for, and never begun).
    """
    store = Store(root)
    titles = {root / folder: title for folder, title in read_plan(root).items()}
    records = known_records(root)
    recorded = {folder for folder, found in records.items() if isinstance(found, Known)}
    failures = {store.folder(each.spec): each for each in store.all_failures(recorded)}
    entries = []
    for folder, found in records.items():
        if isinstance(found, Known):
            entries.append(_done(found, folder))
        elif folder not in failures:
            entries.append(_damaged(found, titles))
    for folder, failure in failures.items():
        entries.append(_unfinished(folder, titles) if is_held(folder) else _failed(failure, folder))
    for lock in found_below(root, LOCK):
        folder = lock.parent
        if folder not in failures and folder not in records:
            entries.append(_unfinished(folder, titles))
    begun = {Path(entry.path) for entry in entries}
    for folder, title in titles.items():
        if folder in begun:
            continue
        if is_cancelled(folder) or not folder.is_dir():
            state = "cancelled" if is_cancelled(folder) else "missing"
            entries.append(Entry(title, state, "", str(folder)))
    return entries


def _done(known: Known, folder: Path) -> Entry:
    detail = f"Dice {known.dice:.4f}" if known.dice is not None else "Dice undefined"
    return Entry(known.title, "done", detail, str(folder), known.seconds)


def _damaged(found: Damaged, titles: Mapping[Path, str]) -> Entry:
    folder = found.path.parent
    if is_held(folder):
        return _unfinished(folder, titles)
    return Entry(_name(folder, titles), "damaged", found.reason, str(found.path))


def _failed(failure: Failure, folder: Path) -> Entry:
    reason = first_line(failure.exception, 160)
    detail = f"{failure.status}: {reason} ({folder / 'log.txt'})"
    return Entry(failure.spec.title, "failed", detail, str(folder))


def _unfinished(folder: Path, titles: Mapping[Path, str]) -> Entry:
    state = "running" if is_held(folder) else _stopped(folder)
    progress = read_progress(folder)
    detail = ""
    if progress is not None:
        detail = progress.phase
        if progress.epochs:
            detail += f" epoch {progress.epoch} of {progress.epochs},"
        if progress.total:
            detail += f" step {progress.done} of {progress.total}"
        if progress.epochs and progress.loss is not None:
            detail += f", loss {progress.loss:.3f}"
    return Entry(_name(folder, titles), state, detail, str(folder))


def _stopped(folder: Path) -> str:
    return "cancelled" if is_cancelled(folder) else "interrupted"


def _name(folder: Path, titles: Mapping[Path, str]) -> str:
    """The run's title where a plan gives it, else what its folder is called."""
    return titles.get(folder, f"{folder.parent.name}/{folder.name}")
