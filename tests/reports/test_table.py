from __future__ import annotations

import math

import pytest

from reports.tables.shown import Line, lines, marks, one_line, show
from reports.tables.table import Cell, Column, Mark, Row, Table

UP = Column("up", "Up", higher_is_better=True)
BY_INTERVAL = Column("up", "Up", higher_is_better=True, ties="interval")
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


def by_interval(*cells: Cell, unranked: int | None = None) -> Table:
    rows = (Row(f"r{i}", (cell,), None if i == unranked else 1) for i, cell in enumerate(cells))
    return Table("t", "T", (BY_INTERVAL,), tuple(rows))


def test_cells_carry_their_marks_where_intervals_decide_ties() -> None:
    marked: tuple[Mark | None, ...] = ("best", "best", None, "second")
    cells = [Cell(value, mark=mark) for value, mark in zip((3, 1, 4, 2), marked, strict=True)]
    found = marks(by_interval(*cells))
    assert found == {(0, 0): "best", (1, 0): "best", (3, 0): "second"}


def test_digits_mark_nothing_where_intervals_decide_ties() -> None:
    assert marks(by_interval(Cell(3), Cell(3), Cell(1))) == {}


def test_marks_of_cells_count_for_nothing_where_digits_decide_ties() -> None:
    rows = (Row("a", (Cell(1, mark="best"),), 2), Row("b", (Cell(2, mark="second"),), 1))
    assert marks(Table("t", "T", (UP,), rows)) == {(1, 0): "best", (0, 0): "second"}


def test_rows_without_a_rank_lose_the_marks_of_their_cells() -> None:
    cells = (Cell(3, mark="best"), Cell(2, mark="best"), Cell(1, mark="second"))
    assert marks(by_interval(*cells, unranked=0)) == {(1, 0): "best", (2, 0): "second"}
    assert marks(by_interval(*cells[:2], unranked=0)) == {}


def test_each_column_has_its_own_way_with_ties() -> None:
    rows = tuple(Row(f"r{i}", (Cell(i, mark="best"), Cell(i)), 1) for i in range(3))
    found = marks(Table("t", "T", (BY_INTERVAL, DOWN), rows))
    assert {place: mark for place, mark in found.items() if place[1] == 0} == {
        (i, 0): "best" for i in range(3)
    }
    assert found[0, 1] == "best" and found[1, 1] == "second" and (2, 1) not in found


def test_footnotes_have_letters_in_the_order_of_rows() -> None:
    rows = (
        Row("r0", (), notes=("second read", "first read")),
        Row("r1", ()),
        Row("r2", (), notes=("first read", "new", "first read")),
    )
    made = Table("t", "T", (), rows)
    assert made.footnotes == {"second read": "a", "first read": "b", "new": "c"}
    assert [line.letters for line in lines(made)] == [("a", "b"), (), ("b", "c")]


def test_letters_after_z() -> None:
    rows = tuple(Row(f"r{i}", (), notes=(f"note {i}",)) for i in range(703))
    letters = list(Table("t", "T", (), rows).footnotes.values())
    assert [letters[i] for i in (0, 25, 26, 51, 52, 701, 702)] == [
        "a",
        "z",
        "aa",
        "az",
        "ba",
        "zz",
        "aaa",
    ]
    assert len(set(letters)) == 703


def test_lines_are_what_readers_see() -> None:
    rows = (
        Row("a", (Cell(1.0), Cell("x")), 1),
        Row("b", (Cell(2.0), Cell()), 2),
        Row("c", (Cell(), Cell())),
    )
    made = Table("t", "T", (DOWN, Column("w", "W", style="text")), rows)
    assert lines(made) == [
        Line("1", "a", (), (("1.00", "best"), ("x", None))),
        Line("2", "b", (), (("2.00", "second"), ("–", None))),
        Line("", "c", (), (("–", None), ("–", None))),
    ]


def test_one_line_has_no_control_characters() -> None:
    assert one_line(" a\r\nb\tc\x00\x1b[31md\u202ee\u2028f\ud800 ") == "a b c [31md e f"
    assert one_line("zoë 中文 ±") == "zoë 中文 ±"


@pytest.mark.parametrize(
    ("cell", "column", "text"),
    [
        (
            Cell(0.7563, 0.012, 3, interval=(0.701, 0.802)),
            Column("d", "D", scale=100, shows="interval"),
            "75.63 [70.10, 80.20]",
        ),
        (
            Cell(0.7563, 0.012, 3, interval=(0.701, 0.802)),
            Column("d", "D", scale=100),
            "75.63 ± 1.20",
        ),
        (
            Cell(0.7563, 0.012, 3, interval=(0.701, 0.802)),
            Column("d", "D", scale=100, shows="value"),
            "75.63",
        ),
        (
            Cell(-1.5, interval=(-3.0, 0.25)),
            Column("d", "D", shows="interval"),
            "-1.50 [-3.00, 0.25]",
        ),
        (Cell(1.5, 0.1, 3), Column("d", "D", shows="interval"), "1.50"),
        (Cell(1.5, interval=(math.nan, 2.0)), Column("d", "D", shows="interval"), "1.50"),
        (Cell(None, interval=(1.0, 2.0)), Column("d", "D", shows="interval"), "–"),
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
