"""`covbench check` and `covbench new`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runners.cli import run_cli
from zoo.contract import check_model

BROKEN = """\
from torch import nn
from covbench import register_model

@register_model("{0}")
def {0}(in_channels: int, num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, num_classes, 3, padding=1), nn.Sigmoid())
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_network_keeps_the_contract(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["new", "firstnet"]) == 0
    printed = capsys.readouterr().err
    assert "covbench check ./firstnet.py" in printed
    assert "covbench run --models ./firstnet.py --protocol smoke" in printed
    assert len((here / "firstnet.py").read_text().splitlines()) == 12

    assert run_cli(["check", "./firstnet.py"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "firstnet" and lines[-1] == "The contract is kept."
    assert lines[1:-1] and all(line.startswith("  pass  ") for line in lines[1:-1])


def test_the_test_of_a_new_network_passes_and_can_fail(here: Path) -> None:
    for name in ("provednet", "spoiltnet"):
        assert run_cli(["new", name, "--folder", "sub"]) == 0
    spoilt = here / "sub" / "spoiltnet.py"
    spoilt.write_text(spoilt.read_text().replace("num_classes, 2, stride=2", "7, 2, stride=2"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "sub"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=here)
    assert "1 failed, 1 passed" in run.stdout
    assert "FAILED sub/test_spoiltnet.py" in run.stdout


def test_new_overwrites_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "test_mine.py").write_text("precious")
    assert run_cli(["new", "mine"]) == 1
    problem, _ = capsys.readouterr().err.splitlines()
    assert "test_mine.py exists" in problem
    assert (here / "test_mine.py").read_text() == "precious"
    assert not (here / "mine.py").exists()


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("my-net", "my_net"),
        ("my net.py", "my_net"),
        ("3d", "net_3d"),
        ("class", "net_class"),
        ("??", "net"),
        ("unet", "my_unet"),
        ("torch", "my_torch"),
    ],
)
def test_new_refuses_a_name_and_suggests_another(
    name: str, suggestion: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["new", name]) == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert repr(name) in problem
    assert remedy.rstrip(".").split()[-1] == suggestion
    assert list(here.iterdir()) == []
    assert run_cli(["new", suggestion]) == 0


def test_paths_are_printed_as_a_shell_takes_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["new", "mine", "--folder", "two words"]) == 0
    assert "covbench check './two words/mine.py'" in capsys.readouterr().err


def test_a_broken_contract_is_exit_1_and_names_the_clause(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "squashed.py").write_text(BROKEN.format("squashed"))
    assert run_cli(["check", "./squashed.py"]) == 1
    printed = capsys.readouterr()
    (failed,) = [line for line in printed.out.splitlines() if line.startswith("  FAIL  ")]
    assert "logits" in failed and "Sigmoid" in failed
    problem, remedy = printed.err.splitlines()
    assert "1 of" in problem and "squashed" in problem and "FAIL" in remedy


def test_check_as_json_is_what_the_contract_says(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "squeezed.py").write_text(BROKEN.format("squeezed"))
    assert run_cli(["check", "./squeezed.py", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(each["clause"], each["passed"], each["detail"]) for each in found] == [
        (each.clause, each.passed, each.detail) for each in check_model("./squeezed.py")
    ]
    assert {each["name"] for each in found} == {"squeezed"}


def test_check_takes_a_selection_with_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["check", "enet", "miniseg-83k[aux=false]", "--json"]) == 0
    names = [each["name"] for each in json.loads(capsys.readouterr().out)]
    assert list(dict.fromkeys(names)) == ["enet", "miniseg-83k[aux=false]"]


def test_a_file_that_is_not_there_gets_two_lines(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["check", "./nowhere.py"]) == 1
    problem, _ = capsys.readouterr().err.splitlines()
    assert "nowhere.py" in problem
