"""The pages for users say what the code does: commands, files, names, settings, keys."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from benchmark.datasets.catalogue import RECIPES
from benchmark.metrics import METRICS
from benchmark.protocols import list_protocols
from benchmark.settings import format_value
from reports.zoo_page import zoo_page
from results.record import RunRecord
from runners.cli import app
from zoo.selection import list_models

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
NAMES = {
    "network": set(list_models()),
    "protocol": {each.name for each in list_protocols()},
    "dataset": set(RECIPES),
    "metric": {each.measure for each in METRICS.values()},
}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(page: Path) -> list[str]:
    """Every covbench command of a page: lines of bash blocks, and words in backticks."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(covbench [^`\n]+)`", text)
    return [line for line in lines if line.startswith("covbench ")]


def tables(page: Path) -> Iterator[tuple[list[str], list[list[str]]]]:
    text = page.read_text(encoding="utf-8").replace("`", "")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        yield lines[0], lines[2:]


def rows(name: str, head: str) -> list[list[str]]:
    found = tables(ROOT / "docs" / name)
    return [row for first, own in found if first[0] == head for row in own]


@each_page
def test_commands_exist_with_their_options(page: Path) -> None:
    for line in commands(page):
        command: Any = typer.main.get_command(app)
        words = shlex.split(line, comments=True)[1:]
        while words and hasattr(command, "commands") and not words[0].startswith("-"):
            verb = words.pop(0)
            assert verb in command.commands, line
            command = command.commands[verb]
        known = {option for each in command.params for option in each.opts} | {"--help", "-h"}
        assert {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)} <= known, (
            line
        )


@each_page
def test_files_and_names_in_tables_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for target in re.findall(r"`((?:zoo|benchmark|results|reports|runners|tests)/[\w./-]*)`", text):
        assert "NAME" in target or (ROOT / target).exists(), target
    for head, lines in tables(page):
        assert {row[0] for row in lines} <= NAMES.get(head[0], {row[0] for row in lines}), head


def test_lists_are_whole() -> None:
    for head in ("protocol", "metric", "dataset"):
        assert {row[0] for row in rows(f"{head}s.md", head)} == NAMES[head]
    assert (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8") == zoo_page(), "make zoo"
    own = {field.alias or name for name, field in RunRecord.model_fields.items()}
    fields = {part for row in rows("records.md", "field") for part in row[0].split(", ")}
    assert fields == own | {"payload_sha256"}


def test_settings_are_those_of_the_protocols() -> None:
    settings = {row[0]: row[1:] for row in rows("protocols.md", "field")}
    shipped = [
        each.model_dump(mode="json", exclude={"name", "description"}) for each in list_protocols()
    ]
    assert settings == {
        f"{section}.{field}": [format_value(each[section][field]) for each in shipped]
        for section, fields in shipped[0].items()
        for field in fields
    }
