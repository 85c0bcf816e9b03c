from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmark.speed.lock import holders, lock_folder, profiling, training
from zoo.errors import CovbenchError

GPU = "GPU-1b2c/../3d"

HOLD = """
import sys
from pathlib import Path
from benchmark.speed import lock
with getattr(lock, sys.argv[1])(sys.argv[2], folder=Path(sys.argv[3])):
    print("holds", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(kind: str, folder: Path, uuid: str = GPU):
    """Another process that holds a lock until the context ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, kind, uuid, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
    finally:
        process.communicate("", timeout=60)


def test_a_measurement_beside_a_training_is_refused(tmp_path):
    with holding("training", tmp_path) as one, holding("training", tmp_path) as two:
        with pytest.raises(CovbenchError) as caught, profiling(GPU, tmp_path):
            pass
        numbers = ", ".join(map(str, sorted((one.pid, two.pid))))
        assert f"taken by processes {numbers}:" in caught.value.problem
        assert str(caught.value).count("\n") == 1
    with profiling(GPU, tmp_path):
        pass


def test_two_measurements_exclude_each_other(tmp_path):
    with holding("profiling", tmp_path) as other:
        taken = pytest.raises(CovbenchError, match=f"by process {other.pid}:")
        with taken, profiling(GPU, tmp_path):
            pass
        with profiling("GPU-another", tmp_path):
            pass


def test_trainings_share_a_gpu(tmp_path):
    with holding("training", tmp_path) as other, training(GPU, folder=tmp_path):
        assert holders(GPU, tmp_path)["training"] == sorted((other.pid, os.getpid()))
    assert holders(GPU, tmp_path) == {"training": [], "profiling": []}


def test_a_training_waits_for_a_measurement_and_says_so_once(tmp_path):
    lines: list[str] = []
    began = threading.Event()

    def train() -> None:
        with training(GPU, lines.append, folder=tmp_path):
            began.set()

    with holding("profiling", tmp_path) as other:
        thread = threading.Thread(target=train)
        thread.start()
        assert not began.wait(1.0)  # several polls
    assert began.wait(30)
    thread.join()
    assert lines == [f"waits: process {other.pid} measures speed on this GPU"]


def test_a_training_that_is_to_stop_waits_no_longer(tmp_path):
    with (
        holding("profiling", tmp_path),
        training(GPU, stop=lambda: True, folder=tmp_path),
        pytest.raises(CovbenchError),
        profiling(GPU, tmp_path),
    ):
        pass


@pytest.mark.parametrize("kind", ["training", "profiling"])
def test_a_killed_process_holds_nothing(tmp_path, kind):
    with holding(kind, tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert list(tmp_path.glob(f"*.{kind}.{other.pid}"))  # it could not clean up
        assert holders(GPU, tmp_path)[kind] == []
        with profiling(GPU, tmp_path):
            assert holders(GPU, tmp_path)["profiling"] == [os.getpid()]
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_an_exception_releases(tmp_path):
    for hold in (training(GPU, folder=tmp_path), profiling(GPU, tmp_path)):
        with pytest.raises(KeyError), hold:
            raise KeyError
    with profiling(GPU, tmp_path):
        pass


def test_all_users_may_use_folder_and_files(tmp_path):
    before = os.umask(0o077)
    try:
        with training(GPU, folder=tmp_path / "locks"):
            modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "locks").iterdir()}
            assert stat.S_IMODE((tmp_path / "locks").stat().st_mode) == 0o1777
            assert modes == {0o444}
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")
def test_users_lock_each_other_out(tmp_path):
    """Two users, neither the superuser, in a folder that the first one made."""
    root = Path(__file__).parents[2]
    folder = Path("/tmp") / f"covbench-locks-test-{os.getpid()}"  # one that any user can reach

    def as_user(number: int, kind: str, act: str) -> subprocess.CompletedProcess[str]:
        code = (
            "import os, sys; os.setgroups([]); "
            f"sys.path.insert(0, {str(root)!r}); from pathlib import Path; "
            "from benchmark.speed import lock; "
            f"os.setgid({number}); os.setuid({number}); "
            f"hold = lock.{kind}({GPU!r}, folder=Path({str(folder)!r})); "
            f"hold.__enter__(); {act}"
        )
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
        )

    try:
        assert as_user(4001, "training", "pass").returncode == 0
        with profiling(GPU, folder):
            refused = as_user(4002, "profiling", "pass")
            assert f"by process {os.getpid()}:" in refused.stderr
        alone = as_user(4002, "profiling", "pass")
        assert alone.returncode == 0, alone.stderr
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_an_unusable_folder_stops_a_measurement_but_no_training(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    done = []
    with training(GPU, folder=file):
        done.append(True)
    assert done
    with pytest.raises(CovbenchError, match="can't be opened"), profiling(GPU, file):
        pass


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("")
    (tmp_path / "GPU-1.lock").symlink_to(tmp_path / "target")
    with pytest.raises(CovbenchError), profiling("GPU-1", tmp_path):
        pass


def test_locks_lie_among_the_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    began = time.time()
    with training(GPU):
        assert lock_folder() == tmp_path / "covbench-locks"
        assert any(path.stat().st_mtime >= began - 5 for path in lock_folder().iterdir())
