"""One table, whatever it is written as: columns, rows, caption."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import rich.table

Style = Literal["text", "count", "size", "number"]
Mark = Literal["best", "second"]


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: Its name in CSV and JSON, such as `dice_slice`.
        title: Its name for readers, such as `Dice`.
        style: How values are shown: as they are, as a whole number, with K, M, G and four digits,
            or with `digits` decimals.
        unit: Unit that the head names.
        digits: Decimals that are shown.
        scale: Shown is the value times this: 100 where a fraction is shown in percent.
        brief: Whether a terminal, which is narrow, shows it too.
        higher_is_better: Direction of a metric: its best and second best values are marked.
        shows: What stands beside a value: its spread, its interval, or nothing.
        of: Key of the metric that the values are means of, where that is not the column's own key.
        ties: What makes two values equal when the best is marked: their shown digits, or the
            interval of their difference, in which case the cells carry their marks.
    """

    key: str
    title: str
    style: Style = "number"
    unit: str = ""
    digits: int = 2
    scale: float = 1.0
    brief: bool = True
    higher_is_better: bool | None = None
    shows: Literal["spread", "interval", "value"] = "spread"
    ties: Literal["digits", "interval"] = "digits"
    of: str = ""

    @property
    def metric(self) -> str:
        """Key of the metric that the values are means of, if they are."""
        return self.of or self.key

    @property
    def head(self) -> str:
        """Title, arrow towards the better end, unit."""
        arrow = {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]
        return self.title + arrow + (f" ({self.unit})" if self.unit else "")


@dataclass(frozen=True)
class Cell:
    """What stands in a column of a row.

    Attributes:
        value: The value, unrounded; None where there is none.
        spread: Sample standard deviation over runs; None for a single run.
        n: Number of runs behind the value.
        text: Shown instead of the value.
        interval: Both ends of its 95 % interval.
        mark: Its mark, where the column's ties are decided by intervals.
        runs: Ids of the runs behind the value.
    """

    value: float | int | str | None = None
    spread: float | None = None
    n: int | None = None
    text: str | None = None
    interval: tuple[float, float] | None = None
    mark: Mark | None = None
    runs: tuple[str, ...] = ()

    @property
    def number(self) -> float | None:
        """The value where it is a finite number, else None."""
        if isinstance(self.value, int | float) and math.isfinite(self.value):
            return float(self.value)
        return None


@dataclass(frozen=True)
class Row:
    """A row: its label, a cell for each column, and whether it takes part in the ranking.

    Attributes:
        label: Its name, in CSV, JSON and traces too.
        cells: One for each column.
        rank: Its place, or None.
        status: How far its runs are.
        notes: What is special about it, in sentences: footnotes of the table.
        title: What readers see instead of the label; empty: the label.
        compared: Whether its values are compared with those of other rows in a table that shows
            no ranks.
    """

    label: str
    cells: tuple[Cell, ...]
    rank: int | None = None
    status: str = "done"
    notes: tuple[str, ...] = ()
    title: str | None = None
    compared: bool = False

    @property
    def competes(self) -> bool:
        """Whether its values may be marked as the best."""
        return self.compared or self.rank is not None

    @property
    def heading(self) -> str:
        """What readers see."""
        return self.label if self.title is None else self.title


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Short name for references, such as `leaderboard-phantom-smoke`.
        title: Heading.
        columns: Its columns, without label and rank.
        rows: Its rows, as long as the columns.
        caption: What the numbers are, in whole sentences.
        notes: What is special about the table as a whole, or about runs.
        context: Columns that CSV and JSON carry in every row, such as the dataset.
        label: Head of the column of labels.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    label: str = "Model"

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(
                    f"{row.label}: {len(row.cells)} cells, {len(self.columns)} columns"
                )

    @property
    def ranked(self) -> bool:
        """Whether any row has a rank."""
        return any(row.rank is not None for row in self.rows)

    @property
    def footnotes(self) -> dict[str, str]:
        """The rows' notes, each with its letter, in the order in which rows need them."""
        notes = dict.fromkeys(note for row in self.rows for note in row.notes)
        return {note: _letters(place) for place, note in enumerate(notes)}

    def to_markdown(self) -> str:
        """Heading, table, caption and notes in GitHub's Markdown."""
        from reports.tables.render import markdown

        return markdown(self)

    def to_html(self) -> str:
        """A `table` element and what belongs under it, as part of a page."""
        from reports.tables.html import html

        return html(self)

    def to_latex(self) -> str:
        r"""A `table` environment for `\input`, or a `longtable`; it needs the package booktabs."""
        from reports.tables.latex import latex

        return latex(self)

    def to_csv(self) -> str:
        """The unrounded values as CSV; spread, runs and intervals in columns of their own."""
        from reports.tables.render import csv_text

        return csv_text([self])

    def to_objects(self) -> list[dict[str, Any]]:
        """A dictionary for each row, ready for JSON; metrics are under `scores`."""
        from reports.tables.render import objects

        return objects(self)

    def to_rich(self) -> rich.table.Table:
        """The brief columns of the table, for a terminal."""
        from reports.tables.render import rich_table

        return rich_table(self)


def _letters(place: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    before, last = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("a") + last)
