from __future__ import annotations

import shutil
import subprocess
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
    return Table(
        "hostile_50%", "Names & such", columns, (*rows, unranked), " ".join(HOSTILE), HOSTILE
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


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("packages", ["booktabs", "booktabs,graphicx"])
def test_hostile_names_compile(tmp_path: Path, packages: str) -> None:
    wide = Table(
        "wide",
        "Wide",
        tuple(Column(f"c{i}", f"Column {i}", higher_is_better=True) for i in range(14)),
        tuple(Row(f"r{n}", tuple(Cell(n + i / 7, 0.1, 2) for i in range(14)), n) for n in (1, 2)),
    )
    (tmp_path / "tables.tex").write_text(latex_file([hostile_table(), wide]), encoding="utf-8")
    (tmp_path / "main.tex").write_text(
        r"\documentclass{article}\usepackage{" + packages + r"}\begin{document}"
        r"\listoftables\input{tables}\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"]
    for _ in range(2):  # the second time reads the list of tables
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
        log = (tmp_path / "main.log").read_text(errors="replace")
        assert done.returncode == 0, log[-3000:]
    assert "LaTeX Warning: Reference" not in log
    assert (tmp_path / "main.pdf").stat().st_size > 1000
