"""A store with a run, and the command with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.store import load_records
from runners.cli import run_cli
from tests.runners.predicting.scans import Predict
from tests.trained import trained


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A store with one run, whose network finds what is brighter than 232 of 255."""
    root = tmp_path / "runs"
    trained(root, 232 / 255)
    return root


@pytest.fixture
def predict(runs: Path, tmp_path: Path) -> Predict:
    """Predict with the first run of the store into tmp_path/out."""

    def call(*arguments: object, run: str | None = None) -> int:
        name = run or load_records(runs)[0].spec.id
        words = ["predict", "--run", name, "--from", runs, "--out", tmp_path / "out", *arguments]
        return run_cli([str(word) for word in words])

    return call
