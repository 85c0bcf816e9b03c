"""Engines by their names: what `--executor` and the options beside it choose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import CovbenchError, unknown

if TYPE_CHECKING:
    from rich.console import Console

    from runners.executors.base import Executor
    from runners.executors.profile import SlurmProfile
    from runners.plan import Plan

ENGINES = ("local", "slurm", "ray")

_ONLY = {"profile": "slurm", "address": "ray", "jobs": "local"}
"""Options that one engine alone has a use for."""


@dataclass(frozen=True)
class Engine:
    """A chosen engine, not yet started.

    Attributes:
        name: local, slurm or ray.
        slots: The GPU of each run at a time on this machine; None for one on the CPU. Empty where
            a cluster decides.
        device: "cpu" or "cuda".
        threads: CPU threads of a run.
        per_gpu: Runs on each GPU at a time.
        profile: What a run asks of Slurm.
        address: Which Ray cluster.
    """

    name: str
    slots: tuple[int | None, ...]
    device: str
    threads: int
    per_gpu: int = 1
    profile: SlurmProfile | None = None
    address: str | None = None

    @contextmanager
    def started(self, plan: Plan, store: Path, console: Console) -> Iterator[Executor]:
        """The engine at work while a block runs.

        Args:
            plan: What is to be run.
            store: The store.
            console: Where messages go.

        Raises:
            CovbenchError: It can't be started, or can never run such a run.
        """
        if self.name == "slurm":
            from runners.executors.profile import SlurmProfile
            from runners.executors.slurm import SlurmExecutor

            yield SlurmExecutor(store, self.profile or SlurmProfile())
            return
        if self.name == "ray":
            from runners.executors.ray import RayExecutor

            share = 1 / self.per_gpu if self.device == "cuda" else 0.0
            yield RayExecutor(self.address, share, self.threads)
            return
        from runners.executors.local import LocalExecutor
        from runners.machine import preload_for
        from runners.mps import shared_gpus
        from runners.shares import check_shares

        gpus = sorted({gpu for gpu in self.slots if gpu is not None})
        check_shares(plan.todo, self.per_gpu, gpus)
        with shared_gpus(self.per_gpu if gpus else 1) as together:
            if self.per_gpu > 1 and not together:
                console.print(
                    "NVIDIA MPS is not here: runs on one GPU take turns, which is slower.",
                    highlight=False,
                )
            yield LocalExecutor(self.slots, preload_for(job.spec.model for job in plan.todo))


def choose_engine(
    name: str,
    *,
    gpus: str | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    jobs_per_gpu: int | None = None,
    profile: Path | None = None,
    address: str | None = None,
) -> Engine:
    """The engine that the options of a command ask for.

    Raises:
        CovbenchError: An unknown engine, or options that don't go together.
    """
    if name not in ENGINES:
        raise unknown("executor", name, ENGINES, ", ".join(ENGINES))
    for option, value in (("profile", profile), ("address", address), ("jobs", jobs)):
        if value is not None and _ONLY[option] != name:
            raise CovbenchError(
                f"--{option} means nothing to the engine {name}.",
                f"It goes with --executor {_ONLY[option]}.",
            )
    if name == "slurm":
        if gpus not in (None, "none") or jobs_per_gpu is not None or threads is not None:
            raise CovbenchError(
                "Slurm decides about GPUs and cores, not --gpus, --jobs-per-gpu or --threads.",
                "Write gres and cpus into the file of --profile.",
            )
        from runners.executors.profile import load_profile

        asked = load_profile(profile)
        device = "cuda" if asked.on_gpu and gpus is None else "cpu"
        return Engine(name, (), device, asked.cpus, profile=asked)
    if name == "ray":
        if gpus not in (None, "none"):
            raise CovbenchError(
                "Ray hands out the GPUs of its cluster, so --gpus can't name them.",
                "Leave --gpus out, or give --gpus none for the CPU; --jobs-per-gpu shares them.",
            )
        for option, value in (("threads", threads), ("jobs-per-gpu", jobs_per_gpu)):
            if value is not None and value < 1:
                raise CovbenchError(f"--{option} {value} is too few.", "Give 1 or more.")
        device = "cpu" if gpus == "none" else "cuda"
        return Engine(name, (), device, threads or 1, jobs_per_gpu or 1, address=address)
    from runners.machine import slots_and_threads

    slots, device, each = slots_and_threads(gpus, jobs, threads, jobs_per_gpu)
    return Engine(name, tuple(slots), device, each, jobs_per_gpu or 1)
