"""What this machine offers to runs: GPUs, CPU slots and threads."""

from __future__ import annotations

import os
from collections.abc import Iterable

from zoo.errors import CovbenchError
from zoo.registry import get_card

_MOST_CPU_SLOTS = 4


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slots_and_threads(
    gpus: str | None, jobs: int | None, threads: int | None = None, per_gpu: int | None = None
) -> tuple[list[int | None], str, int]:
    """Decide how many runs go at a time, on what, with how many CPU threads each.

    A run on a CPU has one thread unless the user says otherwise: sums in another order give
    other digits, and one thread gives the same ones whatever else goes on.

    Args:
        gpus: The user's choice: `0,1`, `none`, or None for all there are.
        jobs: Runs at a time on a CPU; None for one a core, up to four.
        threads: CPU threads of each run; None for one, or for a share of the cores beside a GPU.
        per_gpu: Runs at a time on each GPU; None for one.

    Returns:
        One GPU index (or None) for each slot, the device's type, and threads for each run.

    Raises:
        CovbenchError: No such GPU, or a senseless number of jobs.
    """
    import torch

    found = torch.cuda.device_count() if gpus != "none" else 0
    if gpus not in (None, "none"):
        try:
            chosen = [int(word) for word in str(gpus).split(",")]
        except ValueError:
            raise CovbenchError(
                f"--gpus {gpus!r} is no list of GPUs.", "Write 0,1 or none."
            ) from None
        missing = [index for index in chosen if not 0 <= index < found]
        if missing:
            raise CovbenchError(
                f"There is no GPU {missing[0]}: this machine has {found}.",
                "Leave --gpus out for all of them, or write --gpus none for the CPU.",
            )
    else:
        chosen = list(range(found))
    for name, value in (("jobs", jobs), ("threads", threads), ("jobs-per-gpu", per_gpu)):
        if value is not None and value < 1:
            raise CovbenchError(f"--{name} {value} is too few.", "Give 1 or more.")
    cores = cpu_count()
    if chosen:
        slots = [gpu for _ in range(per_gpu or 1) for gpu in chosen]  # GPUs fill up evenly
        return [*slots], "cuda", threads or max(1, cores // len(slots))
    if per_gpu is not None and per_gpu > 1:
        raise CovbenchError(
            f"--jobs-per-gpu {per_gpu} needs a GPU; here runs go on the CPU.",
            "Give --jobs, the runs at a time on a CPU.",
        )
    count = min(cores, _MOST_CPU_SLOTS) if jobs is None else jobs
    return [None] * count, "cpu", threads or 1


def preload_for(models: Iterable[str]) -> list[str]:
    """Modules that the server of workers imports once, for the networks of a plan."""
    names = set(models)
    preload = ["runners.preload_networks", "torchvision.models"]
    if any("monai" in get_card(name).requires for name in names):
        preload.append("runners.preload_monai")
    if any(
        name.startswith(("smp:", "miniseg-decoder:"))
        or "segmentation-models-pytorch" in get_card(name).requires
        for name in names
    ):
        preload.append("segmentation_models_pytorch")
    return preload
