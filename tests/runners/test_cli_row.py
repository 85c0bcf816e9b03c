"""`covbench row`: one's own network trained alone and set among the rows of a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.archive import Keep, pack
from results.store import load_records
from runners.cli import run_cli
from tests.runners.conftest import TINY

OWN = (
    TINY
    + """

@register_model("row-mine")
def mine(in_channels, num_classes):
    return Tiny(in_channels, num_classes)
"""
)

OTHERS = (
    TINY
    + """

@register_model("row-first")
def first(in_channels, num_classes):
    return Tiny(in_channels, num_classes, 6)


@register_model("row-second")
def second(in_channels, num_classes):
    return Tiny(in_channels, num_classes, 8)
"""
)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """A store of two networks on two folds and two seeds, two steps each; mine.py lies beside."""
    folder = tmp_path_factory.mktemp("row")
    (folder / "others.py").write_text(OTHERS)
    (folder / "mine.py").write_text(OWN)
    out = folder / "theirs"
    command = ["run", "--models", str(folder / "others.py"), "--protocol", "smoke"]
    command += ["--set", "max_steps=2", "--folds", "1-2", "--seeds", "0-1", "--jobs", "2"]
    assert run_cli([*command, "--out", str(out)]) == 0
    return out


def row(beside: Path, tmp_path: Path, *arguments: object) -> int:
    words = [beside.parent / "mine.py", "--out", tmp_path / "own", "--to", tmp_path / "row"]
    return run_cli(["row", *map(str, (*words, *arguments)), "--jobs", "2"])


def test_only_ones_own_network_is_trained_on_the_same_folds_and_seeds(
    beside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in beside.rglob("record.json")}
    capsys.readouterr()
    assert row(beside, tmp_path, "--beside", beside, "--json") == 0
    shown = capsys.readouterr()
    assert "4 runs: 0 done, 4 to do" in shown.err
    records = load_records(tmp_path / "own")
    assert {(r.spec.row, r.spec.fold, r.spec.seed) for r in records} == {
        ("row-mine", fold, seed) for fold in (1, 2) for seed in (0, 1)
    }
    assert {path: path.read_bytes() for path in beside.rglob("record.json")} == before
    assert {r.spec.settings["optim"]["max_steps"] for r in records} == {2}

    items = json.loads(shown.out)
    title = "phantom, protocol smoke with optim.max_steps=2"
    board = [item for item in items if item["table"] == title]
    assert {"row-mine", "row-first", "row-second"} < {item["name"] for item in board}
    tests = [item for item in items if "p_holm" in item]
    assert {item["name"] for item in tests} == {"row-mine", "row-first", "row-second"}
    (rank, told) = items[0]["sentences"]
    assert rank.startswith("row-mine is number ") and " of 3 by mean Dice" in rank
    assert "Holm's correction for 2 comparisons" in told

    written = {path.name for path in (tmp_path / "row").iterdir()}
    assert {"leaderboard.tex", "statistics.md", "row.tex", "row.md", "accuracy.pdf"} <= written
    line = (tmp_path / "row" / "row.tex").read_text()
    assert "{row-mine}" in line
    assert line.strip() in (tmp_path / "row" / "leaderboard.tex").read_text()

    # The same command trains nothing, beside an exported file too.
    pack(beside, tmp_path / "theirs.covbench", keep=Keep())
    assert row(beside, tmp_path, "--beside", tmp_path / "theirs.covbench") == 0
    shown = capsys.readouterr()
    assert "nothing is missing" in shown.err
    assert line.strip() in shown.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--beside", "nowhere"), "There is no folder nowhere"),
        (("--data", "ct100"), "ct100"),
        (("--protocol", "identical"), "identical"),
        (("--spread", "sds"), "sds"),
        (("--metric", "dise"), "dise"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(
    beside: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    capsys.readouterr()
    given = words if "--beside" in words else ("--beside", str(beside), *words)
    assert row(beside, tmp_path, *given) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 2
    assert not (tmp_path / "own").exists()
