"""`covbench evaluate`: weights of our own training, of others, and the released ones."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.datasets import prepare_dataset
from results.store import load_records
from runners.cli import run_cli


def scores_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, object]]:
    assert run_cli(["evaluate", *map(str, arguments), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, list)
    return found


@pytest.mark.usefixtures("data_root")
def test_a_runs_own_weights_give_its_own_scores(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["--models", f"{pair},!*02", "--protocol", "smoke", "--set", "max_steps=2"]
    trained, again = tmp_path / "runs", tmp_path / "again"
    assert run_cli(["run", *shared, "--set", "keep=both", "--out", str(trained)]) == 0
    (record,) = load_records(trained)
    weights = next(trained.rglob("weights.safetensors"))
    capsys.readouterr()

    (shown,) = scores_of(capsys, "--weights", weights, *shared, "--out", again)
    scores, counts = record.scores["infection"], record.counts["infection"]
    assert shown["scores"] == {key: score.value for key, score in scores.items()}
    assert shown["counts"] == counts.model_dump()
    assert str(shown["name"]).startswith(record.spec.model)
    (evaluated,) = load_records(again)
    assert evaluated.scores == record.scores
    assert evaluated.training is None
    assert evaluated.weights_name == "weights.safetensors"
    assert evaluated.spec.weights == record.files["weights.safetensors"]
    assert evaluated.spec.id != record.spec.id
    assert set(evaluated.files) == {"cases.csv", "predictions.npz", pair.name}
    folder = weights.parent
    for name in evaluated.files:
        assert next(again.rglob(name)).read_bytes() == (folder / name).read_bytes()

    # The second time it is only read; in words it says the same.
    before = {path: path.read_bytes() for path in again.rglob("record.json")}
    arguments = ["evaluate", "--weights", str(weights), *shared, "--out", str(again)]
    assert run_cli(arguments) == 0
    words = capsys.readouterr().out
    assert f"TP {counts.tp:,}  FP {counts.fp:,}  FN {counts.fn:,}  TN {counts.tn:,}" in words
    assert {path: path.read_bytes() for path in again.rglob("record.json")} == before


@pytest.mark.usefixtures("data_root")
def test_weights_of_another_network_are_refused_before_anything_runs(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "other.pth", tmp_path / "runs"
    torch.save({"weight": torch.zeros(3)}, path)
    shared = ["--models", f"{pair},!*02", "--protocol", "smoke", "--out", str(out)]
    assert run_cli(["evaluate", "--weights", str(path), *shared]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "other.pth does not fit" in lines[0] and "1 are foreign" in lines[0]
    assert not out.exists()


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    def lines(*arguments: object) -> list[str]:
        assert run_cli(["evaluate", *map(str, arguments)]) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        found = shown.err.splitlines()
        assert len(found) == 2, found
        return found

    return lines


@pytest.mark.usefixtures("data_root")
def test_a_file_that_cannot_be_read(tmp_path: Path, refused: Callable[..., list[str]]) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"\0" * 50)
    out = tmp_path / "runs"
    for weights in (path, tmp_path / "missing.pth", tmp_path):
        first, _ = refused("--weights", weights, "--models", "unet", "--out", out)
        assert str(weights) in first
    assert not out.exists()


REAL = Path(os.environ.get("COVBENCH_SHARED", "")) / "data"
CHECKPOINT = REAL / "miniseg_reference/MiniSeg_CrossVal1.pth"
KNOWN = {"tp": 244_789, "fp": 84_986, "fn": 50_865, "tn": 4_862_240}


@pytest.fixture
def ct100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not CHECKPOINT.is_file():
        pytest.skip("COVBENCH_SHARED names no folder with the real data and released weights")
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    prepare_dataset("ct100", REAL, root=tmp_path / "data")


@pytest.mark.usefixtures("ct100")
def test_the_released_weights_give_the_published_pixels(
    tmp_path: Path, refused: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["--weights", CHECKPOINT, "--models", "miniseg-83k", "--data", "ct100", "--fold", "1"]
    shared += ["--gpus", "none", "--out", tmp_path / "runs"]
    first, second = refused(*shared, "--protocol", "identical")
    assert CHECKPOINT.name in first
    assert "miniseg-code" in second

    (shown,) = scores_of(capsys, *shared, "--protocol", "miniseg-code")
    assert shown["fold"] == 1
    # Exact on the CPU where it was measured; other kernels may tip a pixel at the boundary.
    assert shown["counts"] == pytest.approx(KNOWN, abs=100)
