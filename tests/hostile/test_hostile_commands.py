"""Whole commands on broken plug-ins and in odd places, each in a process of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from runners.trial import try_files
from tests.hostile.case import Case, listing, run_case
from tests.hostile.plugins import AS_OTHERS, CASES, NET, PLACES, Command, run
from zoo.errors import CovbenchError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The server that imports are forked from, so that its start doesn't count as their time."""
    path = tmp_path_factory.mktemp("good") / "good.py"
    path.write_text(NET.format(name="HostileGood"))
    try_files([str(path)])


@pytest.mark.parametrize("case", CASES, ids=lambda each: each.name)
def test_hostile_import(
    case: Case, server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What ends by itself gets the time that it needs on a busy machine.
    seconds = 5 if "more than 5 s" in case.says else 120
    monkeypatch.setenv("COVBENCH_LIMITS", f"plugin_seconds={seconds}")
    if case.name != "a file that deletes itself":
        run_case(case, tmp_path / "room")
        return
    with pytest.raises(CovbenchError, match="was gone after it had been imported"):
        case.read(case.make(tmp_path), tmp_path)


@pytest.mark.parametrize("command", PLACES, ids=lambda each: each.name)
def test_hostile_command(command: Command, tmp_path: Path) -> None:
    if command.modes and os.geteuid() == 0 and shutil.which(AS_OTHERS[0]) is None:
        pytest.skip("root may do everything")
    done = run(command, tmp_path / "room")
    assert done.returncode == command.code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    if command.code:
        lines = done.stderr.splitlines()
        assert len(lines) == 2 and all(lines), done.stderr
        assert not done.stdout
    for word in command.says:
        assert word in (done.stderr if command.code else done.stdout), done.stderr + done.stdout
    found = [Path(each).relative_to(tmp_path) for each in listing(tmp_path)]
    made = {each.name for each in found if each.parts[0] != "data"} - {"room"}
    assert made <= {
        Path(part).name for name in command.files for part in (name, *Path(name).parents)
    }
