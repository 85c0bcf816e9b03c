"""One run in its own process: lock, build, train, evaluate, record; or one account of a failure."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from types import FrameType
from typing import NoReturn

import torch

from benchmark.speed.lock import training
from benchmark.speed.nvml import gpu_uuid
from results.files import tail
from results.locks import Lock
from results.record import Failure, Status, now
from results.store import Store
from runners.cancelling import watch
from runners.job import BUSY, INTERRUPTED, Job
from runners.leftovers import sweep_temporaries
from runners.progress import LOG, Progress, ProgressWriter
from runners.run_one import run_one
from runners.server import STOP_SIGNALS, end_with_driver
from runners.train import Diverged, Interrupted
from zoo.errors import CovbenchError, WeightsUnavailable


class _StopFlag:
    """Set by a signal: the training stops after its step, with a checkpoint."""

    def __init__(self) -> None:
        self.set = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.set = True


@dataclass(frozen=True)
class Task:
    """What a worker process does.

    Attributes:
        folder: Where its files lie; one process at a time holds it.
        device: "cpu" or "cuda".
        gpu: Index of the GPU that it may see.
        threads: CPU threads.
        is_done: Whether another process has done it meanwhile.
        do: Does it, given what receives the progress and what is asked whether to stop.
        fail: Writes the account of a failure.
    """

    folder: Path
    device: str
    gpu: int | None
    threads: int
    is_done: Callable[[], bool]
    do: Callable[[ProgressWriter, Callable[[], bool]], object]
    fail: Callable[[BaseException], None]


def work(job: Job) -> None:
    """Do one run and end the process; the entry point of a worker."""
    serve(
        Task(
            job.folder,
            job.device,
            job.gpu,
            job.threads,
            is_done=lambda: Store(job.store).read(job.spec) is not None,
            do=lambda report, should_stop: run_one(job, report, should_stop),
            fail=lambda error: _fail(job, error),
        )
    )


def serve(task: Task) -> NoReturn:
    """Do a task and end the process.

    Exit codes: 0 the result is there, 1 a failure is written, 75 continue me, 76 another worker
    has this task.
    """
    stop = _StopFlag()
    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    if parent_process() is not None:
        # Ctrl-C reaches the whole process group; the driver alone decides what to do about it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    end_with_driver(INTERRUPTED)
    if task.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(task.gpu)
    folder = task.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock.take(folder)
        if lock is None:
            os._exit(BUSY)
        if task.is_done():  # by another command since the plan
            lock.release()
            os._exit(0)
        sweep_temporaries(folder)
        _log_to(folder / LOG)
    except OSError as error:
        task.fail(error)
        os._exit(1)
    if lock.by_file:
        print(f"[{now()}] this file system has no locks: a file stands for one", flush=True)
    code = _run(task, stop)
    lock.release()
    sys.stdout.flush()
    sys.stderr.flush()
    # Skips the clean-up of a forked interpreter and of libraries that may hang in it.
    os._exit(code)


def _run(task: Task, stop: _StopFlag) -> int:
    torch.set_num_threads(task.threads)
    import cv2

    cv2.setNumThreads(task.threads)
    report = ProgressWriter(task.folder)
    try:
        with _gpu_lock(task, report, stop):
            if stop.set:  # while this process was still starting
                raise Interrupted
            cancelled = watch(task.folder)
            task.do(report, lambda: stop.set or cancelled())
        return 0
    except Interrupted:
        print(f"[{now()}] interrupted; a checkpoint is kept, if a step was done", flush=True)
        return INTERRUPTED
    except BaseException as error:
        with suppress(OSError):  # the log's disk may be what is full
            traceback.print_exc()
        task.fail(error)
        return 1


def _gpu_lock(task: Task, report: ProgressWriter, stop: _StopFlag) -> AbstractContextManager[None]:
    """Keep `covbench profile` off the GPU of this task, and wait while it has it."""
    if task.device != "cuda":
        return nullcontext()

    def tell(line: str) -> None:
        print(f"[{now()}] {line}", flush=True)
        report(Progress(line), now=True)

    return training(gpu_uuid(torch.device("cuda", 0)), tell, lambda: stop.set)


def _fail(job: Job, error: BaseException) -> None:
    """Write the account of a failure; on a full disk there may be no room even for that."""
    status, hint = classify(error)
    sys.stderr.flush()
    failure = Failure(
        spec=job.spec,
        attempt=job.attempt,
        status=status,
        exception=in_words(error)[:2000],
        hint=hint,
        log_tail=log_tail(job.folder),
        time=now(),
        curve=error.curve if isinstance(error, Diverged) else (),
    )
    with suppress(OSError):
        Store(job.store).write_failure(failure)


def in_words(error: BaseException) -> str:
    """What a failure says of itself."""
    if isinstance(error, CovbenchError):
        return error.problem
    return f"{type(error).__name__}: {error}".strip()


def classify(error: BaseException) -> tuple[Status, str]:
    """The status of a failed run, and what its user can do about it."""
    text = str(error).lower()
    memory = "out of memory" in text or "can't allocate memory" in text
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or memory:
        return "out of memory", "Use fewer jobs at a time, a smaller size or batch, or another GPU."
    if isinstance(error, Diverged | FloatingPointError):
        return "diverged", "Look at the curve in the log; a smaller optim.lr may help."
    if isinstance(error, WeightsUnavailable):
        return "needs weights", error.remedy
    # torch.save reports a full disk as a RuntimeError of its file writer.
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "no space left" in text or "pytorchstreamwriter" in text:
        return "disk full", "Free some space, then run the same command with --retry-failed."
    if isinstance(error, CovbenchError):
        return "error", error.remedy
    return "error", "The log in the run's folder has the traceback; mend it, then --retry-failed."


def log_tail(folder: Path) -> str:
    """The end of a run's log, or nothing."""
    try:
        return tail(folder / LOG)
    except OSError:
        return ""


def _log_to(path: Path) -> None:
    """Send this process's output, and that of any library in it, to the run's log."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
