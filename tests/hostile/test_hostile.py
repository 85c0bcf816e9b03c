"""Every hostile file ends in a two-line error or a right answer, and in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.case import run_case
from tests.hostile.table import CASES, MODULES


def test_no_case_hides_another() -> None:
    assert len(CASES) == sum(len(module.CASES) for module in MODULES) >= 300


@pytest.mark.parametrize("name", CASES)
def test_hostile(name: str, tmp_path: Path) -> None:
    run_case(CASES[name], tmp_path / "room")
