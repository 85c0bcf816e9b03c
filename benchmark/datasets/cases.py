"""One slice of a dataset as everything above sees it, and the table that lists them all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COLUMNS = ("id", "group", "height", "width", "row_mm", "column_mm", "foreground")
SOURCE = "source"
"""A last column, where a dataset was made of several collections."""


@dataclass(frozen=True)
class Case:
    """One slice: its id (unique in its dataset), its group and its size in pixels.

    A group holds what must not be split between training and test: a patient, a scan, a study.
    `spacing_mm` is the distance between rows and between columns, None where it isn't known.
    `source` names the collection that it comes from, where the dataset was made of several.
    """

    id: str
    group: str
    height: int
    width: int
    spacing_mm: tuple[float, float] | None
    source: str = ""

    def spacing_at(self, size: int | str) -> tuple[float, float] | None:
        """Distance between rows and columns in mm where the slice is stretched to a square.

        Args:
            size: The square's side in pixels; a word ("native") keeps the slice's own size.
        """
        if self.spacing_mm is None or isinstance(size, str):
            return self.spacing_mm
        row, column = self.spacing_mm
        return row * self.height / size, column * self.width / size


def write_cases(cases: Sequence[Case], foreground: Iterable[int]) -> bytes:
    """The table of a dataset's slices as CSV, UTF-8: the columns are `COLUMNS`, and the sources.

    `foreground` counts each slice's pixels that are neither background nor ignored.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    sourced = any(case.source for case in cases)
    writer.writerow((*COLUMNS, SOURCE) if sourced else COLUMNS)
    for case, count in zip(cases, foreground, strict=True):
        spacing = case.spacing_mm or ("", "")
        source = (case.source,) if sourced else ()
        writer.writerow((case.id, case.group, case.height, case.width, *spacing, count, *source))
    return text.getvalue().encode()


def read_cases(table: bytes) -> tuple[tuple[Case, ...], tuple[int, ...]]:
    """What `write_cases` wrote: the slices and their foreground counts.

    Raises:
        ValueError: It isn't such a table.
    """
    rows = csv.reader(io.StringIO(table.decode(), newline=""))
    if tuple(next(rows, ())) not in (COLUMNS, (*COLUMNS, SOURCE)):
        raise ValueError("the first line does not name the columns of a table of cases")
    cases, counts = [], []
    for name, group, height, width, row_mm, column_mm, count, *source in rows:
        spacing = (float(row_mm), float(column_mm)) if row_mm else None
        cases.append(Case(name, group, int(height), int(width), spacing, *source))
        counts.append(int(count))
        if min(cases[-1].height, cases[-1].width) < 1:
            raise ValueError("a slice has no pixels")
    if not cases:
        raise ValueError("there are no slices")
    return tuple(cases), tuple(counts)
