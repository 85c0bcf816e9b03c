"""Whether several runs fit on one GPU: one training step of each network, before any run begins."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from runners.job import Job
from zoo.errors import CovbenchError

_CONTEXT_BYTES = 600 << 20
"""What a process takes of a GPU besides its tensors: CUDA's context, cuDNN's and cuBLAS's code."""


def check_shares(
    jobs: Iterable[Job],
    per_gpu: int,
    gpus: Sequence[int],
    peak_of: Callable[[Job, int], int] | None = None,
    free_of: Callable[[int], int] | None = None,
) -> None:
    """Refuse to start more runs on a GPU than its memory holds.

    Args:
        jobs: The runs; of the same network with the same settings one is measured.
        per_gpu: Runs on each GPU at a time.
        gpus: Indices of the GPUs.
        peak_of: Bytes that a run's training step takes at most; measured on the GPU by default.
        free_of: Free bytes of a GPU; asked of the driver by default.

    Raises:
        CovbenchError: The largest run, so many times, does not fit into the smallest GPU.
    """
    if per_gpu < 2 or not gpus:
        return
    peak_of, free_of = peak_of or _measured, free_of or _free
    free = {gpu: free_of(gpu) for gpu in gpus}
    least = min(free, key=lambda gpu: free[gpu])
    kinds = {(job.spec.row, repr(job.spec.settings)): job for job in jobs}
    for job in kinds.values():
        peak = peak_of(job, least) + _CONTEXT_BYTES
        if peak * per_gpu > free[least]:
            fit = max(1, free[least] // peak)
            raise CovbenchError(
                f"{per_gpu} runs don't fit on GPU {least}: {job.spec.row} takes {_gib(peak)} "
                f"of {_gib(free[least])} that are free.",
                f"Give --jobs-per-gpu {fit}, or train that network in a command of its own.",
            )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _in_process(act: Callable[..., int], *arguments: Any) -> int:
    """Ask in a process that then ends, so that this one never touches CUDA."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(act, arguments)


def _free(gpu: int) -> int:
    return _in_process(_free_here, gpu)


def _measured(job: Job, gpu: int) -> int:
    return _in_process(_step_here, job, gpu)


def _free_here(gpu: int) -> int:
    import torch

    free, _ = torch.cuda.mem_get_info(gpu)
    return int(free)


def _step_here(job: Job, gpu: int) -> int:
    """Peak bytes of one training step at the protocol's size and batch."""
    import torch

    from benchmark.losses import make_loss
    from runners.train import autocast, set_precision
    from zoo.padding import forward_padded
    from zoo.plugins import load
    from zoo.registry import create_model, get_card

    for plugin in job.plugins:
        load(plugin)
    device, protocol, card = torch.device("cuda", gpu), job.protocol, get_card(job.spec.model)
    set_precision(protocol)
    channels = protocol.input.channels
    network = create_model(job.spec.model, channels, protocol.num_classes(), **job.options)
    network = network.to(device).train()
    optimiser = torch.optim.Adam(network.parameters())
    zoom = max(protocol.augment.sizes) if protocol.augment.mode == "sizes" else 1.0
    size = round(protocol.input.size * zoom)
    images = torch.zeros(protocol.optim.batch, channels, size, size, device=device)
    target = torch.zeros(protocol.optim.batch, size, size, dtype=torch.long, device=device)
    with autocast(protocol, device):
        outputs = forward_padded(network, images, card.divisor, card.min_size)
    unweighted = protocol.loss.model_copy(update={"class_weights": "none"})
    make_loss(unweighted)(outputs, target).backward()
    optimiser.step()
    return int(torch.cuda.max_memory_reserved(gpu))
