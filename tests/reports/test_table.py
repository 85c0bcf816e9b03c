from __future__ import annotations

import math

import pytest

from reports.tables.table import Cell, Column, Row, Table, marks, show

UP = Column("up", "Up", higher_is_better=True)
DOWN = Column("down", "Down", higher_is_better=False)
PLAIN = Column("plain", "Plain")


def table(*columns_of_values: list[float | None], ranks: list[int | None] | None = None) -> Table:
    columns = (UP, DOWN, PLAIN)[: len(columns_of_values)]
    rows = zip(*columns_of_values, strict=True)
    return Table(
        "t",
        "T",
        columns,
        tuple(
            Row(f"r{i}", tuple(map(Cell, row)), rank=ranks[i] if ranks else i + 1)
            for i, row in enumerate(rows)
        ),
    )


def test_marks_follow_each_metrics_own_direction() -> None:
    made = table([1, 3, 2], [1, 3, 2], [1, 3, 2])
    assert marks(made) == {(1, 0): "best", (2, 0): "second", (0, 1): "best", (2, 1): "second"}


def test_equal_digits_share_a_mark() -> None:
    assert marks(table([0.501, 0.5049, 0.40, 0.404])) == {
        (0, 0): "best",
        (1, 0): "best",
        (2, 0): "second",
        (3, 0): "second",
    }


def test_shown_digits_decide_with_the_scale() -> None:
    percent = Column("p", "P", scale=100, digits=1, higher_is_better=True)
    rows = tuple(Row(str(v), (Cell(v),), rank=1) for v in (0.70001, 0.7, 0.699))
    assert marks(Table("t", "T", (percent,), rows)) == {
        (0, 0): "best",
        (1, 0): "best",
        (2, 0): "second",
    }


def test_rows_without_a_rank_are_never_marked() -> None:
    assert marks(table([9, 1, 2], ranks=[None, 2, 1])) == {(2, 0): "best", (1, 0): "second"}


def test_a_single_competitor_is_not_the_best_of_anything() -> None:
    assert marks(table([9, 1], ranks=[None, 1])) == {}


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_missing_values_are_not_marked(missing: float | None) -> None:
    assert marks(table([missing, 1, 2])) == {(2, 0): "best", (1, 0): "second"}


def test_a_cell_whose_value_is_not_shown_is_not_marked() -> None:
    rows = (
        Row("a", (Cell(9.0, text="failed"),), 1),
        Row("b", (Cell(1.0),), 2),
        Row("c", (Cell(2.0),), 3),
    )
    assert (0, 0) not in marks(Table("t", "T", (UP,), rows))


@pytest.mark.parametrize(
    ("cell", "column", "text"),
    [
        (Cell(0.756349, 0.0123, 5), Column("d", "D", scale=100), "75.63 ± 1.23"),
        (Cell(0.756349, None, 1), Column("d", "D", scale=100), "75.63"),
        (Cell(0.5, math.nan, 1), Column("d", "D"), "0.50"),
        (Cell(None), UP, "–"),
        (Cell(math.nan), UP, "–"),
        (Cell(math.inf), UP, "–"),
        (Cell(0), UP, "0.00"),
        (Cell(None, text="failed (killed)"), UP, "failed (killed)"),
        (Cell("a_b"), Column("n", "N", style="text"), "a_b"),
        (Cell(None), Column("n", "N", style="text"), "–"),
        (Cell(5.0), Column("n", "N", style="count"), "5"),
        (Cell(472_440), Column("p", "P", style="size"), "472.4 K"),
        (Cell(34_527_106), Column("p", "P", style="size"), "34.53 M"),
        (Cell(999_999), Column("p", "P", style="size"), "1.00 M"),
        (Cell(2_273_300_000), Column("p", "P", style="size"), "2.27 G"),
        (Cell(12), Column("p", "P", style="size"), "12"),
    ],
)
def test_show(cell: Cell, column: Column, text: str) -> None:
    assert show(cell, column) == text


def test_heads_name_direction_and_unit() -> None:
    assert Column("h", "HD", unit="px", higher_is_better=False).head == "HD ↓ (px)"
    assert Column("h", "Dice", unit="%", higher_is_better=True).head == "Dice ↑ (%)"
    assert PLAIN.head == "Plain"


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells, 1 columns"):
        Table("t", "T", (UP,), (Row("r", (Cell(1), Cell(2))),))
