"""Job: a run and where its parts lie on this machine. It travels to a worker as JSON."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmark.protocols import Protocol
from results.spec import RunSpec, Scalar
from results.store import Store

INTERRUPTED = 75
"""Exit code of a worker that wrote a checkpoint and wants to be continued (EX_TEMPFAIL)."""

BUSY = 76
"""Exit code of a worker that found its run in the hands of another one."""


class Inherited(BaseModel):
    """What a run on another dataset takes over from the run that trained its weights.

    Attributes:
        mean: What its input was normalised by, one value per channel.
        std: The same.
        n_train: Slices that it was trained on.
        groups_disjoint: Whether it is known that no patient was trained on who is tested here.
        shared_groups: Those who are known to have been.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_train: int
    groups_disjoint: bool
    shared_groups: tuple[str, ...]


class Job(BaseModel):
    """A run to be done, with everything a worker needs that is not part of its identity.

    Attributes:
        spec: What to run.
        needs: The runs that must be recorded first, as `spec.needs` names them.
        protocol: The whole protocol, with the fields that don't change a number.
        store: Folder of the records.
        data: Folder of the prepared datasets.
        plugins: The user's model files and entry points, as given, to be loaded again.
        weights: A file of weights to score instead of training.
        inherited: What else comes from the training of these weights, where the spec names it.
        lungs: The folder of the run whose network outlines the lungs, where a cascade is tested on
            another dataset.
        encoder: The file of the encoder weights that the spec's options name by their contents.
        device: "cpu" or "cuda".
        gpu: Index of the GPU that the worker may see.
        threads: CPU threads.
        attempt: Number of this attempt, from 1.
        deterministic: Whether PyTorch may use deterministic algorithms alone.
        log: The loggers that are told the losses and scores, see `runners.loggers`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: RunSpec
    needs: tuple[RunSpec, ...] = ()
    protocol: Protocol
    store: Path
    data: Path
    plugins: tuple[str, ...] = ()
    weights: Path | None = None
    inherited: Inherited | None = None
    lungs: Path | None = None
    encoder: Path | None = None
    device: str = "cpu"
    gpu: int | None = None
    threads: int = 1
    attempt: int = 1
    deterministic: bool = False
    log: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The run's folder in the store."""
        return Store(self.store).folder(self.spec)

    @property
    def options(self) -> dict[str, Scalar]:
        """The network's options as they are built here, with the path of its encoder weights.

        What a training started from is not needed where its result is loaded.
        """
        if self.inherited is not None:
            return {key: value for key, value in self.spec.options.items() if key != "weights"}
        path = {"weights": str(self.encoder)} if self.encoder is not None else {}
        return {**self.spec.options, **path}
