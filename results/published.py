"""The tables of the two papers, digit for digit as printed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

from zoo.errors import CovbenchError, unknown
from zoo.limits import read_limited

_FOLDER = Path(__file__).parent / "published"
_MINISEG = "MiniSeg, arXiv 2004.09750v1"
_CHSNET = "CHS-Net, arXiv 2012.07079"
_UNITS = {"K": 1_000, "M": 1_000_000}


@dataclass(frozen=True)
class PublishedTable:
    """One table of a paper.

    Attributes:
        name: Its name here, such as `miniseg-table3`; cards name its rows `name/method`.
        source: The paper and the table's number in it.
        rows: Its rows, each a mapping of column to the cell as it is printed.
        scores: The column of a score, and the key of the measured one that stands for it.
        percent: Whether its scores are percentages; else fractions of one.
        dataset: The dataset here that it was measured on; empty where it isn't one of ours.
        protocols: The protocols that repeat what the paper or its authors' code did.
        split: How the paper split its slices, in words; none of the papers kept patients whole.
        train_share: Share of the slices that it trained on; None where it says two things.
        size: Side in pixels of the masks that it scored.
        runs: Trainings behind each of its numbers.
        million: What a parameter count is divided by where it is printed in M.
        exceptions: Methods whose count is divided by another number.
    """

    name: str
    source: str
    rows: tuple[Mapping[str, str], ...]
    scores: Mapping[str, str] = field(default_factory=dict)
    percent: bool = False
    dataset: str = ""
    protocols: tuple[str, ...] = ()
    split: str = ""
    train_share: float | None = None
    size: int = 512
    runs: int = 1
    million: int = _UNITS["M"]
    exceptions: Mapping[str, int] = field(default_factory=dict)

    def method_rows(self, method: str) -> list[Mapping[str, str]]:
        """The rows of one method, in their order; none where the table lacks it."""
        return [row for row in self.rows if method_of(row) == method]

    def network_rows(self, network: str) -> list[Mapping[str, str]]:
        """The rows that a network stands for when it segments the infection directly."""
        return [
            row
            for row in self.rows
            if row.get("network") == network and row.get("segmentation", _DIRECT) == _DIRECT
        ]

    def print_params(self, method: str, count: int, printed: str) -> str:
        """A parameter count as this table would print it.

        Args:
            method: The method; a table may count one differently.
            count: Number of parameters.
            printed: The cell to be compared with, which gives unit and digits, such as `33.72M`.

        Returns:
            The count in the same unit with as many decimals.

        Raises:
            ValueError: The cell does not end in K or M.
        """
        number, unit = Decimal(printed[:-1]), printed[-1]
        if unit not in _UNITS:
            raise ValueError(f"{printed!r} ends neither in K nor in M")
        divisor = _UNITS["K"] if unit == "K" else self.exceptions.get(method, self.million)
        return f"{(Decimal(count) / divisor).quantize(number, ROUND_HALF_UP)}{unit}"


def half_unit(printed: str) -> float:
    """Half a unit of the last printed digit, which is how far rounding may have moved a number."""
    exponent = Decimal(printed).as_tuple().exponent
    return 0.5 * 10.0 ** int(exponent)


_DIRECT = "infection (direct)"
_MINISEG_SCORES = {
    "miou_percent": "miou_pooled",
    "sensitivity_percent": "sensitivity_slice",
    "specificity_percent": "specificity_slice",
    "dice_percent": "dice_slice",
    "hausdorff_px": "hausdorff_slice_px",
}
_CHSNET_SCORES = {
    name: f"{'sensitivity' if name == 'recall' else name}_slice"
    for name in ("accuracy", "precision", "specificity", "recall", "dice", "jaccard")
}
_COUNTS = {"miniseg": 3, "chsnet": 5}
"""Tables of each paper."""


def method_of(row: Mapping[str, str]) -> str:
    """What a row is called: its method, model or mode; its network in tables that print none."""
    names = ("method", "model", "mode", "network")
    return next((row[name] for name in names if name in row), "")


def published_names() -> tuple[str, ...]:
    """The names of all tables."""
    return tuple(
        f"{paper}-table{number}"
        for paper, count in _COUNTS.items()
        for number in range(1, count + 1)
    )


def read_rows(path: Path) -> tuple[Mapping[str, str], ...]:
    """The rows of a printed table, each a mapping of column to cell.

    Raises:
        CovbenchError: The file is missing, or no table with a name for every cell.
    """
    try:
        text = read_limited(path, "table_bytes").decode()
        head, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        if len(set(head)) < len(head) or any(len(line) != len(head) for line in lines):
            raise ValueError("a line has not one cell a column, or two columns have one name")
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CovbenchError(
            f"The printed table {path} can't be read: {reason}.",
            "It comes with covbench: install it again.",
        ) from error
    return tuple(dict(zip(head, line, strict=True)) for line in lines)


@cache
def published_table(name: str) -> PublishedTable:
    """One published table.

    Args:
        name: `miniseg-table1` to `miniseg-table3`, `chsnet-table1` to `chsnet-table5`.

    Returns:
        The table. In Table III of MiniSeg a count in M is the number of parameters divided by
        1,024,000, and by 1,000,000 in the row MobileNetv3 alone: the one rule that gives all its
        printed digits.

    Raises:
        CovbenchError: There is no such table.
    """
    if name not in published_names():
        raise unknown("published table", name, published_names(), ", ".join(published_names()))
    paper, _, number = name.partition("-table")
    rows = read_rows(_FOLDER / f"{paper}_table{number}.csv")
    if paper == "miniseg":
        return PublishedTable(
            name,
            f"{_MINISEG}, Table {'I' * int(number)}",
            rows,
            _MINISEG_SCORES,
            percent=True,
            dataset="ct100",
            protocols=("miniseg-paper", "miniseg-code"),
            split="one random draw of slices, 60 % to train on",
            train_share=0.6,
            million=1_024_000,
            exceptions={"MobileNetv3": _UNITS["M"]},
        )
    scores = _CHSNET_SCORES if number != "1" else {}
    return PublishedTable(
        name,
        f"{_CHSNET}, Table {number}",
        rows,
        scores,
        protocols=("chsnet-paper",),
        split="slices drawn at random, in 70 % and 30 % or in five folds: the paper says both",
        size=256,
        runs=5,
    )
