from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reports.tables.latex import escape_latex, latex_file
from reports.tables.table import Cell, Column, Row, Table

HOSTILE = (
    "under_score",
    "50% & more",
    r"\input{/etc/passwd}",
    r"\end{table}\end{document}",
    "$x^2$ ~ #1 {}",
    "[1ex] begins like an option",
    "a<b>c|d\"e'f`g",
    "-- --- <<",
    "two\nlines",
    "zoë ßÅøœłıŠžčğİģ",
    "中文 ❤ \x07 α ą đ",
    "± × · – — … ↑ ↓ − Δ",
)


def hostile_table() -> Table:
    columns = (
        Column("dice", "Dice_%", unit="%", scale=100, higher_is_better=True),
        Column("note", "Note & more", style="text"),
    )
    rows = tuple(
        Row(name, (Cell(number / 100, 0.01, 3), Cell(name)), rank=number)
        for number, name in enumerate(HOSTILE, start=1)
    )
    unranked = Row(HOSTILE[5], (Cell(), Cell(text="failed (out of memory)")))
    noted = [replace(row, notes=(row.label, HOSTILE[0])) for row in rows]
    return Table(
        "hostile_50%",
        "Names & such [strict=true] [x",
        columns,
        (*noted, unranked),
        " ".join(HOSTILE),
        HOSTILE,
        label="Label_%",
    )


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b", r"a\_b"),
        ("50%", r"50\%"),
        ("a&b", r"a\&b"),
        (r"\x{}", r"\textbackslash{}x\{\}"),
        ("$#^~", r"\$\#\textasciicircum{}\textasciitilde{}"),
        ("a--b---c", r"a-{}-b-{}--c"),
        ("a\nb\x07c", "a b c"),
        ("é中", "é[U+4E2D]"),
        ("ą", "[U+0105]"),
        ("1 ± 2", r"1 $\pm$ 2"),
    ],
)
def test_escape_latex(text: str, escaped: str) -> None:
    assert escape_latex(text) == escaped


def test_marks_rules_and_heads() -> None:
    columns = (Column("hd", "HD", unit="px", higher_is_better=False),)
    rows = (Row("a_1", (Cell(2.0),), 1), Row("b", (Cell(1.0),), 2), Row("c", (Cell(3.0),), 3))
    text = Table("t 1", "Title", columns, rows, "A caption", ("A note.",)).to_latex()
    for line in (
        r"\toprule",
        r"\# & Model & HD $\downarrow$ (px) \\",
        r"\midrule",
        r"1 & {a\_1} & \underline{2.00} \\",
        r"2 & {b} & \textbf{1.00} \\",
        r"3 & {c} & 3.00 \\",
        r"\bottomrule",
        r"\label{tab:t-1}",
        r"\caption[{Title}]{Title. A caption. A note.}",
    ):
        assert line in text.splitlines()


def test_heads_may_repeat() -> None:
    columns = (Column("a", "here"), Column("b", "here"))
    text = Table("t", "T", columns, (Row("x", (Cell(1.0), Cell(2.0))),)).to_latex()
    assert r"{x} & 1.00 & 2.00 \\" in text


def test_footnotes_stand_under_the_tabular() -> None:
    rows = (
        Row("a_1", (Cell(1.0),), notes=("100% & more.", "Second")),
        Row("b", (Cell(2.0),), notes=("Second",)),
    )
    text = Table("t", "T", (Column("x", "X"),), rows, "A caption", label="Net_work").to_latex()
    found = text.splitlines()
    assert r"Net\_work & X \\" in found
    assert r"{a\_1}\textsuperscript{a,b} & 1.00 \\" in found
    assert r"{b}\textsuperscript{b} & 2.00 \\" in found
    assert r"\caption[{T}]{T. A caption.}" in found
    end = found.index(r"\end{tabular}}")
    assert found[end + 1 :] == [
        r"\par\smallskip",
        r"{\footnotesize\raggedright",
        r"\textsuperscript{a}~100\% \& more.\par",
        r"\textsuperscript{b}~Second\par}",
        r"\end{table}",
    ]


def test_intervals_and_negative_numbers() -> None:
    columns = (
        Column("d", "D", scale=100, higher_is_better=True, shows="interval"),
        Column("g", "G"),
        Column("w", "W", style="text"),
        Column("r", "R", style="count"),
    )
    rows = (
        Row("a", (Cell(0.7563, interval=(0.701, 0.802)), Cell(-1.5, 0.2), Cell("-1"), Cell(2)), 1),
        Row("b", (Cell(-0.01, interval=(-0.03, 0.02)), Cell(1e3), Cell(), Cell(text="1-3")), 2),
    )
    found = Table("t", "T", columns, rows).to_latex().splitlines()
    assert r"1 & {a} & \textbf{75.63 [70.10, 80.20]} & $-$1.50 $\pm$ 0.20 & -1 & 2 \\" in found
    assert (
        r"2 & {b} & \underline{$-$1.00 [$-$3.00, 2.00]} & 1000.00 & \textendash{} & 1-3 \\" in found
    )
    assert r"\begin{tabular}{rlrrlr}" in found


def many(rows: int, columns: int = 3, label: str = "network_") -> Table:
    """A table of intervals; every fifth row has a footnote."""
    metrics = tuple(
        Column(f"m{i}", f"Metric {i}", unit="%", higher_is_better=True, shows="interval")
        for i in range(columns)
    )
    return Table(
        f"many-{rows}-{columns}",
        "Many rows & more",
        metrics,
        tuple(
            Row(
                f"{label}{n}",
                tuple(Cell(90 - n + i / 7, interval=(-20.0 - n, 95.5)) for i in range(columns)),
                n + 1,
                notes=(f"Special about the rows of kind {n % 2}: 100% & more.",)
                if n % 5 == 0
                else (),
            )
            for n in range(rows)
        ),
        "Some words on what the numbers are, long enough for two lines or three of the caption "
        "under which they stand, whatever the width of the page may be.",
        label="Network",
    )


