"""The 256-pixel PNG form of the 20 scans: `ct/`, `covid/`, `lungs/` and `index.csv`.

A table says which scan and patient each slice belongs to. The grey values were enhanced (CLAHE)
by whoever made the files, so they are no Hounsfield units and no spacing is known. The scans from
Radiopaedia were saved upside down; they are turned back unless told otherwise.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.datasets.readers import read_image, read_mask
from benchmark.datasets.recipes import Slice
from zoo.errors import CovbenchError
from zoo.limits import read_limited

FOLDERS = ("ct", "covid", "lungs")
TABLE = "index.csv"
UPSIDE_DOWN = "radiopaedia"
"""How the names of the scans begin that this form stores with the back at the top."""

_BINARY = {0: 0, 1: 1, 255: 1}
_COLUMNS = ("png", "case", "slice_index", "patient_group")


@dataclass(frozen=True)
class Row:
    """A slice of the table: its file's name, its scan, its number there and its patient."""

    png: str
    case: str
    number: int
    group: str

    @property
    def id(self) -> str:
        """The slice's id, the same as that of the volume's slice."""
        return f"{self.case}-{self.number:04d}"


def is_png_form(root: Path) -> bool:
    """Whether a folder holds this form."""
    return (root / TABLE).is_file() and (root / FOLDERS[0]).is_dir()


def find_rows(root: Path) -> tuple[list[Row], int]:
    """The slices that are there, by scan and number, and how many the table names in all.

    A row is used where its three files are there. One that the column `in_pack` marks with 1 must
    have them.

    Raises:
        CovbenchError: The table can't be read, or files are missing.
    """
    rows: dict[str, Row] = {}
    named = 0
    for line, entry in enumerate(_entries(root / TABLE), start=2):
        row = _row(root / TABLE, line, entry)
        named += 1
        lacking = [kind for kind in FOLDERS if not (root / kind / row.png).is_file()]
        if lacking and (entry.get("in_pack") == "1" or len(lacking) < len(FOLDERS)):
            raise CovbenchError(
                f"{root / lacking[0] / row.png} is missing, and {TABLE} names it.",
                "Unpack the download again: ct/, covid/ and lungs/ hold the same names.",
            )
        if lacking:
            continue
        if row.id in rows:
            raise CovbenchError(
                f"{root / TABLE} names slice {row.number} of {row.case} twice.",
                "Keep one line per slice.",
            )
        rows[row.id] = row
    if not rows:
        raise CovbenchError(
            f"None of the slices that {root / TABLE} names is there.",
            "Unpack the download again: ct/, covid/ and lungs/ beside the table.",
        )
    return [rows[key] for key in sorted(rows)], named


def decode_png(root: Path, rows: list[Row], upright: bool) -> tuple[Iterator[list[Slice]], str]:
    """The slices, scan by scan, and what to say of their directions."""
    turned = upright and any(row.case.startswith(UPSIDE_DOWN) for row in rows)
    said = (
        "The Radiopaedia scans of this form are stored upside down and were turned back "
        "(upright=false keeps them as they are)."
        if turned
        else ""
    )
    return _scans(root, rows, upright), said


def _scans(root: Path, rows: list[Row], upright: bool) -> Iterator[list[Slice]]:
    for case in dict.fromkeys(row.case for row in rows):
        yield [_slice(root, row, upright) for row in rows if row.case == case]


def _slice(root: Path, row: Row, upright: bool) -> Slice:
    image = read_image(root / "ct" / row.png)
    planes = [image] + [read_mask(root / kind / row.png, _BINARY) for kind in FOLDERS[1:]]
    if len({plane.shape for plane in planes}) > 1:
        raise CovbenchError(
            f"{root / 'ct' / row.png} and its masks differ in size.", "Download them again."
        )
    if upright and row.case.startswith(UPSIDE_DOWN):
        planes = [np.ascontiguousarray(plane[::-1]) for plane in planes]
    grey, mask, lung = planes
    return Slice(row.id, row.group, grey, mask, lung=lung)


def _entries(table: Path) -> list[dict[str, str]]:
    try:
        text = read_limited(table, "table_bytes").decode("utf-8-sig")
        lines = csv.DictReader(text.splitlines())
        entries = list(lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise CovbenchError(f"{table} is no CSV table ({error}).", "Download it again.") from error
    lacking = [column for column in _COLUMNS if column not in (lines.fieldnames or ())]
    if lacking:
        raise CovbenchError(
            f"{table} lacks the column {lacking[0]}.", f"Its columns are {', '.join(_COLUMNS)}."
        )
    return entries


def _row(table: Path, line: int, entry: dict[str, str]) -> Row:
    png, case, number, group = ((entry[column] or "").strip() for column in _COLUMNS)
    plain = png.endswith(".png") and Path(png).name == png
    if not (
        plain and case and group and number.isascii() and number.isdecimal() and len(number) <= 9
    ):
        raise CovbenchError(
            f"Line {line} of {table} does not name a PNG file, a scan, a number and a patient.",
            "Download the table again.",
        )
    return Row(png, case, int(number), group)
