"""Losses and scores of a run also for TensorBoard or MLflow. The record is what counts.

Both are told the same: `loss` after each epoch (and what else an epoch has), and in the end every
score as `target/metric`. A logger that fails is dropped, and the run goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmark.metrics import Score
from results.spec import RunSpec
from zoo.errors import CovbenchError, unknown

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_NAMES = ("tensorboard", "mlflow")
_EXPERIMENT = "covbench"
_ID = "covbench.id"


class RunLogger(Protocol):
    """What is told the scalars of one run."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Note values by name; `step` is the number of the epoch."""

    def close(self, finished: bool) -> None:
        """Write what is still in memory; the run has its record, or will be continued."""


def check_loggers(names: Sequence[str]) -> tuple[str, ...]:
    """The loggers that a user names, each once.

    Raises:
        CovbenchError: There is no such logger, or its package is missing.
    """
    for name in names:
        if name not in _NAMES:
            raise unknown("logger", name, _NAMES, ", ".join(_NAMES))
        if find_spec(name) is None:
            raise CovbenchError(
                f"--log {name} needs the package {name}, which is not installed.",
                f"Install it: pip install 'covbench[{name}]'",
            )
    return tuple(dict.fromkeys(names))


class Loggers:
    """The loggers of one run; one that fails is named and dropped.

    Args:
        names: Of the loggers, as `check_loggers` gave them.
        store: Folder of the records; TensorBoard's files go to `tensorboard/` in it, MLflow's to
            `mlruns/`, unless MLFLOW_TRACKING_URI says otherwise.
        spec: The run.
        say: Told in a sentence when a logger is dropped.
    """

    def __init__(
        self,
        names: Sequence[str],
        store: Path,
        spec: RunSpec,
        say: Callable[[str], object] = print,
    ) -> None:
        self._names, self._store, self._spec, self._say = names, store, spec, say
        self._open: dict[str, RunLogger] = {}

    def begin(self, done: int) -> None:
        """Open the loggers; `done` epochs they were told by an attempt that is now continued."""
        for name in self._names:
            kind = _TensorBoard if name == "tensorboard" else _MLflow
            try:
                self._open[name] = kind(self._store, self._spec, done)
            except Exception as error:
                self._drop(name, error)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Note values by name; `step` is the number of the epoch."""
        self._each(lambda logger: logger.scalars(values, step))

    def scores(self, scores: Mapping[str, Mapping[str, Score]], step: int) -> None:
        """Note the final scores by target and metric; an undefined one is left out."""
        self.scalars(
            {
                f"{target}/{metric}": float(score.value)
                for target, found in scores.items()
                for metric, score in found.items()
                if score.value is not None
            },
            step,
        )

    def close(self, *, finished: bool) -> None:
        """Write what is still in memory; the run has its record, or will be continued."""
        self._each(lambda logger: logger.close(finished))
        self._open.clear()

    def _each(self, act: Callable[[RunLogger], None]) -> None:
        for name, logger in list(self._open.items()):
            try:
                act(logger)
            except Exception as error:
                del self._open[name]
                self._drop(name, error)

    def _drop(self, name: str, error: Exception) -> None:
        # Not its message, which may hold the password of a tracking server.
        self._say(f"{name} failed ({type(error).__name__}) and is told no more; the run goes on")


class _TensorBoard:
    """One folder of event files a run."""

    def __init__(self, store: Path, spec: RunSpec, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = store / "tensorboard" / spec.folder
        # What was told after the checkpoint that the run goes on from is told again.
        self._writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, finished: bool) -> None:
        self._writer.close()


class _MLflow:
    """One MLflow run a run, found again by its id."""

    def __init__(self, store: Path, spec: RunSpec, done: int) -> None:
        # A server that doesn't answer must not hold a training up, nor is anybody else to be told.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # MLflow would rather have a database, which many workers can't share as a file.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow.tracking import MlflowClient

        place = os.environ.get("MLFLOW_TRACKING_URI") or (store / "mlruns").resolve().as_uri()
        self._client = MlflowClient(place)
        experiment = self._client.get_experiment_by_name(_EXPERIMENT)
        number = experiment.experiment_id if experiment else _made(self._client)
        found = self._client.search_runs([number], f"tags.`{_ID}` = '{spec.id}'", max_results=1)
        if found and done:
            self._run = found[0].info.run_id
        else:
            tags = {_ID: spec.id, "model": spec.row, "dataset": spec.dataset}
            tags |= {"fold": str(spec.fold), "seed": str(spec.seed), "protocol": spec.protocol}
            made = self._client.create_run(number, tags=tags, run_name=spec.title)
            self._run = made.info.run_id
        self._told = {
            (name, each.step)
            for name in (found[0].data.metrics if found and done else ())
            for each in self._client.get_metric_history(self._run, name)
        }

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            if (name, step) not in self._told:  # by an attempt that was killed after it
                self._client.log_metric(self._run, name, value, step=step)

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")


def _made(client: MlflowClient) -> str:
    """A new experiment, or the one that another worker has just made."""
    try:
        return str(client.create_experiment(_EXPERIMENT))
    except Exception:
        found = client.get_experiment_by_name(_EXPERIMENT)
        if found is None:
            raise
        return str(found.experiment_id)
