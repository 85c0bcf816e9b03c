"""Per-image scores of a store's runs as one long table, each file checked against its record."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.files import file_name
from results.record import RunRecord
from results.spec import RunSpec, sha256
from results.store import Damaged, Store
from zoo.errors import CovbenchError
from zoo.limits import read_limited

if TYPE_CHECKING:
    import pandas as pd

CASES = "cases.csv"
"""Per-image scores of what was segmented: of several classes, of all lesions."""
COLUMNS = ("row", "model", "dataset", "protocol", "task", "fold", "seed", "run", "id", "group")
"""What a line is about; the columns of `cases.csv` follow. `run` is the id of the run."""
WORDS = ("id", "group", "source", "status")
"""Columns of `cases.csv` that are no numbers."""


def cases_name(targets: Sequence[str], target: str) -> str:
    """The file of a target's per-image scores.

    Args:
        targets: What was scored, in order.
        target: One of them.
    """
    return CASES if target == targets[0] else f"cases-{file_name(target)}.csv"


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A run whose per-image scores can't be trusted or read, and why.

    Attributes:
        path: Its folder.
        reason: Why.
        spec: What was run; None where the record itself is damaged.
    """

    path: Path
    reason: str
    spec: RunSpec | None = None


@dataclass(frozen=True)
class Cases:
    """Per-image scores.

    Attributes:
        frame: A line for each test image of each run: `COLUMNS`, then those of `cases.csv`;
            NaN where a score is undefined.
        records: The records of these runs.
        left_out: Runs that are not among them.
    """

    frame: pd.DataFrame
    records: tuple[RunRecord, ...]
    left_out: tuple[LeftOut, ...]


def read_cases(
    root: Path,
    wanted: Callable[[RunSpec], bool] = lambda _: True,
    found: Iterable[tuple[Path, RunRecord | Damaged]] | None = None,
    target: str | None = None,
) -> Cases:
    """Read the per-image scores of a store.

    A file is used only where its SHA-256 is the one in its record. A run counts once, however
    often it was copied.

    Args:
        root: The folder of the records.
        wanted: Which runs to read; all by default.
        found: What `Store.found` says of the folder, where that has been read already.
        target: One of several that were scored; the first by default.

    Returns:
        The scores, in the order of the records' paths, and what was left out: damaged records,
        and runs whose file is missing, altered, or not that of the record.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    records: dict[str, RunRecord] = {}
    left_out = []
    for folder, record in Store(root).found() if found is None else found:
        if isinstance(record, Damaged):
            left_out.append(LeftOut(folder, record.reason[:200]))
            continue
        spec = record.spec
        run_id = spec.id
        if run_id in records or not wanted(spec):
            continue
        name = cases_name(list(record.scores), target) if target in record.scores else CASES
        try:
            own = _lines(record, name, read_limited(folder / name, "cases_bytes"))
        except FileNotFoundError:
            left_out.append(LeftOut(folder, f"it has no {name}", spec))
        except (
            OSError,
            ValueError,
            TypeError,
            RecursionError,
            csv.Error,
            CovbenchError,
        ) as error:
            reason = " ".join(str(error).split())[:200]
            left_out.append(LeftOut(folder, reason, spec))
        else:
            records[run_id] = record
            lines += own
    columns = dict.fromkeys((*COLUMNS, *(name for line in lines for name in line)))
    frame = pd.DataFrame(lines, columns=list(columns))
    return Cases(frame, tuple(records.values()), tuple(left_out))


def _lines(record: RunRecord, name: str, content: bytes) -> list[dict[str, Any]]:
    """The lines of one run.

    Raises:
        ValueError: The file is not the one that the record was written with.
    """
    expected = record.files.get(name)
    if expected is None:
        raise ValueError(f"its record names no {name}")
    if sha256(content) != expected:
        raise ValueError(f"{name} doesn't match the SHA-256 in its record")
    found = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    if any(None in line or None in line.values() for line in found):
        raise ValueError(f"a line of {name} has not one field a column")
    spec = record.spec
    shared = {
        "row": spec.row,
        "model": spec.model,
        "dataset": spec.dataset,
        "protocol": spec.protocol,
        "task": spec.task,
        "fold": spec.fold,
        "seed": spec.seed,
        "run": spec.id,
    }
    return [
        {**shared, **{name: _value(name, text) for name, text in line.items()}} for line in found
    ]


def _value(name: str, text: str) -> float | str:
    """A field as it was written: words as they are, numbers to the last digit."""
    if name in WORDS:
        return text
    return float(text) if text else math.nan
