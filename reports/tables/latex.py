r"""A table as LaTeX, to be read by `\input` into a document that loads booktabs (and longtable)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from reports.tables.shown import Line, lines
from reports.tables.table import Column, Mark, Table

_LONG = 40
"""Rows beyond which a table would not fit a page, and is broken over several."""

_WIDE = 345.0
"""Width of a line in points: a wider table is set in small type."""

_DIGIT, _SMALL_DIGIT, _GAP, _SMALL_GAP = 5.0, 4.0, 12.0, 6.0
"""Widths in points: of a digit and between columns, in normal and in small type."""

_FIT = (
    r"\providecommand{\covbenchfit}[1]{\ifdefined\resizebox"
    r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{#1}\else#1\fi}"
)
"""Shrinks what is wider than the line, in documents that load graphicx."""

_TURN = (
    "\\ifdefined\\landscape\\begin{{landscape}}\\fi\n{}"
    "\\ifdefined\\landscape\\end{{landscape}}\\fi\n"
)
"""Turns what is wider than a page, in documents that load lscape or pdflscape."""

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

_SMALL = "\\scriptsize\n\\setlength{\\tabcolsep}{3pt}\n"

_MINUS = re.compile(r"(?<![\w-])-(?=\d)")
"""The hyphen before a number, to be set as a minus."""

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
    r"""The table as a `table` environment, or as a `longtable` where it has more than 40 rows.

    Best values are bold and second best underlined; the caption ends with the table's notes, the
    rows' footnotes stand under it; the label is `tab:` and the table's name. In a document that
    loads graphicx, a `table` wider than the line is shrunk to it. A `longtable` can't be: where
    small type is not enough, it is turned in a document that loads pdflscape.
    """
    import pandas as pd

    lead = [r"\#"] if table.ranked else []
    titles = [table.label, *(column.head for column in table.columns)]
    grid = [_cells(table, line) for line in lines(table)]
    head = [*lead, *map(escape_latex, titles)]
    styler = pd.DataFrame(grid, columns=pd.Index(head), dtype=object).style.hide(axis="index")
    long = is_long(table)
    text = styler.to_latex(
        hrules=True,
        column_format="r" * len(lead) + "l" + _alignment(table),
        position=None if long else "tbp",
        position_float=None if long else "centering",
        environment="longtable" if long else None,
        # In braces, since a ] in it would end the option.
        caption=(
            _caption([table.title, table.caption, *table.notes]),
            f"{{{escape_latex(table.title)}}}",
        ),
        label="tab:" + re.sub(r"[^A-Za-z0-9-]+", "-", table.name),
    )
    return _long(table, text) if long else _float(table, text)


def latex_row(table: Table, label: str) -> str:
    r"""One row of a table as LaTeX, to be pasted among others: `5 & mynet & \textbf{75.63} \\`.

    Raises:
        ValueError: No row has that label.
    """
    for row, line in zip(table.rows, lines(table), strict=True):
        if row.label == label:
            return " & ".join(_cells(table, line)) + r" \\"
    raise ValueError(f"no row {label!r}")


def _cells(table: Table, line: Line) -> list[str]:
    """The cells of a row: rank where the table has any, label, values with their marks."""
    # In braces, since a row that begins with [ would be taken for an option of \\.
    label = f"{{{escape_latex(line.label)}}}"
    if line.letters:
        label += _superscript(",".join(line.letters))
    cells = [
        _marked(text, mark, column)
        for (text, mark), column in zip(line.cells, table.columns, strict=True)
    ]
    return [*([line.rank] if table.ranked else []), label, *cells]


def latex_file(tables: Sequence[Table]) -> str:
    """Several tables in one file, with a comment that says what they need."""
    long = [is_long(table) for table in tables]
    packages = "booktabs,longtable" if any(long) else "booktabs"
    head = [f"Needs \\usepackage{{{packages}}}."]
    if not all(long):
        head.append("With \\usepackage{graphicx}, wide tables are shrunk.")
    if any(long):
        head.append("With \\usepackage{pdflscape}, a longtable wider than the page is turned.")
        head.append("A longtable needs text in one column.")
    comment = "".join(f"% {line}\n" for line in head)
    return comment + "\n".join(latex(table) for table in tables)


def is_long(table: Table) -> bool:
    """Whether a table has more rows than a page holds."""
    return len(table.rows) > _LONG


def _float(table: Table, text: str) -> str:
    """A `table` environment, shrunk where it can be, its footnotes under the tabular."""
    if _width(table, _DIGIT, _GAP) > _WIDE:
        text = text.replace("\\centering\n", f"\\centering\n{_SMALL}", 1)
    text = text.replace("\\begin{tabular}", "\\covbenchfit{%\n\\begin{tabular}", 1)
    end = "\\end{tabular}"
    notes = f"\n\\par\\smallskip\n{_footnotes(table)}" if table.footnotes else ""
    return f"{_FIT}\n{text.replace(end, f'{end}}}{notes}', 1)}"


def _long(table: Table, text: str) -> str:
    """A `longtable` whose later pages repeat its title alone, its footnotes after it."""
    start = text.index(r"\caption[]{")
    caption = text[start : text.index(" \\\\\n", start)]
    text = text.replace(caption, rf"\caption[]{{{escape_latex(table.title)} (continued)}}", 1)
    before = "\\setlength{\\LTcapwidth}{\\linewidth}\n"
    if _width(table, _DIGIT, _GAP) > _WIDE:
        before = _SMALL + before
    after = ""
    if table.footnotes:
        before += "\\setlength{\\LTpost}{\\smallskipamount}\n"
        after = f"\\nopagebreak\n{_footnotes(table)}\n"
    text = f"\\begingroup\n{before}{text}{after}\\endgroup\n"
    return text if _width(table, _SMALL_DIGIT, _SMALL_GAP) <= _WIDE else _TURN.format(text)


def _footnotes(table: Table) -> str:
    """The rows' notes, a paragraph each."""
    notes = "\n".join(
        rf"{_superscript(letter)}~{escape_latex(note)}\par"
        for note, letter in table.footnotes.items()
    )
    return f"{{\\footnotesize\\raggedright\n{notes}}}"


def _superscript(text: str) -> str:
    return rf"\textsuperscript{{{text}}}"


def _marked(text: str, mark: Mark | None, column: Column) -> str:
    text = escape_latex(text)
    if column.style != "text":
        text = _MINUS.sub("$-$", text)
    command = {"best": r"\textbf", "second": r"\underline", None: ""}[mark]
    return f"{command}{{{text}}}" if command else text


def _width(table: Table, digit: float, gap: float) -> float:
    """About how wide a table is in points, from the number of characters."""
    grid = [[line.rank, line.label, *(text for text, _ in line.cells)] for line in lines(table)]
    grid.append(["", table.label, *(column.head for column in table.columns)])
    longest = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return sum(longest) * digit + len(longest) * gap


def _alignment(table: Table) -> str:
    return "".join("l" if column.style == "text" else "r" for column in table.columns)


def _caption(sentences: Sequence[str]) -> str:
    ended = (text if text.endswith((".", "?", "!")) else f"{text}." for text in sentences if text)
    return escape_latex(" ".join(ended))
