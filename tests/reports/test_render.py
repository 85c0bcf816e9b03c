from __future__ import annotations

import csv
import io
import json
import math

import pytest
from rich.console import Console

from reports.tables.render import csv_text, escape_markdown
from reports.tables.table import Cell, Column, Row, Table

TABLE = Table(
    "demo",
    "phantom, protocol smoke",
    (
        Column("params", "Params", style="size"),
        Column("dice", "Dice", unit="%", scale=100, higher_is_better=True),
        Column("hd", "HD", unit="px", higher_is_better=False, brief=False),
        Column("runs", "Runs", style="count"),
    ),
    (
        Row("enet", (Cell(363_197), Cell(0.75, 0.01, 2), Cell(80.0, 1.0, 2), Cell(2)), 1),
        Row("a|b", (Cell(1000), Cell(0.7, 0.02, 2), Cell(70.0, 2.0, 2), Cell(2)), 2),
        Row("late", (Cell(5), Cell(0.9, None, 1), Cell(math.nan), Cell(1, text="1 of 2")), None),
        Row("big", (Cell(), Cell(), Cell(), Cell(0, text="failed (killed)")), None, "failed"),
    ),
    caption="Mean ± deviation.",
    notes=("One note.",),
    context={"dataset": "phantom"},
)

MARKDOWN = """\
## phantom, protocol smoke

|   # | Model |  Params |          Dice ↑ (%) |           HD ↓ (px) |            Runs |
| --: | ----- | ------: | ------------------: | ------------------: | --------------: |
|   1 | enet  | 363.2 K |    **75.00 ± 1.00** | <u>80.00 ± 1.00</u> |               2 |
|   2 | a\\|b  |  1.00 K | <u>70.00 ± 2.00</u> |    **70.00 ± 2.00** |               2 |
|     | late  |       5 |               90.00 |                   – |          1 of 2 |
|     | big   |       – |                   – |                   – | failed (killed) |

Mean ± deviation.

- One note.
"""


def test_markdown() -> None:
    assert TABLE.to_markdown() == MARKDOWN


def test_markdown_without_ranks_has_no_rank_column() -> None:
    plain = Table("t", "T", (Column("x", "X"),), (Row("a", (Cell(1.0),)),))
    assert plain.to_markdown() == "## T\n\n| Model |    X |\n| ----- | ---: |\n| a     | 1.00 |\n"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", "a\\|b"),
        ("**bold**", "\\*\\*bold\\*\\*"),
        ("`code`", "\\`code\\`"),
        ("~~gone~~", "\\~\\~gone\\~\\~"),
        ("_slanted_", "\\_slanted\\_"),
        ("snake_case_name", "snake_case_name"),
        ("<script>", "&lt;script>"),
        ("&lt;", "&amp;lt;"),
        ("two\nlines\tand  spaces", "two lines and spaces"),
        ("[text](javascript:x)", "[text]\\(javascript:x)"),
        ("miniseg[strict=true]", "miniseg[strict=true]"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_escape_markdown(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_unrounded_values() -> None:
    third = Table(
        "t",
        "T",
        (Column("dice", "Dice", scale=100, higher_is_better=True),),
        (Row('na"me,x', (Cell(1 / 3, 0.1 + 0.2, 5),), 1),),
    )
    (line,) = read(third.to_csv())
    assert line["name"] == 'na"me,x'
    assert float(line["dice"]) == 1 / 3
    assert float(line["dice_sd"]) == 0.1 + 0.2
    assert line["dice_runs"] == "5"
    assert line["rank"] == "1"


def test_csv_leaves_missing_values_empty() -> None:
    *_, late, big = read(TABLE.to_csv())
    assert (late["hd"], late["dice_sd"], late["rank"]) == ("", "", "")
    assert (big["params"], big["dice"], big["runs"]) == ("", "", "0")
    assert big["status"] == "failed"


def test_several_tables_share_one_csv() -> None:
    other = Table("o", "O", (Column("extra", "E"),), (Row("x", (Cell(1.5),)),), context={"k": "v"})
    first, *_, last = read(csv_text([TABLE, other]))
    assert (first["dataset"], first["extra"]) == ("phantom", "")
    assert (last["name"], last["extra"], last["dice"], last["k"]) == ("x", "1.5", "", "v")


def test_objects_are_strict_json() -> None:
    items = TABLE.to_objects()
    assert json.loads(json.dumps(items, allow_nan=False)) == items
    enet, _, late, big = items
    assert enet == {
        "dataset": "phantom",
        "name": "enet",
        "rank": 1,
        "status": "done",
        "params": 363_197,
        "runs": 2,
        "scores": {
            "dice": {"value": 0.75, "sd": 0.01, "runs": 2},
            "hd": {"value": 80.0, "sd": 1.0, "runs": 2},
        },
    }
    assert late["scores"]["hd"]["value"] is None
    assert big["params"] is None


def shown(table: Table) -> str:
    console = Console(width=100, record=True, file=io.StringIO(), color_system=None)
    console.print(table.to_rich())
    return console.export_text()


def test_a_terminal_shows_the_brief_columns() -> None:
    text = shown(TABLE)
    assert "75.00 ± 1.00" in text
    assert "failed (killed)" in text
    assert "HD" not in text


def test_names_are_no_markup_in_a_terminal() -> None:
    row = Row("net[bold]x[/bold][strict=true]", (Cell(1.0),))
    text = shown(Table("t", "T", (Column("x", "X"),), (row,)))
    assert "net[bold]x[/bold][strict=true]" in text
