"""A disk that is full, or that may only be read: nothing recorded is lost, and two lines say so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.files import write_atomically, write_once
from results.store import Store, load_records
from runners.checkpoint import load_checkpoint
from runners.cli import run_cli
from tests.runners.conftest import TINY
from tests.runners.disk import Disk, small_disk

COMMAND = [sys.executable, "-c", "from runners.cli import main; main()"]
SMOKE = ["--protocol", "smoke", "--set", "max_steps=2", "--jobs", "1"]

FULL_DISKS = """
import errno
from pathlib import Path


def system():
    raise OSError(errno.ENOSPC, "No space left on device")


def quota():
    raise OSError(errno.EDQUOT, "Disk quota exceeded")


def writer():  # how torch.save tells it
    raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0; "
                       "PytorchStreamWriter failed writing file data/1: file write failed")


def register(name, act):
    class Writing(Tiny):
        def forward(self, x):
            if self.training and x.device.type != "meta" and FULL.exists():
                act()
            return super().forward(x)

    @register_model(name)
    def build(in_channels, num_classes):
        return Writing(in_channels, num_classes)


for name, act in {"system": system, "quota": quota, "writer": writer}.items():
    register(f"full-{name}", act)
"""


@pytest.mark.usefixtures("data_root")
def test_however_it_is_told_the_disk_was_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, full = tmp_path / "runs", tmp_path / "full"
    full.touch()
    nets = tmp_path / "full_nets.py"
    nets.write_text(TINY + FULL_DISKS.replace("FULL", f"Path({str(full)!r})"))
    arguments = ["run", "--models", str(nets), "--out", str(out), *SMOKE]
    assert run_cli(arguments) == 2
    failures = Store(out).all_failures()
    assert {failure.spec.model: failure.status for failure in failures} == dict.fromkeys(
        ("full-system", "full-quota", "full-writer"), "disk full"
    )
    assert all("--retry-failed" in failure.hint for failure in failures)
    assert "failed (disk full)" in capsys.readouterr().out
    full.unlink()
    assert run_cli([*arguments, "--retry-failed"]) == 0
    assert len(load_records(out)) == 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", "1m") as found:
        if found is None:
            pytest.skip("this user may not mount a small file system")
        yield found


@pytest.mark.parametrize("free", [100_000, 0], ids=["at-the-predictions", "from-the-start"])
def test_a_full_disk_loses_nothing_and_is_mended(
    free: int, disk: Disk, pair: Path, data_root: Path
) -> None:
    arguments = ["run", "--models", str(pair), "--out", str(disk.runs), *SMOKE]
    assert run_cli([*arguments, "--models", "!*02", "--set", "keep=none"]) == 0
    before = disk.records()
    assert len(before) == 1

    disk.leave(free)
    ended = subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, "COVBENCH_DATA": str(data_root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert disk.records() == before
    assert "Traceback" not in ended.stderr + ended.stdout
    if free:  # there is room for the account of the failure
        assert ended.returncode == 2, ended.stderr
        (failure,) = Store(disk.runs).all_failures()
        assert failure.status == "disk full"
        assert "failed (disk full)" in ended.stdout
    else:
        assert ended.returncode == 1, ended.stderr
        problem, remedy = ended.stderr.splitlines()[-2:]
        assert problem.startswith("No space left on device")
        assert "Free some space" in remedy
    leftovers = [path for path in disk.runs.rglob("*") if path.name.endswith(".tmp")]
    assert leftovers == []

    disk.clear()
    assert run_cli([*arguments, "--retry-failed"]) == 0
    assert len(load_records(disk.runs)) == 2
    assert before.items() <= disk.records().items()
    assert Store(disk.runs).all_failures() == []


def test_files_on_a_full_disk_are_the_old_ones(disk: Disk) -> None:
    path = disk.path / "a.txt"
    write_atomically(path, "old")
    disk.leave(0)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, bytes(50_000))
    with pytest.raises(OSError, match="No space left"):
        write_once(disk.path / "b.txt", "x" * 50_000)
    assert path.read_text() == "old"
    assert sorted(os.listdir(disk.path)) == ["a.txt", "ballast"]


def test_a_disk_that_may_only_be_read(
    disk: Disk, pair: Path, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = f"{pair},!*02"
    arguments = ["run", "--models", one, "--out", str(disk.runs), *SMOKE, "--set", "keep=none"]
    assert run_cli(arguments) == 0
    before = disk.records()
    subprocess.run(["mount", "-o", "remount,ro", str(disk.path)], check=True)
    capsys.readouterr()
    for out in (disk.runs, disk.path / "more" / "runs"):
        assert run_cli([*arguments[:3], "--out", str(out), *SMOKE]) == 1
        problem, remedy = capsys.readouterr().err.splitlines()
        assert str(out) in problem and "can't be written" in problem
        assert "--out" in remedy
    # What is there can be read, shown and reported.
    assert run_cli([*arguments, "--dry-run"]) == 0
    assert "nothing is missing" in capsys.readouterr().err
    assert run_cli(["status", "--out", str(disk.runs)]) == 0
    assert capsys.readouterr().out.endswith("1 done\n")
    report = ["report", "--from", str(disk.runs), "--to"]
    assert run_cli([*report, str(tmp_path / "report")]) == 0
    assert list((tmp_path / "report").glob("*.md"))
    capsys.readouterr()
    assert run_cli([*report, str(disk.path / "report")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert disk.records() == before


def test_a_folder_of_somebody_else(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    assert run_cli(["run", "--models", str(pair), "--out", str(folder / "runs"), *SMOKE]) == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert "can't be written" in problem
    assert "--out" in remedy


WIDE = """

@register_model("NAME")
def wide(in_channels, num_classes):
    class Wide(Tiny):
        def forward(self, x):
            if self.training and x.device.type != "meta":
                with open(NOTE, "a") as note:
                    note.write("x")
                if os.path.getsize(NOTE) == 6:  # five steps are done and saved
                    with open(BALLAST, "wb", buffering=0) as file:
                        try:
                            while True:
                                file.write(bytes(4096))
                        except OSError:
                            pass
            return super().forward(x)
    return Wide(in_channels, num_classes, 16)
"""


def test_a_disk_that_fills_up_while_training_keeps_the_checkpoint_before(
    disk: Disk, tmp_path: Path, data_root: Path
) -> None:
    note, ballast = tmp_path / "note", disk.path / "ballast"
    nets = tmp_path / "wide_nets.py"
    text = WIDE.replace("NAME", "wide-disk").replace("NOTE", repr(str(note)))
    nets.write_text(TINY + text.replace("BALLAST", repr(str(ballast))))
    often = ["--set", "checkpoint_every=0 min", "--set", "max_steps=8", "--set", "keep=none"]
    arguments = ["run", "--models", str(nets), "--out", str(disk.runs), "--protocol", "smoke"]
    arguments += ["--jobs", "1", *often]
    assert run_cli(arguments) == 1  # there was no room even for the account of the failure
    disk.clear()
    (checkpoint,) = {
        load_checkpoint(path.parent)[0]["progress"]["step"]
        for path in disk.runs.rglob("checkpoint-*.pt")
    }
    assert checkpoint == 5
    assert not [path for path in disk.runs.rglob("*") if path.name.endswith(".tmp")]
    assert run_cli([*arguments, "--retry-failed"]) == 0
    (record,) = load_records(disk.runs)
    assert record.training is not None
    assert (record.training.steps, record.training.resumed) == (8, 1)
