"""TensorBoard and MLflow are told the scalars of a run, and can't harm it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from results.store import load_records
from runners import loggers
from runners.cli import run_cli
from runners.loggers import Loggers, check_loggers
from tests.factory import make_record, make_spec
from zoo.errors import CovbenchError

SMOKE = ["--protocol", "smoke", "--jobs", "1"]


def in_tensorboard(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by tag, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(each.step, each.value) for each in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def in_mlflow(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every run's tags, state, and steps and values by metric."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient((root / "mlruns").resolve().as_uri())
    experiment = client.get_experiment_by_name("covbench")
    assert experiment is not None
    return [
        {
            "id": run.data.tags["covbench.id"],
            "state": run.info.status,
            "values": {
                name: [
                    (each.step, each.value)
                    for each in client.get_metric_history(run.info.run_id, name)
                ]
                for name in run.data.metrics
            },
        }
        for run in client.search_runs([experiment.experiment_id])
    ]


def test_both_are_told_the_same(
    pair: Path, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "runs"
    arguments = ["run", "--models", f"{pair},!*02", "--out", str(out), *SMOKE]
    assert run_cli([*arguments, "--log", "tensorboard,mlflow"]) == 0
    (record,) = load_records(out)
    assert record.training is not None
    expected = {"loss": list(enumerate(record.training.curve, 1))}
    for metric, score in record.scores["infection"].items():
        if score.value is not None:
            expected[f"infection/{metric}"] = [(record.training.epochs, score.value)]
    assert len(expected) > 5
    board = in_tensorboard(out / "tensorboard" / record.spec.folder)
    assert board.keys() == expected.keys()
    for tag, points in board.items():
        assert [step for step, _ in points] == [step for step, _ in expected[tag]]
        values = [value for _, value in expected[tag]]
        assert [value for _, value in points] == pytest.approx(values, rel=1e-6)  # single precision
    (run,) = in_mlflow(out, monkeypatch)
    assert run == {"id": record.spec.id, "state": "FINISHED", "values": expected}


def test_a_resumed_run_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, names = make_spec("unet"), ("tensorboard", "mlflow")
    said: list[str] = []
    first = Loggers(names, tmp_path, spec, said.append)
    first.begin(0)
    for epoch in (1, 2, 3):
        first.scalars({"loss": 1 / epoch}, epoch)
    # Killed now, and continued from the checkpoint after the second epoch.
    again = Loggers(names, tmp_path, spec, said.append)
    again.begin(2)
    for epoch in (3, 4):
        again.scalars({"loss": 1 / epoch}, epoch)
    again.scores(make_record("unet", 0.75).scores, 4)
    again.close(finished=True)
    assert said == []
    board = in_tensorboard(tmp_path / "tensorboard" / spec.folder)
    assert [step for step, _ in board["loss"]] == [1, 2, 3, 4]
    (run,) = in_mlflow(tmp_path, monkeypatch)
    assert run["values"]["loss"] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert run["values"]["infection/dice_slice"] == [(4, 0.75)]


class Broken:
    """Fails at some point, with a secret in its message."""

    def __init__(self, at: str) -> None:
        self.at = at
        self._reach("begin")

    def _reach(self, place: str) -> None:
        if place == self.at:
            raise OSError("https://user:hunter2@tracking is gone")

    def scalars(self, values: object, step: int) -> None:
        self._reach("scalars")

    def close(self, finished: bool) -> None:
        self._reach("close")


@pytest.mark.parametrize("at", ["begin", "scalars", "close"])
def test_one_that_fails_is_dropped_and_said_once(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers, "_MLflow", lambda store, spec, done: Broken(at))
    said: list[str] = []
    told = Loggers(("mlflow", "tensorboard"), tmp_path, make_spec("unet"), said.append)
    told.begin(0)
    told.scalars({"loss": 1.0}, 1)
    told.scalars({"loss": 0.5}, 2)
    told.close(finished=True)
    assert len(said) == 1
    assert said[0].startswith("mlflow failed (OSError)")
    assert "hunter2" not in said[0]
    board = in_tensorboard(tmp_path / "tensorboard" / make_spec("unet").folder)
    assert board["loss"] == [(1, 1.0), (2, 0.5)]


def test_a_missing_package_is_told_before_anything_is_run(
    pair: Path,
    tmp_path: Path,
    data_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = importlib.util.find_spec
    missing = lambda name: None if name == "mlflow" else found(name)  # noqa: E731
    monkeypatch.setattr(loggers, "find_spec", missing)
    out = tmp_path / "runs"
    assert run_cli(["run", "--models", str(pair), "--out", str(out), "--log", "mlflow"]) == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert "mlflow" in problem
    assert "covbench[mlflow]" in remedy
    assert not out.exists()


def test_unknown_loggers_are_refused_and_each_is_named_once() -> None:
    assert check_loggers(["tensorboard", "mlflow", "tensorboard"]) == ("tensorboard", "mlflow")
    with pytest.raises(CovbenchError, match="tensorbord"):
        check_loggers(["tensorbord"])
