"""NVIDIA's Multi-Process Service: several runs on one GPU at the same time, not in turns."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CONTROL = "nvidia-cuda-mps-control"
_START_SECONDS = 20.0


@contextmanager
def shared_gpus(runs: int) -> Iterator[bool]:
    """Let so many runs share each GPU while a block lasts.

    The service is our own: it has a pipe directory of its own, and is stopped at the end. Workers
    that are started in the block inherit where it listens and that each may fill at most its share
    of a GPU's multiprocessors.

    Args:
        runs: Runs on each GPU at a time.

    Yields:
        Whether the service runs; without it (one run a GPU, no such program, or it refuses) runs
        on one GPU take turns.
    """
    if runs < 2 or shutil.which(CONTROL) is None:
        yield False
        return
    folder = tempfile.mkdtemp(prefix="covbench-mps-")  # short: sockets lie in it
    wanted = {
        "CUDA_MPS_PIPE_DIRECTORY": folder,
        "CUDA_MPS_LOG_DIRECTORY": folder,
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": f"{100 / runs:g}",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    started = _control("-d")
    if not started:
        _restore(before)
    try:
        yield started
    finally:
        if started:
            _control(said="quit\n")
            _restore(before)
        shutil.rmtree(folder, ignore_errors=True)


def _control(*arguments: str, said: str = "") -> bool:
    with suppress(OSError, subprocess.TimeoutExpired):
        result = subprocess.run(
            [CONTROL, *arguments],
            input=said,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_START_SECONDS,
        )
        return result.returncode == 0
    return False


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
