"""The floors of the house: a package imports only from those under it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("zoo", "benchmark", "results", "reports", "runners")
FILES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imported_packages(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor they reach"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_reach_down_only(path: Path) -> None:
    floor = FLOORS.index(path.relative_to(ROOT).parts[0])
    above = imported_packages(path) & {*FLOORS[floor + 1 :], "covbench"}
    assert not above, f"{path} reaches up to {sorted(above)}"


def test_there_are_files_on_every_floor() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(FLOORS)
