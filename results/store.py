"""The store: a folder of runs. A run is done when its valid record lies there, and only then."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from results.files import found_below, lasting, look_again, write_once
from results.record import Failure, RunRecord
from results.spec import RunSpec
from zoo.errors import CovbenchError
from zoo.limits import read_limited

RECORD = "record.json"


@dataclass(frozen=True)
class Damaged:
    """A file of the store that can't be read, and why."""

    path: Path
    reason: str


class Store:
    """Records, failures and files of runs below one folder.

    Args:
        root: The folder, `runs/` by default; it need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, spec: RunSpec) -> Path:
        """Where the files of a run lie."""
        return self.root / spec.folder

    def read(self, spec: RunSpec) -> RunRecord | None:
        """The record of a run, or None where it has none or the file is damaged."""
        folder = self.folder(spec)
        if not (folder / RECORD).exists():
            look_again(folder)
        found = read_record(folder / RECORD)
        return found if isinstance(found, RunRecord) and found.spec.id == spec.id else None

    def write(self, record: RunRecord) -> bool:
        """Keep a record, unless the run has one: the first writer wins.

        A damaged file in its place is moved aside first, never deleted.

        Returns:
            Whether this record was kept.
        """
        path = self.folder(record.spec) / RECORD
        if path.exists() and not isinstance(read_record(path), RunRecord):
            _set_aside(path, "damaged")
        return write_once(path, record.to_text())

    def set_aside(self, spec: RunSpec) -> None:
        """Rename a run's record and failures by the present time, so that it is run again."""
        folder = self.folder(spec)
        for path in (folder / RECORD, *folder.glob("failed-*.json")):
            if path.exists():
                _set_aside(path, "old")

    def failures(self, spec: RunSpec) -> list[Failure]:
        """The failed attempts of a run, oldest first."""
        return _failures(self.folder(spec))

    def write_failure(self, failure: Failure) -> None:
        """Keep the account of a failed attempt."""
        path = self.folder(failure.spec) / f"failed-{failure.attempt}.json"
        write_once(path, failure.model_dump_json(indent=1))

    def records(self) -> Iterator[RunRecord | Damaged]:
        """All records of the store in the order of their paths; damaged ones as `Damaged`."""
        for _, found in self.found():
            yield found

    def found(self) -> Iterator[tuple[Path, RunRecord | Damaged]]:
        """The same, each with its run's folder."""
        for path in found_below(self.root, RECORD):
            yield path.parent, read_record(path)

    def all_failures(self, recorded: Collection[Path] | None = None) -> list[Failure]:
        """The last failure of every run that has no record.

        Args:
            recorded: Folders that are known to hold a valid record; None to look into each.
        """
        folders = sorted({path.parent for path in found_below(self.root, "failed-*.json")})
        unfinished = [
            path
            for path in folders
            if not (
                isinstance(read_record(path / RECORD), RunRecord)
                if recorded is None
                else path in recorded
            )
        ]
        return [attempts[-1] for path in unfinished if (attempts := _failures(path))]


def load_records(path: str | Path) -> list[RunRecord]:
    """All valid records below a folder, for notebooks.

    Args:
        path: A folder that `covbench run` wrote to.

    Returns:
        The records, in the order of their paths; damaged ones are left out.

    Raises:
        CovbenchError: There is no such folder.
    """
    root = Path(path)
    if not root.is_dir():
        raise CovbenchError(f"There is no folder {root}.", "Give the --out folder of a run.")
    return [found for found in Store(root).records() if isinstance(found, RunRecord)]


def read_record(path: Path) -> RunRecord | Damaged:
    """The record in a file, or why it is none."""
    try:
        text = lasting(lambda: read_limited(path, "record_bytes")).decode()
        return RunRecord.from_text(text)
    except (OSError, ValueError, RecursionError, CovbenchError) as error:
        most = 1000 if isinstance(error, CovbenchError) else 200
        return Damaged(path, " ".join(str(error).split())[:most])


def _read_failure(path: Path) -> Failure:
    text = lasting(lambda: read_limited(path, "failure_bytes"))
    return Failure.model_validate_json(text)


def _failures(folder: Path) -> list[Failure]:
    """The readable accounts of failed attempts in a run's folder, oldest first."""
    found = []
    for path in folder.glob("failed-*.json"):
        with suppress(ValueError, OSError, CovbenchError):
            found.append(_read_failure(path))
    return sorted(found, key=lambda failure: failure.attempt)


def _set_aside(path: Path, why: str) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    target = path.with_name(f"{path.name}.{why}-{stamp}")
    while target.exists():  # the clock was set back: what lies there stays
        target = target.with_name(f"{target.name}-again")
    path.rename(target)
