"""A lock on each GPU: many trainings may share one, a measurement of speed has it alone.

`flock` on a file in a folder that all users of the machine share; the kernel lets go when the
process that took it ends, however it ends (and all that it forked: a forked child holds the lock
on). Beside the lock every holder has a file of its own, which names its process to others.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.errors import CovbenchError

_POLL_SECONDS = 0.2


def lock_folder() -> Path:
    """The folder of the locks, `covbench-locks` among the machine's temporary files."""
    return Path(tempfile.gettempdir()) / "covbench-locks"


@contextmanager
def training(
    uuid: str,
    on_wait: Callable[[str], None] = lambda line: None,
    stop: Callable[[], bool] = lambda: False,
    folder: Path | None = None,
) -> Iterator[None]:
    """Share a GPU with other trainings, once nobody measures speed on it.

    A folder that can't be used stops no training: it goes on without a lock.

    Args:
        uuid: Of the GPU, as NVML writes it; its number differs between processes.
        on_wait: Called once, with a line for the user, when the training has to wait.
        stop: Whether to give up waiting, and go on without the lock: the training is about to end.
        folder: Where locks lie; None for `lock_folder()`.

    Yields:
        Nothing; the lock is held until the context ends.
    """
    folder = folder or lock_folder()
    try:
        handle = _open(folder, uuid)
    except OSError:
        yield
        return
    try:
        told = False
        while not _take(handle, fcntl.LOCK_SH) and not stop():
            if not told:
                told = True
                who = _named(holders(uuid, folder)["profiling"])
                on_wait(f"waits: {who} measures speed on this GPU")
            time.sleep(_POLL_SECONDS)
        with _announced(folder, uuid, "training"):
            yield
    finally:
        os.close(handle)


@contextmanager
def profiling(uuid: str, folder: Path | None = None) -> Iterator[None]:
    """Have a GPU alone among the processes of covbench.

    Args:
        uuid: Of the GPU.
        folder: Where locks lie; None for `lock_folder()`.

    Yields:
        Nothing; the lock is held until the context ends.

    Raises:
        CovbenchError: A training or another measurement has the GPU, or its lock can't be opened.
    """
    folder = folder or lock_folder()
    try:
        handle = _open(folder, uuid)
    except OSError as error:
        raise CovbenchError(
            f"The lock of the GPU in {folder} can't be opened: {error.strerror}.",
            "Give that folder the rights 1777, or name another one in TMPDIR.",
        ) from error
    try:
        if not _take(handle, fcntl.LOCK_EX):
            found = holders(uuid, folder)
            who = _named([*found["training"], *found["profiling"]])
            raise CovbenchError(
                f"The GPU {uuid} is taken by {who}: beside it no speed can be measured.",
                "Wait until it is done, or choose another GPU with --device.",
            )
        with _announced(folder, uuid, "profiling"):
            yield
    finally:
        os.close(handle)


def holders(uuid: str, folder: Path | None = None) -> dict[str, list[int]]:
    """The living processes that said they hold a GPU.

    Returns:
        Their numbers by what they do, `training` and `profiling`. One that has only just begun may
        be missing, and so may one in another container.
    """
    folder = folder or lock_folder()
    found: dict[str, list[int]] = {"training": [], "profiling": []}
    for kind, numbers in found.items():
        for path in folder.glob(f"{_name(uuid)}.{kind}.*"):
            number = path.suffix[1:].split("-")[0]
            if number.isdigit() and not _left_behind(path):
                numbers.append(int(number))
        numbers.sort()
    return found


def _named(processes: list[int]) -> str:
    if not processes:
        return "another process of covbench"
    plural = "es" if len(processes) > 1 else ""
    return f"process{plural} {', '.join(map(str, processes))}"


def _name(uuid: str) -> str:
    return re.sub(r"[^\w-]", "_", uuid)


def _open(folder: Path, uuid: str) -> int:
    """Open a GPU's lock, making folder and file where they are missing."""
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)  # mkdir's own mode is cut by the umask
    path = folder / f"{_name(uuid)}.lock"
    # Never created in passing: in a sticky folder Linux refuses O_CREAT on a file of somebody
    # else (fs.protected_regular). And for reading, all that flock needs and all users have.
    with suppress(FileExistsError):
        os.close(_create(path))
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no plain file")
    return handle


def _create(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    os.fchmod(handle, 0o444)
    return handle


def _take(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _announced(folder: Path, uuid: str, kind: str) -> Iterator[None]:
    """Name this process to others while it holds a lock; where that fails it stays unnamed."""
    path = folder / f"{_name(uuid)}.{kind}.{os.getpid()}"
    handle = None
    with suppress(OSError):
        with suppress(FileNotFoundError):
            path.unlink()  # of an earlier process with this number
        handle = _create(path)
        _take(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                path.unlink()
            os.close(handle)


def _left_behind(path: Path) -> bool:
    """Whether the process that a file names is gone; the file too, then, where we may."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        # A number alone would not do: the kernel gives it to another process one day.
        if not _take(handle, fcntl.LOCK_SH):
            return False
        with suppress(OSError):
            path.unlink()
        return True
    finally:
        os.close(handle)
