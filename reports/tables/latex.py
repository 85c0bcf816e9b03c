r"""A table as LaTeX, to be read by `\input` into a document with the package booktabs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from reports.tables.table import Table, marks, show

_WIDE = 9
"""Columns beyond which the table is set in small type."""

_FIT = (
    r"\providecommand{\covbenchfit}[1]{\ifdefined\resizebox"
    r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{#1}\else#1\fi}"
)
"""Shrinks what is wider than the line, in documents that load graphicx."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\dots{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": r"$-$",
    "Δ": r"$\Delta$",
    "✓": r"$\surd$",
    "\N{NO-BREAK SPACE}": "~",
}


# What LaTeX sets in its default encoding; ogoneks, for one, need another.
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
_LETTERS = "ßæøœłıÆØŒŁ"


def escape_latex(text: str) -> str:
    """Text that pdflatex sets as it is, on one line.

    Characters that pdflatex has no glyph for without further packages become their code points
    in brackets, such as [U+4E2D].
    """
    return "".join(map(_escape_character, text)).replace("--", "-{}-")


def _escape_character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isspace() or not character.isprintable():
        return " "
    base, *accent = list(unicodedata.normalize("NFD", character))
    accented = base.isascii() and character <= "ž" and all(each in _ACCENTS for each in accent)
    return character if accented or character in _LETTERS else f"[U+{ord(character):04X}]"


def latex(table: Table) -> str:
    r"""The table as a `table` environment.

    Best values are bold and second best underlined; the caption ends with the notes; the label is
    `tab:` and the table's name. In a document that loads graphicx, a table wider than the line is
    shrunk to it.
    """
    import pandas as pd

    found = marks(table)
    lead = [r"\#"] if table.ranked else []
    head = [*lead, "Model", *(escape_latex(column.head) for column in table.columns)]
    lines = []
    for index, row in enumerate(table.rows):
        cells = []
        for place, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True)):
            text = escape_latex(show(cell, column))
            mark = found.get((index, place))
            command = {"best": r"\textbf", "second": r"\underline", None: ""}[mark]
            cells.append(f"{command}{{{text}}}" if command else text)
        rank = [str(row.rank or "")] if lead else []
        # In braces, since a row that begins with [ would be taken for an option of \\.
        lines.append([*rank, f"{{{escape_latex(row.heading)}}}", *cells])
    styler = pd.DataFrame(lines, columns=pd.Index(head), dtype=object).style.hide(axis="index")
    text = styler.to_latex(
        hrules=True,
        column_format="r" * len(lead) + "l" + _alignment(table),
        position="tbp",
        position_float="centering",
        caption=(_caption([table.title, table.caption, *table.notes]), escape_latex(table.title)),
        label="tab:" + re.sub(r"[^A-Za-z0-9-]+", "-", table.name),
    )
    if len(table.columns) > _WIDE:
        small = "\\centering\n\\scriptsize\n\\setlength{\\tabcolsep}{3pt}\n"
        text = text.replace("\\centering\n", small, 1)
    text = text.replace("\\begin{tabular}", "\\covbenchfit{%\n\\begin{tabular}")
    return _FIT + "\n" + text.replace("\\end{tabular}", "\\end{tabular}}")


def latex_file(tables: Sequence[Table]) -> str:
    """Several tables in one file, with a comment that says what they need."""
    head = "% Needs \\usepackage{booktabs}; with \\usepackage{graphicx}, wide tables are shrunk.\n"
    return head + "\n".join(latex(table) for table in tables)


def _alignment(table: Table) -> str:
    return "".join("l" if column.style == "text" else "r" for column in table.columns)


def _caption(sentences: Sequence[str]) -> str:
    ended = (text if text.endswith((".", "?", "!")) else f"{text}." for text in sentences if text)
    return escape_latex(" ".join(ended))
