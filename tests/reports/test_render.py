from __future__ import annotations

import csv
import io
import json
import math

import pytest
from rich.console import Console

from reports.tables.render import csv_text, escape_markdown, json_text
from reports.tables.table import Cell, Column, Row, Table
from runners.cli.options import print_json

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

NOTED = Table(
    "noted",
    "Noted",
    (
        Column("dice", "Dice", scale=100, higher_is_better=True, shows="interval"),
        Column("hd", "HD", higher_is_better=False),
        Column("gain", "Gain", shows="interval"),
    ),
    (
        Row(
            "enet",
            (
                Cell(0.75, 0.01, 2, interval=(0.7, 0.8), runs=("id-1", "id-2")),
                Cell(8.0),
                Cell(-1.5),
            ),
            1,
            notes=("One <seed>.", "Old\ncode."),
        ),
        Row("unet", (Cell(0.5, 0.02, 2), Cell(9.0), Cell(-2.0, interval=(-3.0, -0.5))), 2),
        Row("fcn8s", (Cell(), Cell(), Cell()), notes=("Old\ncode.",)),
    ),
    caption="A caption.",
    notes=("On the table.",),
    label="Network",
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

NOTED_MARKDOWN = """\
## Noted

|   # | Network            |                   Dice ↑ |        HD ↓ |                 Gain |
| --: | ------------------ | -----------------------: | ----------: | -------------------: |
|   1 | enet<sup>a,b</sup> | **75.00 [70.00, 80.00]** |    **8.00** |                -1.50 |
|   2 | unet               |             <u>50.00</u> | <u>9.00</u> | -2.00 [-3.00, -0.50] |
|     | fcn8s<sup>b</sup>  |                        – |           – |                    – |

- <sup>a</sup> One &lt;seed>.
- <sup>b</sup> Old code.

A caption.

- On the table.
"""


def test_markdown() -> None:
    assert TABLE.to_markdown() == MARKDOWN


def test_markdown_without_ranks_has_no_rank_column() -> None:
    plain = Table("t", "T", (Column("x", "X"),), (Row("a", (Cell(1.0),)),))
    assert plain.to_markdown() == "## T\n\n| Model |    X |\n| ----- | ---: |\n| a     | 1.00 |\n"


def test_markdown_has_footnotes_intervals_and_the_tables_label() -> None:
    assert NOTED.to_markdown() == NOTED_MARKDOWN


def test_footnotes_without_a_caption() -> None:
    plain = Table("t", "T", (Column("x", "X"),), (Row("a", (Cell(1.0),), notes=("n",)),))
    assert plain.to_markdown().endswith("| a<sup>a</sup> | 1.00 |\n\n- <sup>a</sup> n\n")


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
        ("bell\x07 \x1b[31m", "bell [31m"),
        ("-1.50 [-3.00, 0.25]", "-1.50 [-3.00, 0.25]"),
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


def test_csv_has_intervals_and_footnotes_where_there_are_any() -> None:
    enet, unet, fcn8s = read(NOTED.to_csv())
    assert list(enet) == [
        *("name", "status", "rank"),
        *("dice", "dice_sd", "dice_runs", "dice_low", "dice_high"),
        *("hd", "hd_sd", "hd_runs"),
        *("gain", "gain_low", "gain_high"),
        "notes",
    ]
    assert (enet["dice_low"], enet["dice_high"], enet["gain_low"]) == ("0.7", "0.8", "")
    assert (unet["dice_low"], unet["gain_low"], unet["gain_high"]) == ("", "-3.0", "-0.5")
    assert (enet["notes"], unet["notes"], fcn8s["notes"]) == (
        "One <seed>.; Old\ncode.",
        "",
        "Old\ncode.",
    )
    assert "id-1" not in NOTED.to_csv()


def test_csv_of_a_table_without_intervals_and_footnotes_has_no_columns_for_them() -> None:
    assert list(read(TABLE.to_csv())[0]) == [
        *("dataset", "name", "status", "rank", "params"),
        *("dice", "dice_sd", "dice_runs", "hd", "hd_sd", "hd_runs", "runs"),
    ]


def test_a_number_that_is_not_finite_is_missing_in_csv_and_json() -> None:
    row = Row("a", (Cell(math.inf, math.nan, 2, interval=(math.nan, 1.0)),), 1)
    table = Table("t", "T", (Column("x", "X", higher_is_better=True),), (row,))
    (line,) = read(table.to_csv())
    assert [line[key] for key in ("x", "x_sd", "x_low", "x_high")] == ["", "", "", "1.0"]
    (item,) = json.loads(json_text([table]))
    assert item["scores"]["x"] == {"value": None, "sd": None, "runs": 2, "low": None, "high": 1.0}


def test_objects_have_intervals_and_footnotes_where_there_are_any() -> None:
    enet, unet, fcn8s = NOTED.to_objects()
    assert enet == {
        "name": "enet",
        "rank": 1,
        "status": "done",
        "gain": -1.5,
        "gain_low": None,
        "gain_high": None,
        "notes": ["One <seed>.", "Old\ncode."],
        "scores": {
            "dice": {"value": 0.75, "sd": 0.01, "runs": 2, "low": 0.7, "high": 0.8},
            "hd": {"value": 8.0, "sd": None, "runs": None},
        },
    }
    assert (unet["notes"], unet["gain_low"]) == ([], -3.0)
    assert unet["scores"]["dice"]["low"] is None
    assert fcn8s["notes"] == ["Old\ncode."]
    assert "notes" not in TABLE.to_objects()[0]


def test_json_text_is_what_report_prints(capsys: pytest.CaptureFixture[str]) -> None:
    tables = [TABLE, NOTED]
    print_json({"table": table.title, **row} for table in tables for row in table.to_objects())
    text = json_text(tables)
    assert text == capsys.readouterr().out
    items = json.loads(text)
    assert [item["table"] for item in items] == [TABLE.title] * 4 + ["Noted"] * 3
    assert [item["name"] for item in items][-3:] == ["enet", "unet", "fcn8s"]
    assert json_text([]) == "[]\n"


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


def test_a_terminal_shows_footnotes_below() -> None:
    text = [line.strip() for line in shown(NOTED).splitlines()]
    assert text[2].split()[:2] == ["#", "Network"]
    assert text[4].startswith("1   enet (a,b)   75.00 [70.00, 80.00]")
    assert text[5].startswith("2   unet ")
    assert text[-2:] == ["(a) One <seed>.", "(b) Old code."]
    assert "(a)" not in shown(TABLE)


def test_control_characters_do_not_reach_a_terminal() -> None:
    row = Row("net\x1b[31m\x07", (Cell(text="bad\x1b[2J"),), notes=("n\x1b[0m",))
    text = shown(Table("t", "T\x1b", (Column("x", "X"),), (row,)))
    assert "\x1b" not in text and "\x07" not in text
    assert "net [31m (a)" in text and "bad [2J" in text
