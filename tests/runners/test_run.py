"""Whole runs through the command line: records, failures, what is skipped, what is retried."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from results.record import RunRecord
from results.store import Store, load_records
from runners.cli import run_cli

SMOKE = ["--protocol", "smoke", "--set", "max_steps=2", "--jobs", "1"]


def run(*arguments: object) -> int:
    return run_cli(["run", *(str(argument) for argument in arguments), *SMOKE])


@pytest.mark.usefixtures("data_root")
def test_each_kind_of_failure_is_one_row_and_the_others_finish(
    misbehaving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    once = ("--retries", "0")
    assert run("--models", misbehaving, "--out", out, *once) == 2
    shown = capsys.readouterr()
    failures = {failure.spec.model: failure for failure in Store(out).all_failures()}
    assert {name: failure.status for name, failure in failures.items()} == {
        "raises": "error",
        "exits": "killed",
        "is-killed": "killed",
        "overflows": "out of memory",
        "unbounded": "diverged",
    }
    assert "this network is broken" in failures["raises"].exception
    assert "Traceback" in failures["raises"].log_tail
    assert "exit code 7" in failures["exits"].exception
    assert "SIGKILL" in failures["is-killed"].exception
    assert [record.spec.model for record in load_records(out)] == ["good"]
    assert "Traceback" not in shown.err + shown.out
    for name in failures:
        assert f"| {name} |" in shown.out.replace("  ", " ") or name in shown.out
    assert "failed (out of memory)" in shown.out

    # What failed is not tried again, until that is asked for; what is recorded stays.
    record = next(out.rglob("record.json")).read_bytes()
    assert run("--models", misbehaving, "--out", out) == 2
    assert "nothing is missing" in capsys.readouterr().err
    assert max(failure.attempt for failure in Store(out).all_failures()) == 1
    models = f"{misbehaving},!good,!unbounded"
    assert run("--models", models, "--out", out, "--retry-failed", *once) == 2
    attempts = {failure.spec.model: failure.attempt for failure in Store(out).all_failures()}
    assert attempts == {
        "raises": 2, "exits": 2, "is-killed": 2, "overflows": 2, "unbounded": 1
    }  # fmt: skip
    assert next(out.rglob("record.json")).read_bytes() == record


@pytest.mark.usefixtures("data_root")
def test_a_run_leaves_a_whole_record_and_is_done_once(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    keep = ["--set", "keep=both"]
    assert run("--models", pair, "--out", out, *keep) == 0
    first, second = load_records(out)
    assert [first.spec.model[-2:], second.spec.model[-2:]] == ["01", "02"]
    folder = Store(out).folder(first.spec)
    assert set(first.files) == {
        "cases.csv", "predictions.npz", "weights.safetensors", "pair_nets.py"
    }  # fmt: skip
    assert (folder / "pair_nets.py").read_bytes() == pair.read_bytes()
    with np.load(folder / "predictions.npz") as predictions:
        assert len(predictions["ids"]) == first.data.n_test == len(predictions.files) - 1
    assert first.training is not None
    assert first.training.steps == 2
    assert first.code.network_class.endswith("Tiny")
    assert first.cost.params == 1 * 3 * 9 + 1 + 2 + 1 * 2 + 2
    assert not list(folder.glob("checkpoint-*"))
    counts = first.counts["infection"]
    pixels = counts.tp + counts.fp + counts.fn + counts.tn
    assert pixels == first.data.n_test * 256 * 256
    assert {path.name for path in out.glob("leaderboard.*")} >= {
        "leaderboard.md", "leaderboard.tex", "leaderboard.csv"
    }  # fmt: skip
    capsys.readouterr()

    before = {path: path.read_bytes() for path in out.rglob("record.json")}
    assert run("--models", pair, "--out", out, *keep) == 0
    assert "nothing is missing" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("record.json")} == before

    assert run("--models", f"{pair},!*02", "--out", out, "--force", *keep) == 0
    assert len(list(folder.glob("record.json.old-*"))) == 1
    again = next(r for r in load_records(out) if r.spec.model == first.spec.model)
    assert again.scores == first.scores  # the same seed gives the same numbers
    assert again.spec.id == first.spec.id


@pytest.mark.usefixtures("data_root")
def test_a_damaged_record_is_moved_aside_and_run_again(pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    models = f"{pair},!*02"
    assert run("--models", models, "--out", out) == 0
    path = next(out.rglob("record.json"))
    good = RunRecord.from_text(path.read_text())
    edited = json.loads(path.read_text())
    edited["scores"]["infection"]["dice_slice"]["value"] = 0.99
    path.write_text(json.dumps(edited))
    assert load_records(out) == []
    assert run("--models", models, "--out", out) == 0
    assert load_records(out)[0].scores == good.scores
    assert len(list(path.parent.glob("record.json.damaged-*"))) == 1


@pytest.mark.usefixtures("data_root")
def test_a_plan_without_training(
    ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    assert run("--models", ten, "--out", out, "--dry-run", "--folds", "1-2", "--seeds", "0,3") == 0
    assert len(capsys.readouterr().out.splitlines()) == 10 * 2 * 2
    assert not out.exists()


@pytest.mark.usefixtures("data_root")
def test_a_long_plan_stops_without_a_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "--models", "unet", "--out", str(tmp_path / "runs"), "--gpus", "none"]
    assert run_cli(arguments) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert "no GPU" in lines[-2]
    assert "--protocol smoke" in lines[-1]
    assert "--yes" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [
        (["run"], "Which networks?", "--models"),
        (["run", "-m", "minisegg"], "Unknown model 'minisegg'", "miniseg"),
        (["run", "-m", "unet", "--data", "phantm"], "Unknown dataset 'phantm'", "phantom"),
        (["run", "-m", "unet", "-p", "smok"], "Unknown protocol 'smok'", "smoke"),
        (["run", "-m", "unet", "--set", "epoch=3"], "epoch", "epochs"),
        (["run", "-m", "unet", "--set", "epochs=many"], "epochs", ""),
        (["run", "-m", "unet", "--folds", "0"], "--folds '0'", "start at 1"),
        (["run", "-m", "unet", "-p", "smoke", "--folds", "99"], "no fold 99", "1-5"),
        (["run", "-m", "unet", "--task", "lungs"], "Unknown task 'lungs'", "infection"),
        (["run", "-m", "unet", "--executor", "slrm"], "Unknown executor", "local"),
        (["run", "-m", "unet", "--gpus", "77"], "no GPU 77", "none"),
        (["run", "-m", "unet", "--frobnicate"], "frobnicate", "--help"),
        (["frobnicate"], "frobnicate", "--help"),
        (["status", "--out", "/nowhere"], "no folder", "--out"),
        (["report", "--from", "/nowhere"], "no folder", "--from"),
    ],
)
@pytest.mark.usefixtures("data_root")
def test_a_mistake_is_told_in_two_lines(
    arguments: list[str], first: str, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(arguments) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2, lines
    assert first in lines[0]
    assert second in lines[1]


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert run("--models", "unet", "--out", blocked / "runs") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert "can't be written" in lines[0]


def test_a_dataset_with_several_classes_is_refused_before_a_run(
    tmp_path: Path, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    from benchmark.datasets import prepare_dataset

    for name in ("images", "masks"):
        (tmp_path / "own" / name).mkdir(parents=True)
    for number in range(3):
        image = np.full((40, 40), 60 + number, np.uint8)
        Image.fromarray(image).save(tmp_path / "own" / "images" / f"{number}.png")
        mask = np.zeros((40, 40), np.uint8)
        mask[:9], mask[20:29] = 1, 2
        Image.fromarray(mask).save(tmp_path / "own" / "masks" / f"{number}.png")
    labels = {0: 0, 1: 1, 2: 2}
    prepare_dataset("folder", tmp_path / "own", as_name="tissues", root=data_root, label_map=labels)
    assert run("--models", "unet", "--data", "tissues", "--out", tmp_path / "runs") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert "multiclass" in lines[0]
    assert "label_map" in lines[1]
