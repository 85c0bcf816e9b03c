"""`covbench compare`: what it prints and writes, and what it refuses in two lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.protocols import load_protocol
from results.store import Store
from runners.cli import run_cli
from tests.stores import write_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """unet and enet under smoke and a paper's protocol, two seeds on one fold."""
    made = Store(tmp_path / "runs")
    paper = {"protocol": "miniseg-code", "settings": load_protocol("miniseg-code").canonical()}
    means = {("unet", 0): 0.7, ("enet", 0): 0.5, ("unet", 1): 0.4, ("enet", 1): 0.6}
    for (model, place), mean in means.items():
        for seed in (0, 1):
            dice = {f"{patient}-1": mean + patient / 100 + seed / 50 for patient in range(8)}
            changes: dict[str, Any] = paper if place else {}
            write_run(made, dice, model=model, seed=seed, **changes)
    return made.root


def found(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run_cli(["compare", *map(str, arguments), "--json"]) == 0
    read: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return read


def test_two_rows(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["unet", "enet", "--from", root, "--protocol", "smoke"]
    unet, enet, difference = found(capsys, *shared, "--to", tmp_path / "out")
    assert (unet["name"], enet["name"], difference["name"]) == ("unet", "enet", "unet − enet")
    assert difference["difference"] == pytest.approx(0.2)
    assert difference["difference"] == pytest.approx(unet["mean"] - enet["mean"])
    assert difference["p"] == pytest.approx(2 / 2**8)
    assert "paired bootstrap over 8 patients" in difference["caption"]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {f"compare.{each}" for each in ("md", "tex", "csv", "html", "json")}

    (*_, single) = found(capsys, *shared, "--seeds", "1")
    assert single["seeds"] == 1
    (one, *_) = found(capsys, *shared, "--metric", "hd95_px", "--resample-seeds")
    assert one["metric"] == "hd95_patient_px"
    assert run_cli(["compare", *map(str, shared)]) == 0
    assert "Wilcoxon signed-rank test" in capsys.readouterr().out


def test_two_stores(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Store(tmp_path / "other")
    for seed in (0, 1):
        write_run(other, {f"{patient}-1": 0.6 for patient in range(8)}, model="unet", seed=seed)
    *_, difference = found(capsys, root, other.root, "--models", "unet", "--protocol", "smoke")
    assert difference["name"] == f"unet in {root} − unet in {other.root}"


def test_two_protocols(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["--protocols", "smoke,miniseg-code", "--from", root]
    unet, enet = found(capsys, *shared)
    assert (unet["name"], unet["rank_first"], unet["rank_second"]) == ("unet", 1, 2)
    assert enet["difference"] == pytest.approx(0.1)
    lines = found(capsys, "unet", *shared)
    assert len(lines) == 5
    assert lines[0]["name"] == "unet (smoke)"


@pytest.mark.parametrize(
    ("arguments", "problem", "remedy"),
    [
        (["unet"], "What is compared", "--protocols"),
        (["unet", "enet"], "several comparisons", "--protocol"),
        (["unet", "ennet", "-p", "smoke"], "Unknown row 'ennet'", "Did you mean enet"),
        (["unet", "enet", "-p", "smoke", "--folds", "7"], "no per-image scores", "covbench run"),
        (["unet", "enet", "-p", "smoke", "--metric", "dise"], "Unknown metric", "dice"),
        (["unet", "enet", "--models", "unet"], "What is compared", "two folders"),
        (["--protocols", "smoke"], "names 1 protocols", "P1,P2"),
        (["--protocols", "smoke,miniseg-cod"], "Unknown protocol", "miniseg-code"),
        (["unet", "enet", "--from", "/nowhere"], "no folder", "--from"),
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
    assert run_cli(["compare", *arguments, *store]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert problem in lines[0]
    assert remedy in lines[1]


def test_lungs_beside_the_infection(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(root)
    for model, mean in (("unet", 0.9), ("enet", 0.8)):
        for protocol in ({}, {"protocol": "miniseg-code"}):
            settings = load_protocol(protocol.get("protocol", "smoke")).canonical()
            dice = {f"{patient}-1": mean + patient / 100 for patient in range(8)}
            lung = {"task": "lung", "data_hash": "e" * 64, "settings": settings, **protocol}
            write_run(store, dice, model=model, seed=0, **lung)
            write_run(store, dice, model=model, seed=1, **lung)
    shared = ["--from", root, "--protocols", "smoke,miniseg-code"]
    of_infection, of_lungs = (found(capsys, *shared, *task) for task in ((), ("--task", "lung")))
    assert {row["name"] for row in of_infection} == {"unet", "enet"}
    assert {row["name"] for row in of_lungs} == {"unet (lung)", "enet (lung)"}
    (one, *_) = found(capsys, "unet (lung)", "enet (lung)", "--from", root, "--protocol", "smoke")
    assert one["mean"] == pytest.approx(0.935)
