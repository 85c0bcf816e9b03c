"""A worker killed right after its record was written leaves files that the next command removes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from results.files import remove_abandoned
from results.store import Store, load_records
from runners.cli import run_cli


@pytest.mark.usefixtures("data_root")
def test_what_a_killed_worker_left_beside_its_record_is_removed(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    command = ["run", "--models", f"{pair},!*02", "--out", str(out), "--protocol", "smoke"]
    command += ["--set", "max_steps=2"]
    assert run_cli(command) == 0
    folder = Store(out).folder(load_records(out)[0].spec)
    whole = {path: path.read_bytes() for path in folder.iterdir()}
    for name in ("checkpoint-000000002-ab.pt", "progress.json", ".record.json.h.1.ab.tmp"):
        (folder / name).write_text("left behind")
    capsys.readouterr()
    assert run_cli(command) == 0
    assert "nothing is missing" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == whole


def test_only_what_the_dead_were_writing_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = socket.gethostname()
    names = {
        f".plan.json.{host}.{gone.pid}.0a1b2c3d.tmp": False,
        f".plan.json.{host}.{os.getpid()}.0a1b2c3d.tmp": True,
        f".plan.json.{host}-2.{gone.pid}.0a1b2c3d.tmp": True,
        f".{host}.words.0a1b2c3d.tmp": True,
        "plan.json": True,
    }
    for name in names:
        (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names
