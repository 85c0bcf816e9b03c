"""`covbench trace` and `covbench compare --factors` on runs that were really trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.comparing.rescoring import rescore, rounding, score_rule, truths_of
from results.cases import CASES, read_cases
from results.predictions import PREDICTIONS, read_predictions
from results.store import load_records
from runners.cli import run_cli
from tests.runners.conftest import MANY, TINY

NETWORKS = 'NAME, COUNT = "traced", 2\n'


@pytest.fixture(scope="module")
def trained(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the runs of traced01 and traced02 on one fold, and a report."""
    folder = tmp_path_factory.mktemp("traced")
    networks = folder / "traced_nets.py"
    networks.write_text(TINY + NETWORKS + MANY)
    smoke = ["--protocol", "smoke", "--set", "max_steps=2", "--jobs", "1"]
    assert run_cli(["run", "--models", str(networks), "--out", str(folder / "runs"), *smoke]) == 0
    assert run_cli(["report", "--from", str(folder / "runs"), "--to", str(folder / "report")]) == 0
    yield folder


def traced(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    table = str(folder / "report" / "leaderboard.tex")
    assert run_cli(["trace", table, *words, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_stored_predictions_give_the_scores_of_the_run_again(trained: Path) -> None:
    cases = read_cases(trained / "runs")
    records = load_records(trained / "runs")
    assert len(records) == 2
    for record in records:
        truths, rule = truths_of(record.spec), score_rule(record.spec)
        again = rescore(read_predictions(trained / "runs", record), truths, rule)
        frame = cases.frame[cases.frame["run"] == record.spec.id]
        own = {str(row["id"]): row for row in frame.to_dict("records")}
        assert list(own) == [row["id"] for row in again.rows]
        told = rounding(again, list(own.values()))  # type: ignore[arg-type]
        assert told.unexplained == ()
        assert told.pixels <= told.close
        same = {
            str(row["id"]): {key: value for key, value in row.items() if value == value}
            for row in again.rows
            if row["tp"] == own[str(row["id"])]["tp"] and row["fp"] == own[str(row["id"])]["fp"]
        }
        assert len(same) >= len(own) - told.pixels
        for image, row in same.items():
            assert row == {key: own[image][key] for key in row}


def test_a_number_is_traced_to_its_runs(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = traced(trained, capsys, "traced01", "Dice")
    assert (found["how"], found["column"], len(found["runs"])) == ("mean", "dice_slice", 1)
    assert [each["agrees"] for each in found["checks"]][:2] == [True, True]
    assert found["checks"][2]["agrees"] is not False
    assert (found["runs"][0]["fold"], found["runs"][0]["seed"]) == (1, 0)
    assert all((Path(each["folder"]) / "record.json").is_file() for each in found["runs"])
    assert found["runs"][0]["env"]["packages"]["torch"]
    assert "optim.max_steps=2" in found["protocol"]
    assert len(found["images"]) == 6
    whole = traced(trained, capsys, "traced01", "Dice", "--all")["images"]
    assert len(whole) == sum(each["images"] for each in found["runs"])
    defined = [each["score"] for each in whole if each["score"] is not None]
    assert defined == sorted(defined)
    assert [each["score"] for each in found["images"]] == [*defined[:3], *defined[-3:]]

    table = str(trained / "report" / "leaderboard.md")
    assert run_cli(["trace", table, "traced01", "params"]) == 0
    shown = capsys.readouterr().out
    assert "agrees with the table to the digit" in shown
    assert run_cli(["trace", table, "traced02", "hd95_slice_px", "--images", "1"]) == 0
    shown = capsys.readouterr().out
    for word in ("smoke (optim.max_steps=2)", "score.both_empty undefined", "torch", "covbench "):
        assert word in shown
    assert "--all lists them all" in shown


def test_a_disagreement_ends_with_two_lines_and_exit_code_1(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(trained / "report" / "leaderboard.csv")
    found = traced(trained, capsys, "traced02", "Dice")
    path = Path(found["runs"][0]["folder"]) / CASES
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        for more in ([], ["--json"]):
            assert run_cli(["trace", table, "traced02", "Dice", *more]) == 1
            first, second = capsys.readouterr().err.splitlines()
            assert found["runs"][0]["id"][:12] in first
            assert str(path.parent) in second
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(
    ("arguments", "problem", "remedy"),
    [
        (["traced1", "Dice"], "Unknown row 'traced1'", "Did you mean traced01"),
        (["traced01", "dice"], "Unknown column 'dice'", "dice_slice"),
        (["traced01", "Runs"], "no run is named for it", "params"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    trained: Path,
    arguments: list[str],
    problem: str,
    remedy: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(["trace", str(trained / "report" / "leaderboard.md"), *arguments]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert problem in first
    assert remedy in second


def compared(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run_cli(["compare", *map(str, arguments), "--json"]) == 0
    read: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return read


def test_factors_of_trained_runs(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--from", trained / "runs"]
    found = compared(capsys, "--factors", *store, "--thresholds", "0.4", "--metric", "dice_slice")
    assert [line["name"] for line in found][-1] == "threshold 0.4"
    assert found[0]["name"] == "as scored"
    assert (found[0]["tau"], found[0]["change"]) == (1, 0)
    # The first line is what `covbench compare` says of the same runs, but for rounded pixels.
    means = {
        line["name"]: line["mean"]
        for line in compared(capsys, "traced01", "traced02", *store, "--metric", "dice_slice")[:2]
    }
    assert found[0]["best_mean"] == pytest.approx(max(means.values()), abs=1e-3)
    assert means[found[0]["best"]] == max(means.values())

    towards = compared(capsys, "--protocols", "smoke,miniseg-code", *store)
    assert [line["name"] for line in towards][1:] == [
        "score.pred_empty = zero-all",
        "score.surface_points = foreground",
        "all of these together",
    ]
    assert any("optim.epochs (100 and 80)" in note for note in towards[0]["notes"])


def test_mistakes_with_factors(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--factors", "--from", str(trained / "runs")]
    for arguments, problem, remedy in (
        (["--thresholds", "30"], "no list of probabilities", "0.3,0.7"),
        (["-m", "traced1"], "Unknown row 'traced1'", "traced01"),
        (["--metric", "dicce"], "Unknown metric", "Did you mean dice"),
        (["--protocols", "smoke,identicall"], "identicall", "identical"),
        (["--protocols", "smoke"], "names 1 protocols", "P1,P2"),
        (["--protocols", "smoke,identical"], "judge a prediction alike", "covbench run"),
        (["traced01"], "Only 1 rows", "two or more"),
    ):
        assert run_cli(["compare", *store, *arguments]) == 1, arguments
        first, second = capsys.readouterr().err.splitlines()
        assert problem in first
        assert remedy in second
    kept = list((trained / "runs").rglob(PREDICTIONS))
    for path in kept:
        path.rename(path.with_suffix(".away"))
    try:
        assert run_cli(["compare", *store]) == 1
    finally:
        for path in kept:
            path.with_suffix(".away").rename(path)
    first, second = capsys.readouterr().err.splitlines()
    assert "no predictions" in first
    assert "--set keep=predictions" in second
