"""Who holds a run: by a lock of the file system, or by a file where there are no locks."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from results import locks
from results.locks import HOLDER, LOCK, Lock, is_held


@pytest.fixture(params=[None, errno.ENOLCK, errno.ENOTSUP], ids=["locks", "ENOLCK", "ENOTSUP"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run, on a file system with or without locks."""
    number = request.param
    if number is not None:

        def flock(*arguments: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
    return tmp_path


def test_one_at_a_time(folder: Path) -> None:
    assert not is_held(folder)
    lock = Lock.take(folder)
    assert lock is not None
    assert is_held(folder)
    assert Lock.take(folder) is None
    lock.release()
    assert not is_held(folder)
    again = Lock.take(folder)
    assert again is not None
    assert again.by_file == (folder / HOLDER).exists()
    again.release()
    assert sorted(os.listdir(folder)) == [LOCK]


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def test_the_file_of_a_process_that_is_gone_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / LOCK).touch()
    (tmp_path / HOLDER).write_text(f"{socket.gethostname()} {gone.pid} abc")
    assert not is_held(tmp_path)
    lock = Lock.take(tmp_path)
    assert lock is not None
    assert str(os.getpid()) in (tmp_path / HOLDER).read_text()
    lock.release()


def test_a_holder_elsewhere_counts_as_long_as_it_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    (tmp_path / LOCK).touch()
    holder = tmp_path / HOLDER
    holder.write_text("another-machine 1 abc")
    assert is_held(tmp_path)
    assert Lock.take(tmp_path) is None
    silent = time.time() - 2 * locks._STALE_SECONDS
    os.utime(holder, (silent, silent))
    assert not is_held(tmp_path)
    lock = Lock.take(tmp_path)
    assert lock is not None
    lock.release()


def test_the_holder_beats_and_does_not_touch_what_another_one_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    monkeypatch.setattr(locks, "_BEAT_SECONDS", 0.02)
    lock = Lock.take(tmp_path)
    assert lock is not None
    holder = tmp_path / HOLDER
    os.utime(holder, (1, 1))
    until = time.monotonic() + 30
    while holder.stat().st_mtime < 1000:
        assert time.monotonic() < until
        time.sleep(0.02)
    holder.write_text("another-machine 1 abc")
    lock.release()
    assert holder.read_text() == "another-machine 1 abc"


def test_other_problems_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output"):
        Lock.take(tmp_path)
