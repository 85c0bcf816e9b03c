"""Whole commands on broken plug-ins and in odd places, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.case import listing
from tests.hostile.plugins import IMPORTS, PLACES, Command, run


@pytest.mark.parametrize("command", [*IMPORTS, *PLACES], ids=lambda each: each.name)
def test_hostile_command(command: Command, tmp_path: Path) -> None:
    done = run(command, tmp_path / "room")
    assert done.returncode == command.code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    if command.code:
        lines = done.stderr.splitlines()
        assert len(lines) == 2 and all(lines), done.stderr
        assert not done.stdout
    for word in command.says:
        assert word in (done.stderr if command.code else done.stdout), done.stderr + done.stdout
    made = {Path(each).name for each in listing(tmp_path)} - {"room", "data"}
    assert made <= {
        Path(part).name for name in command.files for part in (name, *Path(name).parents)
    }
