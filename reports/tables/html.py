"""Tables as HTML: a fragment each, or a page of them that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from reports.tables.shown import Line, lines, one_line
from reports.tables.table import Mark, Table

_STYLE = """\
:root { color-scheme: light dark; }
body {
  font: 16px/1.45 system-ui, sans-serif;
  margin: 2rem auto;
  max-width: 80rem;
  padding: 0 1rem;
}
section { margin: 2.5rem 0; overflow-x: auto; }
table { border-collapse: collapse; border-block: 2px solid; font-variant-numeric: tabular-nums; }
caption { font-weight: bold; padding-bottom: .5rem; text-align: left; }
th, td { padding: .2rem .7rem; text-align: right; white-space: nowrap; }
thead th { border-bottom: 1px solid; }
tbody th { font-weight: normal; }
tbody th, .text { text-align: left; }
td.text { white-space: normal; }
sup { line-height: 0; }
p, ul { font-size: .875rem; max-width: 60rem; overflow-wrap: anywhere; }
.footnotes { list-style: none; padding: 0; }
@media print {
  :root { color-scheme: light; }
  body { font-size: 8pt; margin: 0; max-width: none; padding: 0; }
  section { overflow: visible; }
  th, td { padding: .1rem .3rem; white-space: normal; }
  thead { display: table-header-group; }
  tr, li { break-inside: avoid; }
}
"""


def html(table: Table) -> str:
    """The table as part of a page: a `table` element, then footnotes, caption and notes.

    Best values are `strong` and second best `u`. Columns of words have the class `text`, so that a
    style can set them to the left and numbers to the right.
    """
    lead = ["#"] if table.ranked else []
    kinds = [' class="text"' if column.style == "text" else "" for column in table.columns]
    heads = [*((text, "") for text in lead), (table.label, ' class="text"')]
    heads += zip((column.head for column in table.columns), kinds, strict=True)
    head = "".join(f'<th scope="col"{kind}>{escape_html(text)}</th>' for text, kind in heads)
    parts = [
        "<table>",
        f"<caption>{escape_html(table.title)}</caption>",
        "<thead>",
        f"<tr>{head}</tr>",
        "</thead>",
        "<tbody>",
        *(_row(line, kinds, table.ranked) for line in lines(table)),
        "</tbody>",
        "</table>",
    ]
    if table.footnotes:
        notes = (
            f"<sup>{letter}</sup> {escape_html(note)}" for note, letter in table.footnotes.items()
        )
        parts += _list(notes, ' class="footnotes"')
    if table.caption:
        parts.append(f"<p>{escape_html(table.caption)}</p>")
    if table.notes:
        parts += _list(map(escape_html, table.notes))
    return "\n".join(parts) + "\n"


def html_file(tables: Sequence[Table], title: str) -> str:
    """A page of tables.

    It loads nothing, has no scripts, follows the reader's choice of light or dark, and repeats the
    head of a table on every printed page.

    Args:
        tables: The tables, in their order.
        title: The page's title and heading.
    """
    name = escape_html(title)
    sections = "".join(f"<section>\n{html(table)}</section>\n" for table in tables)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>\n{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{name}</h1>\n{sections}</body>\n</html>\n"
    )


def escape_html(text: str) -> str:
    """Text that HTML shows as it is, in elements and in quoted attributes."""
    return escape(one_line(text))


def _row(line: Line, kinds: Sequence[str], ranked: bool) -> str:
    letters = f"<sup>{','.join(line.letters)}</sup>" if line.letters else ""
    cells = [f"<td>{line.rank}</td>"] if ranked else []
    cells.append(f'<th scope="row">{escape_html(line.label)}{letters}</th>')
    cells += [
        f"<td{kind}>{_marked(text, mark)}</td>"
        for (text, mark), kind in zip(line.cells, kinds, strict=True)
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _marked(text: str, mark: Mark | None) -> str:
    text = escape_html(text)
    return {"best": f"<strong>{text}</strong>", "second": f"<u>{text}</u>", None: text}[mark]


def _list(items: Iterable[str], kind: str = "") -> list[str]:
    return [f"<ul{kind}>", *(f"<li>{item}</li>" for item in items), "</ul>"]
