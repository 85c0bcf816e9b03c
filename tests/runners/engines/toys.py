"""Work so small that engines are tested by it, not trainings: each leaves notes of what it saw."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

# Those of runners.job, whose imports would take longer than a toy.
INTERRUPTED, BUSY = 75, 76
STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class ToySpec(BaseModel):
    """What the toy is called."""

    model_config = ConfigDict(frozen=True)
    name: str

    @property
    def id(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        return f"toy {self.name}"


class Toy(BaseModel):
    """A toy: what it does (`act`), for how long, and where it leaves notes."""

    model_config = ConfigDict(frozen=True)
    spec: ToySpec
    folder: Path
    act: str = "wait"
    seconds: float = 0.0
    gpu: int | None = None

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What each of its processes saw, oldest first."""
        found = [json.loads(path.read_text()) for path in self.folder.glob("note-*.json")]
        return sorted(found, key=lambda note: float(note["began"]))

    @property
    def done(self) -> bool:
        return (self.folder / "done").exists()


def toy(folder: Path, name: str, act: str = "wait", seconds: float = 0.0) -> Toy:
    made = Toy(spec=ToySpec(name=name), folder=folder / name, act=act, seconds=seconds)
    made.folder.mkdir(parents=True, exist_ok=True)
    return made


def play(job: Toy) -> None:
    """What a worker does with a toy: one holder at a time, done once, and then its act."""
    asked: list[int] = []
    if job.act != "deaf":
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda number, frame: asked.append(number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
    if job.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(job.gpu)
    lock = (job.folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(BUSY)
    if job.done:
        os._exit(0)
    began = time.time()
    seen = {
        "pid": os.getpid(),
        "began": began,
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "node": os.environ.get("SLURMD_NODENAME") or str(_parent(os.getppid())),
        "restarts": os.environ.get("SLURM_RESTART_COUNT"),
    }
    note = job.folder / f"note-{began}-{os.getpid()}.json"
    _write(note, seen)
    again = (job.folder / "again").exists()
    if job.act == "fail":
        os._exit(1)
    if job.act == "exit":
        os._exit(7)
    if job.act == "kill" or (job.act == "kill once" and not again):
        (job.folder / "again").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if job.act == "memory limit":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (32 << 30, hard))
        _fill_memory(1 << 30, 64)  # mapped, never written
    if job.act == "memory":
        _fill_memory(50 << 20, 40)
    if job.act == "deaf":
        time.sleep(600)
    while time.time() < began + job.seconds:
        if asked:
            _write(note, {**seen, "ended": time.time(), "signal": asked[0]})
            os._exit(INTERRUPTED)
        time.sleep(0.02)
    _write(note, {**seen, "ended": time.time()})
    (job.folder / "done").touch()
    os._exit(0)


def _parent(process: int) -> int:
    """The parent of a process; of a Ray worker, the daemon of its node."""
    with open(f"/proc/{process}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def _fill_memory(size: int, times: int) -> None:
    """Take memory, slowly enough for a watcher to see it."""
    held = []
    try:
        for _ in range(times):
            held.append(mmap.mmap(-1, size))
            if size < 1 << 30:
                held[-1].write(b"x" * size)
                time.sleep(0.05)
    except (MemoryError, OSError):
        os._exit(1)
    time.sleep(60)


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)