def test_more_rows_than_a_page_holds_are_a_longtable() -> None:
    assert r"\begin{longtable}" not in many(40).to_latex()
    text = many(41).to_latex()
    assert text.count(r"\begin{longtable}{rlrrr}") == 1
    assert r"\begin{table}" not in text and r"\begin{tabular}" not in text
    assert "covbenchfit" not in text
    assert text.count(r"\label{tab:many-41-3}") == 1
    assert text.count("Some words") == 1
    assert text.count(r"\caption[{Many rows \& more}]{Many rows \& more. Some") == 1
    assert text.count(r"\caption[]{Many rows \& more (continued)} \\") == 1
    head = r"\# & Network & Metric 0 $\uparrow$ (\%)"
    assert text.index(head) < text.index(r"\endfirsthead") < text.rindex(head)
    assert text.rindex(head) < text.index(r"\endhead") < text.index(r"{network\_0}")
    after = text[text.index(r"\end{longtable}") :].splitlines()
    assert after[1:] == [
        r"\nopagebreak",
        r"{\footnotesize\raggedright",
        r"\textsuperscript{a}~Special about the rows of kind 0: 100\% \& more.\par",
        r"\textsuperscript{b}~Special about the rows of kind 1: 100\% \& more.\par}",
        r"\endgroup",
    ]


@pytest.mark.parametrize(
    ("tables", "packages", "words"),
    [
        ([many(2)], "booktabs", ("graphicx",)),
        ([many(41)], "booktabs,longtable", ("pdflscape", "one column")),
        ([many(41), many(2)], "booktabs,longtable", ("graphicx", "pdflscape", "one column")),
    ],
)
def test_the_file_says_what_it_needs(
    tables: list[Table], packages: str, words: tuple[str, ...]
) -> None:
    comment = "\n".join(line for line in latex_file(tables).splitlines() if line.startswith("%"))
    assert rf"\usepackage{{{packages}}}" in comment
    for word in ("graphicx", "pdflscape", "one column"):
        assert (word in comment) == (word in words)


def compiled(folder: Path, tables: list[Table], packages: str, times: int = 2) -> str:
    """The log of pdflatex for a document with the list of tables and a reference to each."""
    text = latex_file(tables)
    labels = re.findall(r"\\label\{(.+)\}", text)
    assert len(labels) == len(tables)
    references = " ".join(rf"\ref{{{label}}}" for label in labels)
    (folder / "tables.tex").write_text(text, encoding="utf-8")
    (folder / "main.tex").write_text(
        r"\documentclass{article}\usepackage{" + packages + r"}\begin{document}"
        rf"\listoftables {references} \input{{tables}}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"]
    for _ in range(times):  # the second time reads the list of tables
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
        log = (folder / "main.log").read_text(errors="replace")
        assert done.returncode == 0, log[-3000:]
    assert "LaTeX Warning: Reference" not in log
    assert "undefined" not in log and "multiply" not in log
    assert (folder / "main.pdf").stat().st_size > 1000
    return log


def too_wide(log: str) -> list[float]:
    """By how many points lines are wider than the text."""
    return [float(found) for found in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]


needs_pdflatex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is not installed"
)


@needs_pdflatex
@pytest.mark.parametrize("packages", ["booktabs", "booktabs,graphicx"])
def test_hostile_names_compile(tmp_path: Path, packages: str) -> None:
    wide = Table(
        "wide",
        "Wide",
        tuple(Column(f"c{i}", f"Column {i}", higher_is_better=True) for i in range(14)),
        tuple(Row(f"r{n}", tuple(Cell(n + i / 7, 0.1, 2) for i in range(14)), n) for n in (1, 2)),
    )
    log = compiled(tmp_path, [hostile_table(), wide, many(6, 8)], packages)
    assert (max(too_wide(log), default=0.0) > 20) == ("graphicx" not in packages)


@needs_pdflatex
def test_intervals_and_footnotes_fit_a_page(tmp_path: Path) -> None:
    log = compiled(tmp_path, [many(6), many(40)], "booktabs")
    assert max(too_wide(log), default=0.0) <= 20
    assert "Float too large" not in log


@needs_pdflatex
def test_long_tables_compile(tmp_path: Path) -> None:
    hostile = hostile_table()
    long = replace(hostile, name="long", rows=hostile.rows * 5, columns=hostile.columns)
    log = compiled(tmp_path, [many(60), many(3), long], "booktabs,longtable", times=4)
    assert "Table widths have changed" not in log
    entries = (tmp_path / "main.lot").read_text().count("contentsline")
    assert entries == 3  # the later pages' captions are no entries
    pages = re.search(r"Output written on main.pdf \((\d+) pages", log)
    assert pages and int(pages[1]) == 3  # both long tables begin where there is room


@needs_pdflatex
def test_a_long_table_that_is_too_wide_is_turned(tmp_path: Path) -> None:
    upright = compiled(tmp_path, [many(41, 5)], "booktabs,longtable", times=3)
    turned = compiled(tmp_path, [many(41, 5)], "booktabs,longtable,pdflscape", times=3)
    assert max(too_wide(upright)) > 20
    assert max(too_wide(turned), default=0.0) <= 20
