"""Hostile names that an import lets in come out as text, whatever a report is written as."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from reports.chosen import places_of, two_rows
from reports.comparing.compare import pair_tables
from reports.report import Wish, write_report
from reports.sides import metric_named
from reports.tables.files import TABLE_FORMATS
from results.cases import CASES, read_cases
from results.spec import sha256
from results.store import Store
from results.unpack import unpack
from tests.archives import cases_text, entries, whole, write

NAMES = {
    "html": "<script>alert(1)</script>",
    "entity": "&lt;img src=x onerror=alert(1)&gt;",
    "latex": "\\input{/etc/passwd}$%&#_^~{",
    "write18": "\\immediate\\write18{rm -rf ~}",
    "markdown": "](javascript:alert(1)) `x` | **b** ![a](b)",
    "markup": "[red]bold[/red] [link=file:///x]y[/link]",
    "formula": "=cmd|' /C calc'!A0",
    "sum": "@SUM(1+1)*cmd",
    "path": "../../../etc/cron.d/x",
    "separator": "a\\..\\b/c",
}
each_name = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)


@pytest.fixture
def root(name: str, tmp_path: Path) -> Path:
    """A store into which a model, a dataset, an option, patients and a processor were imported."""
    images = cases_text("a<b>", "\\b{").replace("a<b>,p1", "a<b>,<i>&p")
    changes = {"dataset": name, "protocol": name, "env": {"cpu": name}, "params": 10}
    changes["data"] = {"shared_groups": (name,), "groups_disjoint": False}
    given = [
        *entries(*whole(images, model=name, **changes)),
        *entries(*whole(images, model="unet", options={"act": name}, **changes)),
    ]
    unpack(write(tmp_path / "a.covbench", given), tmp_path / "deep" / "runs")
    return tmp_path / "deep" / "runs"


@each_name
def test_the_leaderboard_shows_names_as_text(name: str, root: Path, tmp_path: Path) -> None:
    written = write_report(root, tmp_path / "out", Wish(formats=TABLE_FORMATS, page=True))
    markdown = "".join(each.read_text() for each in written.paths if each.suffix == ".md")
    assert "<script" not in markdown and "<img" not in markdown
    assert "](" not in markdown and "![a](" not in markdown
    assert not re.search(r"(?<!\\)`", markdown) and not re.search(r"(?<!\\)\*\*b", markdown)
    pages = [each.read_text() for each in written.paths if each.suffix == ".html"]
    assert len(pages) > 1 and not any("<i>&p" in each or "<img" in each for each in pages)
    latex = "".join(each.read_text() for each in written.paths if each.suffix == ".tex")
    assert not re.search(r"\\(input|write18|immediate)\b", latex)
    board = tmp_path / "out" / "leaderboard.csv"
    table = list(csv.DictReader(io.StringIO(board.read_text())))
    assert len(table) == 2
    for line in table:
        assert not any(
            (text or "").startswith(("=", "+", "@", "\t", "\r")) for text in line.values()
        )
        assert name in (line["dataset"], line["dataset"].removeprefix("'"))
    assert all(path.is_relative_to(tmp_path / "out") for path in written.paths)
    inside = [*root.rglob("*"), *(tmp_path / "out").rglob("*")]
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files - set(inside) == {tmp_path / "a.covbench"}


@each_name
def test_a_terminal_shows_markup_as_text(name: str, root: Path, tmp_path: Path) -> None:
    from rich.console import Console

    (table, *_) = write_report(root, tmp_path / "out", Wish(formats=("md",))).tables
    console = Console(width=4000, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(table.to_rich())
    shown = re.sub(r"\x1b\[[\d;]*m", "", capture.get())
    assert name in shown and "\x1b" not in shown
    assert json.loads(json.dumps(table.to_objects()))[0]["dataset"] == name


@each_name
def test_two_rows_with_hostile_names_are_compared(name: str, root: Path) -> None:
    (place,) = places_of(read_cases(root), root)
    one, other = place.rows
    for table in pair_tables(*two_rows([place], one, other), metric_named("dice")):
        assert not re.search(r"\\(input|write18|immediate)\b", table.to_latex())
        assert "<script" not in table.to_markdown() and "](" not in table.to_markdown()


@pytest.mark.parametrize("line", ["a,b,c", "a", "x" * 200_000 + ",g,1,2,3,4,ok,0.5,1.0"])
def test_a_copied_file_that_is_no_table_is_left_out(line: str, tmp_path: Path) -> None:
    """A store that came another way: its hash fits, and yet it is no table."""
    text = cases_text("a") + line + ",1" * 40 + "\n"
    record, _ = whole()
    record = record.model_copy(update={"files": {CASES: sha256(text)}})
    store = Store(tmp_path)
    store.write(record)
    (store.folder(record.spec) / CASES).write_text(text)
    found = read_cases(tmp_path)
    assert len(found.left_out) == 1 and not found.records
