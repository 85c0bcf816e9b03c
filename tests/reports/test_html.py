from __future__ import annotations

from html.parser import HTMLParser

import pytest

from reports.tables.html import escape_html, html_file
from reports.tables.table import Cell, Column, Row, Table

HOSTILE = (
    "<script>alert(1)</script>",
    "</table></section><img src=x onerror=alert(1)>",
    "\"double\" 'single' `back`",
    "a & b &amp; &lt;b&gt;",
    "<!-- comment",
    "]]> <![CDATA[",
    "zoë 中文 ❤ ± ↑",
    "bell\x07 null\x00 escape\x1b[31m turned\u202e half\ud800 two\nlines",
    "</style><style>* { display: none }",
    "</title><h1>",
)

TABLE = Table(
    "demo",
    "phantom, protocol smoke",
    (
        Column("dice", "Dice", unit="%", scale=100, higher_is_better=True, shows="interval"),
        Column("hd", "HD", unit="px", higher_is_better=False, brief=False),
        Column("note", "Note", style="text"),
    ),
    (
        Row(
            "enet",
            (Cell(0.75, interval=(0.7, 0.8)), Cell(8.0, 1.0, 2), Cell("first")),
            1,
            notes=("One seed.", "Old code."),
        ),
        Row("unet", (Cell(0.5), Cell(-7.0), Cell()), 2, notes=("Old code.",)),
        Row("fcn8s", (Cell(), Cell(text="failed (killed)"), Cell())),
    ),
    caption="A caption.",
    notes=("On the table.", "And more."),
    label="Network",
)

FRAGMENT = """\
<table>
<caption>phantom, protocol smoke</caption>
<thead>
<tr><th scope="col">#</th><th scope="col" class="text">Network</th>\
<th scope="col">Dice ↑ (%)</th><th scope="col">HD ↓ (px)</th>\
<th scope="col" class="text">Note</th></tr>
</thead>
<tbody>
<tr><td>1</td><th scope="row">enet<sup>a,b</sup></th>\
<td><strong>75.00 [70.00, 80.00]</strong></td><td><u>8.00 ± 1.00</u></td>\
<td class="text">first</td></tr>
<tr><td>2</td><th scope="row">unet<sup>b</sup></th>\
<td><u>50.00</u></td><td><strong>-7.00</strong></td><td class="text">–</td></tr>
<tr><td></td><th scope="row">fcn8s</th>\
<td>–</td><td>failed (killed)</td><td class="text">–</td></tr>
</tbody>
</table>
<ul class="footnotes">
<li><sup>a</sup> One seed.</li>
<li><sup>b</sup> Old code.</li>
</ul>
<p>A caption.</p>
<ul>
<li>On the table.</li>
<li>And more.</li>
</ul>
"""


class Reader(HTMLParser):
    """Reads a page, and refuses elements that are not closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def hostile_table() -> Table:
    columns = tuple(
        Column(f"c{i}", name, unit=name, style="text") for i, name in enumerate(HOSTILE)
    )
    rows = tuple(
        Row(name, tuple(Cell(each) for each in HOSTILE), i, notes=(name, f"more {name}"))
        for i, name in enumerate(HOSTILE, start=1)
    )
    return Table(
        HOSTILE[0], " ".join(HOSTILE), columns, rows, " ".join(HOSTILE), HOSTILE, label=HOSTILE[0]
    )


def test_a_fragment() -> None:
    assert TABLE.to_html() == FRAGMENT
    read(FRAGMENT)


def test_a_plain_table_has_no_rank_notes_or_lists() -> None:
    plain = Table("t", "T", (Column("x", "X"),), (Row("a", (Cell(1.0),)),))
    assert plain.to_html() == (
        "<table>\n<caption>T</caption>\n<thead>\n"
        '<tr><th scope="col" class="text">Model</th><th scope="col">X</th></tr>\n'
        '</thead>\n<tbody>\n<tr><th scope="row">a</th><td>1.00</td></tr>\n</tbody>\n</table>\n'
    )


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<script>", "&lt;script&gt;"),
        ("\"a\" 'b'", "&quot;a&quot; &#x27;b&#x27;"),
        ("a &amp; b", "a &amp;amp; b"),
        ("zoë 中文 ± 2", "zoë 中文 ± 2"),
        ("two\nlines\tand\x00 more\x1b[31m \u202e", "two lines and more [31m"),
        ("half\ud800", "half"),
        ("miniseg[strict=true]", "miniseg[strict=true]"),
    ],
)
def test_escape_html(text: str, escaped: str) -> None:
    assert escape_html(text) == escaped


def test_hostile_names_stay_text() -> None:
    page = html_file([hostile_table()], HOSTILE[9] + HOSTILE[8])
    page.encode("utf-8")
    assert all(each == "\n" or each.isprintable() for each in page)
    found = read(page)
    known = {
        *("html", "head", "meta", "title", "style", "body", "h1", "section", "table", "caption"),
        *("thead", "tbody", "tr", "th", "td", "strong", "u", "sup", "ul", "li", "p"),
    }
    assert set(found.tags) <= known
    assert {name for name, _ in found.attributes} <= {
        *("lang", "charset", "name", "content", "scope", "class")
    }
    assert found.tags.count("h1") == found.tags.count("table") == found.tags.count("style") == 1
    assert found.tags.count("td") == len(HOSTILE) * (len(HOSTILE) + 1)
    for name in HOSTILE[:7]:
        assert name in found.text
        assert any(each.strip() == f"more {name}" for each in found.text)


def test_a_page_of_tables_needs_nothing_else() -> None:
    page = html_file([TABLE, hostile_table()], "covbench: <demo>")
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    assert '<meta charset="utf-8">' in page
    assert "<title>covbench: &lt;demo&gt;</title>" in page
    assert "<h1>covbench: &lt;demo&gt;</h1>" in page
    assert f"<section>\n{FRAGMENT}</section>\n" in page
    found = read(page)
    assert found.tags.count("table") == 2
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "color-scheme: light dark" in style and "@media print" in style
    assert "url(" not in style and "@import" not in style
    assert style.count("{") == style.count("}")


def test_a_page_without_tables() -> None:
    assert read(html_file([], "Nothing")).tags.count("section") == 0
