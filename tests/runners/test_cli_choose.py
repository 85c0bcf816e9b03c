"""`covbench choose`: what it prints, and what it refuses in two lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.machines import write_profile
from results.store import Store
from runners.cli import run_cli
from tests.factory import make_scores
from tests.reports.profiles import make_network, make_profile
from tests.stores import write_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three networks of one run each."""
    store = Store(tmp_path / "runs")
    for model, params, dice in (("unet", 3000, 0.8), ("enet", 300, 0.7), ("cgnet", 400, 0.6)):
        own = {f"p{n}-1": dice for n in range(4)}
        write_run(store, own, model=model, params=params, scores=make_scores(dice))
    return store.root


def test_a_table_in_a_pipe(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["choose", "--from", str(root), "--max-params", "1K"]) == 0
    text = capsys.readouterr().out
    assert text.index("| enet") < text.index("| cgnet")
    assert "| unet" not in text
    assert "Left out: 1 by --max-params." in text


def test_objects_and_a_profile(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "profile.json"
    write_profile(make_profile(make_network("enet", 300, 2_000_000, 5.0)), path)
    options = ["--min-fps", "100", "--machine", str(path), "--by", "miou", "--json"]
    assert run_cli(["choose", "--from", str(root), *options]) == 0
    enet, *others = json.loads(capsys.readouterr().out)
    assert (enet["name"], enet["fps"], enet["by"]) == ("enet", 200.0, "miou_pooled")
    assert [each["fails"] for each in others] == [["without a measured fps"]] * 2


def test_an_empty_choice_is_no_failure(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["choose", "--from", str(root), "--max-params", "150"]) == 0
    assert "nearest: enet (2 times --max-params)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "problem", "remedy"),
    [
        (["--max-params", "1Q"], "--max-params '1Q' is no number", "472.44K"),
        (["--min-fps", "100"], "--min-fps needs measured speeds", "covbench profile"),
        (["--machine", "h300"], "Unknown machine", "epyc"),
        (["--machine", "none.json"], "can't be read", "path"),
        (["--by", "dise"], "Unknown metric", "Did you mean dice"),
        (["--data", "phantm"], "Unknown dataset", "phantom"),
        (["--from", "/nowhere"], "no folder", "--from"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    root: Path,
    arguments: list[str],
    problem: str,
    remedy: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = [] if "--from" in arguments else ["--from", str(root)]
    assert run_cli(["choose", *arguments, *store]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert problem in lines[0]
    assert remedy in lines[1]
