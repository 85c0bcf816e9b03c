"""The page itself: one HTML file with its style, its script and its data, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from reports.page.data import page_data
from reports.subject import Holdings
from reports.tables.table import Table
from results.files import write_atomically
from results.provenance import covbench_version

NAME = "report.html"
_STYLES = ("page.css", "parts.css", "print.css")
_SCRIPTS = (
    "dom.js",
    "axes.js",
    "table.js",
    "filter.js",
    "pareto.js",
    "curves.js",
    "card.js",
    "compare.js",
    "page.js",
)


def write_page(
    holdings: Holdings, tables: Sequence[Table], out: Path, *, images: bool = True
) -> Path:
    """Write the report as one page that needs no network and no other file.

    Args:
        holdings: What the store holds.
        tables: Its tables, in the order of the page.
        out: The folder that `report.html` goes to.
        images: Whether to show a few test images with their predictions, where both are here.

    Returns:
        The path of the page. The same store and tables give the same bytes.
    """
    path = out / NAME
    write_atomically(path, page(page_data(holdings, tables, images=images)))
    return path


def page(data: Mapping[str, Any]) -> str:
    """The page that shows some data.

    The policy in its head lets the browser run this one script, use this one style and show
    pictures that are in the page; whatever a record holds, nothing is loaded or sent.

    Args:
        data: What `page_data` gives.
    """
    style, script = _joined(_STYLES), _joined(_SCRIPTS)
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "title": html.escape(str(data["title"])),
        "policy": html.escape(policy, quote=False),
        "style": style,
        "script": script,
        "data": as_json(data),
        "version": html.escape(covbench_version()),
    }
    # In one pass, so that a placeholder within the data stays what it is.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _text("page.html"))


def as_json(data: Any) -> str:
    """JSON that can stand in a `script` element: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII: no U+2028 either
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _joined(names: Sequence[str]) -> str:
    return "\n" + "\n".join(_text(name) for name in names)


def _text(name: str) -> str:
    return files("reports.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The hash by which a policy names a script or a style that stands in the page."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
