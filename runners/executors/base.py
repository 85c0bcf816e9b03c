"""What every engine can do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

from runners.job import Job


class Identified(Protocol):
    """What says which work it is."""

    @property
    def id(self) -> str:
        """Its identity."""

    @property
    def title(self) -> str:
        """It in a few words."""


class Work(Protocol):
    """What a worker process does: a run, or another job of the same form."""

    @property
    def spec(self) -> Identified:
        """What is to be done."""

    def model_copy(self, *, update: dict[str, Any]) -> Self:
        """The same with other fields, such as the GPU of a slot."""


@dataclass(frozen=True)
class RunState:
    """Where a submitted run is.

    Attributes:
        state: "queued", "running", or "gone": its worker ended, one way or another.
        detail: How it ended, in words; the records say whether it is done.
        exit_code: The worker's exit code, negative for a signal, where the engine knows it.
    """

    state: Literal["queued", "running", "gone"]
    detail: str = ""
    exit_code: int | None = None


class Executor(Protocol):
    """An engine: starts workers, says which are alive, ends them."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue runs; one that is queued or running already is left as it is."""

    def poll(self) -> Mapping[str, RunState]:
        """The state of every submitted run by its id."""

    def wait(self, seconds: float) -> None:
        """Pause, for less long where a run ends meanwhile and the engine can tell."""

    def cancel(self, ids: Collection[str] | None = None) -> None:
        """Ask runs (all by default) to stop with a checkpoint; after a minute they are killed."""

    def close(self) -> None:
        """End what can't go on without this process, and wait for it."""
