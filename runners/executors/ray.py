"""The Ray engine: each run is a Ray task, and each task a process of its own.

Ray places tasks, hands out GPUs and starts a task again whose node was lost. The tasks end when
this process does: Ray ends what a gone driver started.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from runners.entry import pack, python_path
from runners.executors.base import RunState, Work
from runners.executors.ray_task import Board, run
from runners.job import BUSY, INTERRUPTED
from runners.server import exit_in_words
from zoo.errors import CovbenchError

GRACE_SECONDS = 60.0
"""How long a cancelled run may take to write its checkpoint before it is killed."""

_BUSY_RETRY_SECONDS = 5.0
_MAX_RETRIES = 3
"""How often Ray itself starts a run again whose node or Ray process was lost."""


class RayExecutor:
    """Runs as tasks of a Ray cluster.

    Args:
        address: The cluster, as `ray.init` takes it: `auto` or `host:6379`; None starts Ray on
            this machine.
        gpus: The share of a GPU that a run gets: 1, 0.5, or 0 for none.
        cpus: Cores of a run.
        entry: What a worker does with its job; it must be importable on the nodes.

    Raises:
        CovbenchError: Ray is not installed, there is no such cluster, or none of its nodes can
            ever run such a task.
    """

    def __init__(
        self,
        address: str | None = None,
        gpus: float = 0.0,
        cpus: int = 1,
        entry: Callable[[Any], None] | None = None,
    ) -> None:
        if entry is None:
            from runners.worker import work

            entry = work
        self._ray = ray = _ray()
        self._entry: Callable[[Any], None] = entry
        self._started = not ray.is_initialized()
        if self._started:
            _join(ray, address)
        try:
            _refuse_what_never_runs(ray, gpus, cpus)
            task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=_MAX_RETRIES, max_calls=1)
            self._task = task(run)
            self._board = ray.remote(num_cpus=0, max_restarts=-1)(Board).remote()
        except BaseException:
            self._leave()
            raise
        self._jobs: dict[str, Work] = {}
        self._running: dict[str, Any] = {}
        self._gone: dict[str, RunState] = {}
        self._kill_at: dict[str, float] = {}
        self._later: dict[str, float] = {}

    def submit(self, jobs: Sequence[Work]) -> None:
        """Queue runs; one that is queued or running already is left as it is."""
        for job in jobs:
            run_id = job.spec.id
            if run_id in self._running or run_id in self._later:
                continue
            self._jobs[run_id] = job
            self._gone.pop(run_id, None)
            self._running[run_id] = self._task.remote(
                pack(job, self._entry), run_id, self._board, python_path(), GRACE_SECONDS
            )

    def poll(self) -> Mapping[str, RunState]:
        """The state of every submitted run by its id."""
        ray = self._ray
        now = time.monotonic()
        for run_id, when in list(self._later.items()):
            if now > when:
                del self._later[run_id]
                self.submit([self._jobs[run_id]])
        references = {reference: run_id for run_id, reference in self._running.items()}
        ready: list[Any] = []
        if references:
            ready, _ = ray.wait(list(references), num_returns=len(references), timeout=0)
        for reference in ready:
            run_id = references[reference]
            del self._running[run_id]
            self._kill_at.pop(run_id, None)
            state = _ended(ray, reference)
            if state.exit_code == BUSY:
                self._later[run_id] = now + _BUSY_RETRY_SECONDS
            else:
                self._gone[run_id] = state
        for run_id, when in list(self._kill_at.items()):
            if now > when:
                ray.cancel(self._running[run_id], force=True)
        begun = self._begun()
        return {
            **self._gone,
            **{run_id: RunState("queued") for run_id in self._later},
            **{
                run_id: RunState("running" if run_id in begun else "queued")
                for run_id in self._running
            },
        }

    def wait(self, seconds: float) -> None:
        """Pause until a run ends, and for so long at most."""
        if self._running:
            self._ray.wait(list(self._running.values()), timeout=seconds)
        else:
            time.sleep(seconds)

    def cancel(self, ids: Collection[str] | None = None) -> None:
        """Ask runs (all by default) to stop with a checkpoint; queued ones are dropped."""
        for run_id in list(self._later):
            if ids is None or run_id in ids:
                del self._later[run_id]
                self._gone[run_id] = RunState("gone", "cancelled", INTERRUPTED)
        for run_id, reference in self._running.items():
            if (ids is None or run_id in ids) and run_id not in self._kill_at:
                self._kill_at[run_id] = time.monotonic() + GRACE_SECONDS + 5.0
                self._ray.cancel(reference, force=False)

    def close(self) -> None:
        """Stop every run with a checkpoint, kill those that don't within a minute, leave Ray."""
        if not self._ray.is_initialized():
            return
        self.cancel()
        while self._running:
            self.poll()
            time.sleep(0.1)
        self._leave()

    def _leave(self) -> None:
        if self._started:
            self._ray.shutdown()

    def _begun(self) -> set[str]:
        """Runs whose task has begun, as the tasks told the board."""
        if not self._running:
            return set()
        try:
            found: set[str] = self._ray.get(self._board.begun.remote(), timeout=5)
        except self._ray.exceptions.RayError:  # it is being restarted: they are shown as queued
            return set()
        return found


def _ended(ray: Any, reference: Any) -> RunState:
    """How a task ended that is over."""
    try:
        code: int = ray.get(reference)
    except (ray.exceptions.TaskCancelledError, KeyboardInterrupt):
        return RunState("gone", "cancelled", INTERRUPTED)
    except ray.exceptions.RayError as error:
        first = next(iter(str(error).strip().splitlines()), "")[:300]
        return RunState("gone", f"was lost: {type(error).__name__}: {first}")
    return RunState("gone", exit_in_words(code), code)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise CovbenchError(
            "The engine ray needs the package ray.", "pip install 'covbench[ray]'"
        ) from None
    return ray


def _join(ray: Any, address: str | None) -> None:
    environment = {"env_vars": {"PYTHONPATH": python_path()}}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            include_dashboard=False if address is None else None,
            runtime_env=environment,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise CovbenchError(
            f"There is no Ray cluster at {address}: {said}",
            "Start one with `ray start --head`, then give --address HOST:6379.",
        ) from error


def _refuse_what_never_runs(ray: Any, gpus: float, cpus: int) -> None:
    """Ray waits for ever for a node that is large enough; we ask first."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("GPU", 0.0) >= gpus and node.get("CPU", 0.0) >= cpus for node in nodes):
        return
    total = ray.cluster_resources()
    most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in _NAMES}
    raise CovbenchError(
        f"A run wants {gpus:g} GPUs and {cpus} cores of one node; the cluster's {len(nodes)} nodes "
        f"have at most {most['GPU']:g} and {most['CPU']:g} ({total.get('GPU', 0.0):g} and "
        f"{total.get('CPU', 0.0):g} in all).",
        "Give --gpus none for the CPU, --jobs-per-gpu 2 or more for a share, or lower --threads.",
    )


_NAMES = ("GPU", "CPU")
