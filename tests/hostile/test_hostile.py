"""Every hostile file ends in a two-line error or a right answer, and in nothing else."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from tests.hostile.case import run_case
from tests.hostile.table import CASES, MODULES


def test_no_case_hides_another() -> None:
    assert len(CASES) == sum(len(module.CASES) for module in MODULES) >= 300


@pytest.mark.parametrize("name", CASES)
def test_hostile(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run_case(CASES[name], tmp_path / "room")
    assert not warned, [str(each.message) for each in warned]
    printed = "".join(capfd.readouterr()).splitlines()  # two lines are all that a user is told
    assert [
        line for line in printed if not line.startswith("TIFF")
    ] == []  # libtiff can't be hushed
