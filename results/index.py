"""What a store's records say in short, kept in one file so that thousands are not read again.

The records alone are the truth: the index is made from them, an entry counts as long as its
record has the same size and time of change, and where the file is missing, damaged or can't be
written, records are read. Reports always read the records themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from results.files import parse_json, write_atomically
from results.record import RunRecord
from results.spec import canonical_json, sha256
from results.store import RECORD, Damaged, read_record
from zoo.errors import CovbenchError
from zoo.limits import read_limited

INDEX = Path(".covbench") / "index.json"

_WORTH_KEEPING = 100
"""So many records must have been read for the index to be written: a few are read in no time."""


@dataclass(frozen=True)
class Known:
    """A valid record in short.

    Attributes:
        id: The run's id.
        title: The run in a few words.
        dice: Its mean Dice over slices, of the first target; None where that is undefined.
        seconds: How long training and scoring took.
    """

    id: str
    title: str
    dice: float | None
    seconds: float


Entry = tuple[int, int, str, str, float | None, float]
"""Size and time of change of a record's file, then the fields of `Known`."""


def known_records(root: Path) -> dict[Path, Known | Damaged]:
    """Every record below a store's folder, by the run's folder, in the order of their paths.

    Args:
        root: The store's folder.
    """
    kept = _load(root)
    found: dict[Path, Known | Damaged] = {}
    entries: dict[str, Entry] = {}
    read = 0
    for path, size, changed in sorted(_files(root)):
        name = str(path.relative_to(root))
        entry = kept.get(name)
        if entry is not None and entry[:2] == (size, changed):
            known: Known | Damaged = Known(*entry[2:])
            entries[name] = entry
        else:
            read += 1
            known = _read(path)
            if isinstance(known, Known):
                entries[name] = (size, changed, known.id, known.title, known.dice, known.seconds)
        found[path.parent] = known
    if read >= _WORTH_KEEPING:
        _save(root, entries)
    return found


def _read(path: Path) -> Known | Damaged:
    record = read_record(path)
    return summary(record) if isinstance(record, RunRecord) else record


def summary(record: RunRecord) -> Known:
    """A record in short."""
    scores = next(iter(record.scores.values()), {})
    dice = scores["dice_slice"].value if "dice_slice" in scores else None
    seconds = record.evaluation_seconds + (record.training.seconds if record.training else 0.0)
    return Known(record.spec.id, record.spec.title, dice, seconds)


def _files(root: Path) -> Iterator[tuple[Path, int, int]]:
    """Paths, sizes and times of change of all records."""
    for folder, _, names in os.walk(root):
        if RECORD in names:
            path = Path(folder) / RECORD
            with suppress(OSError):
                stat = path.stat()
                yield path, stat.st_size, stat.st_mtime_ns


_ENTRIES: TypeAdapter[dict[str, Entry]] = TypeAdapter(dict[str, Entry])


def _load(root: Path) -> dict[str, Entry]:
    """The entries; none where the file is missing, damaged, or not what covbench writes."""
    try:
        index = parse_json(read_limited(root / INDEX, "manifest_bytes"))
        entries = _ENTRIES.validate_python(index["records"])
        if index["sha256"] != sha256(canonical_json(index["records"])):
            return {}
    except (OSError, ValueError, KeyError, TypeError, CovbenchError):
        return {}
    return entries


def _save(root: Path, entries: dict[str, Entry]) -> None:
    index = {"sha256": sha256(canonical_json(entries)), "records": entries}
    with suppress(OSError):  # a store that can't be written is read all the same
        write_atomically(root / INDEX, json.dumps(index))
