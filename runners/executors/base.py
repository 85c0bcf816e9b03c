"""What every engine can do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from runners.job import Job


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

    def cancel(self, ids: Collection[str] | None = None) -> None:
        """Ask runs (all by default) to stop with a checkpoint."""

    def close(self) -> None:
        """End everything that this engine started, and wait for it."""
