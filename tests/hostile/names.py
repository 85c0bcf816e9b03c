"""Markup in names: every format that shows a name shows it as text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reports.boards.leaderboard import write_leaderboard
from reports.report import Wish, write_report
from results.store import Store
from tests.factory import make_failure
from tests.hostile.case import Case
from tests.stores import write_run

NAMES = {
    "HTML": "<script>alert(1)</script>",
    "an HTML attribute": "\" onload='alert(1)' x=\"",
    "an HTML comment": "--></script><!--<img src=x>",
    "LaTeX": r"\input{/etc/passwd}\write18{x}%$#_&~^{}",
    "Markdown": "|a|[x](javascript:1)`b`*c*_d_![y](z)",
    "a formula": "=cmd|' /C calc'!A0",
    "quotes": "a\"b'c,d;e",
    "spaces": " a  b ",
    "Unicode": "肺 é 🫁 ñ ß",
    "formats": "%s%n{0}{x!r}$HOME`id`",
    "commands of terminals": "\x1b]0;owned\x07\x1b[2J\r\x9b5A",
    "mathematics": "$\\frac{$ a $x^$",
    "markup of terminals": "[bold red]x[/bold red][link=a]",
}


def store(name: str) -> Callable[[Path], Path]:
    """Runs of a network whose names are markup, trained and failed."""

    def make(folder: Path) -> Path:
        made = Store(folder / "runs")
        for place, model in enumerate((name, "unet")):
            for fold in (1, 2):
                dice = {"p1-0": 0.5 + place / 10, f"{name}-1": 0.6 + place / 10, "p3-0": None}
                write_run(made, dice, model=model, fold=fold, dataset=name, protocol=name)
        made.write_failure(make_failure(f"{name}x", dataset=name, protocol=name))
        return folder / "runs"

    return make


def leaderboard(path: Path, out: Path) -> Any:
    copy = out / "runs"
    _copy(path, copy)
    return {each.suffix: each.read_text("utf-8") for each in write_leaderboard(copy).paths}


def report(path: Path, out: Path) -> Any:
    copy = out / "runs"
    _copy(path, copy)
    written = write_report(copy, out / "report", Wish(figures=(), page=True))
    return {each.name: each.read_text("utf-8") for each in written.paths if each.suffix != ".png"}


def _copy(path: Path, to: Path) -> None:
    for each in path.rglob("*"):
        if each.is_file():
            target = to / each.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(each.read_bytes())


def shown_as_text(name: str) -> Callable[[Any], bool]:
    """Whether every file shows the name and none lets it act."""

    def right(files: dict[str, str]) -> bool:
        for file, text in files.items():
            if not file.endswith(".json"):  # where they are escaped
                assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), file
            if file.endswith(".html"):
                inert = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
                assert "<script>alert" not in text and "onload='alert" not in inert, file
                assert "<img src=x" not in text, file
            elif file.endswith(".tex"):
                assert r"\input{/etc" not in text and r"\write18" not in text, file
            elif file.endswith(".md"):
                assert "<script>" not in text and "<img" not in text, file
                assert "](javascript" not in text.replace("\\]", ""), file
            elif file.endswith(".csv"):
                rows = list(csv.reader(io.StringIO(text)))
                assert len({len(row) for row in rows}) == 1, file
            elif file.endswith(".json"):
                json.loads(text)
        return bool(files)

    return right


def _cases() -> Iterator[Case]:
    for word, name in NAMES.items():
        right = shown_as_text(name)
        yield Case(f"leaderboard with {word}", leaderboard, store(name), "ok", right=right)
        yield Case(f"report with {word}", report, store(name), "ok", right=right)


CASES = tuple(_cases())
