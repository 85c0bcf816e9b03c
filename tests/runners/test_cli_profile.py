"""`covbench profile`: cost and speed of networks, and what a user may do wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

from results.machines import read_profile
from runners.cli import run_cli
from runners.profiling.display import ProfileDisplay
from zoo.registry import get_card

NETWORKS = """
import os, signal, time
import torch
from torch import nn
from covbench import register_model


class Sleepy(nn.Conv2d):
    def __init__(self, in_channels, num_classes):
        super().__init__(in_channels, num_classes, 1)

    def forward(self, x):
        if x.device.type != "meta":
            began = time.perf_counter()
            time.sleep(0.05)
            with open(__file__ + ".slept", "a") as file:  # on a busy machine it takes longer
                print(time.perf_counter() - began, file=file)
        return super().forward(x)


class Broken(nn.Conv2d):
    def __init__(self, in_channels, num_classes):
        super().__init__(in_channels, num_classes, 1)

    def forward(self, x):
        if x.device.type != "meta":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Looks(nn.Conv2d):
    '''Its path depends on values, so that it can't run without any.'''

    def __init__(self, in_channels, num_classes):
        super().__init__(in_channels, num_classes, 1)

    def forward(self, x):
        print("noise on standard output")
        return super().forward(x) if float(x.sum()) == 0 else super().forward(x) + 1


register_model("sleepy")(Sleepy)
register_model("broken")(Broken)
register_model("looks")(Looks)
"""
BRIEF = ("--device", "cpu", "--speed", "quick", "--seconds", "1")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "nets.py"
    path.write_text(NETWORKS)
    return path


def profile(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert run_cli(["profile", *words, "--size", "64", "--json"]) == code
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()
    assert run_cli(["profile", *words]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2, lines
    return lines


def test_the_cost_of_some_networks(capsys: pytest.CaptureFixture[str]) -> None:
    found = profile(capsys, "enet,miniseg", "mobilenetv2-miniseg:encoder", "--cost-only")
    assert [each["name"] for each in found] == ["enet", "miniseg", "mobilenetv2-miniseg:encoder"]
    enet = found[0]
    assert enet["params"] == get_card("enet").params
    assert enet["macs"] == (get_card("enet").macs or 0) / 64  # a sixty-fourth of the pixels
    assert set(enet["cost"]["macs"]) == {"fvcore", "flop_counter_mode", "table3"}
    assert enet["latency_ms"] is None
    assert found[2]["params"] == 2_223_872  # what Table III prints as 2.17M


def test_an_inserted_delay_is_measured(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    found = profile(capsys, f"{file}:Sleepy", *BRIEF, "--to", str(out))
    (sleepy,) = found
    (timing,) = sleepy["timings"]
    slept = [float(line) for line in Path(f"{file}.slept").read_text().split()]
    delay = 1e3 * median(slept[-timing["n"] :])
    assert 50 <= sleepy["latency_ms"] == pytest.approx(delay, rel=0.05)
    assert sleepy["fps"] == pytest.approx(1e3 / sleepy["latency_ms"])
    assert (timing["way"], timing["batch"], timing["precision"]) == ("latency", 1, "fp32")
    assert timing["n"] >= 5
    assert sleepy["reference"] == "miniseg"
    # The files say the same.
    names = {path.name for path in out.iterdir()}
    assert {"profile.json", "profile.md", "profile.tex", "profile.csv", "speed.svg"} <= names
    written = read_profile(out / "profile.json")
    assert written.networks[0].timings[0].latency_ms == sleepy["latency_ms"]
    assert written.drift is not None and written.peaks is not None


def test_another_profile_is_set_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["profile", "miniseg", "--size", "64", *BRIEF]
    assert run_cli([*words, "--to", str(tmp_path)]) == 0
    capsys.readouterr()
    path = str(tmp_path / "profile.json")
    assert run_cli([*words, "--against", path, "--among", path]) == 0
    out = capsys.readouterr().out
    assert "Ratio" in out
    assert "latency: 1 times that of miniseg" in out


def test_a_network_that_dies_is_a_failed_row(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = profile(capsys, str(file), "--cost-only", code=2)
    rows = {each["name"]: each for each in found}
    assert rows["broken"]["error"] == "its process was ended by SIGKILL"
    assert rows["broken"]["params"] is None
    assert rows["sleepy"]["error"] is None
    assert rows["looks"]["cost"]["macs"]["flop_counter_mode"] == rows["looks"]["macs"] == 6 * 64**2


def test_a_file_of_ones_own_falls_among_the_zoo(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["profile", f"{file}:Sleepy", "--cost-only"]) == 0
    out = capsys.readouterr().out
    assert "rank 1 of" in out
    assert "On the Pareto front of parameters and MACs" in out


def test_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["profile", "enet", "--layers", "--depth", "2", "--to", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("enet Subject  363.2 K parameters, 1.89 GMACs (100.0 %)")
    lines = list(csv.DictReader((tmp_path / "layers-enet.csv").open()))
    assert int(lines[0]["macs"]) == get_card("enet").macs
    assert len(lines) > len(out.splitlines())
    capsys.readouterr()
    assert run_cli(["profile", "enet", "--layers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["macs"] == get_card("enet").macs


MISTAKES = {
    "no network": ((), "Which networks?"),
    "unknown network": (("minsieg",), "minsieg"),
    "no encoder": (("enet:encoder",), "names no encoder"),
    "device": (("enet", "--device", "tpu"), "no device 'tpu'"),
    "no such GPU": (("enet", "--device", "cuda:99"), "cuda:99"),
    "speed": (("enet", "--speed", "slow"), "slow"),
    "precision": (("enet", "--precision", "int8"), "int8"),
    "format": (("enet", "--formats", "doc"), "doc"),
    "several for layers": (("enet,unet", "--layers"), "--layers shows one network"),
    "machine": (("enet", "--against", "nowhere"), "nowhere"),
    "no speed printed": (("enet", "--against", "chsnet-table3"), "prints no speed"),
    "no profile": (("enet", "--among", "missing.json"), "missing.json"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_told_in_two_lines(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, problem = MISTAKES[what]
    assert problem in refused(capsys, *words)[0]


def test_a_broken_reference_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["enet", "--size", "64", *BRIEF]
    assert run_cli(["profile", *words, "--reference", f"{file}:Broken"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert "The reference network broken can't be timed" in lines[-2]
    assert "--reference" in lines[-1]


def test_ctrl_c_keeps_what_is_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timed = ProfileDisplay.timed

    def then_ctrl_c(self: ProfileDisplay, label: str, *rest: Any) -> None:
        timed(self, label, *rest)
        if label != "miniseg":
            raise KeyboardInterrupt

    monkeypatch.setattr(ProfileDisplay, "timed", then_ctrl_c)
    words = ("miniseg,enet,espnet", *BRIEF)
    rows = {each["name"]: each for each in profile(capsys, *words, code=2)}
    assert rows["miniseg"]["latency_ms"] and rows["miniseg"]["error"] is None
    lost = [name for name, row in rows.items() if row["error"]]
    assert {rows[name]["error"] for name in lost} == {"interrupted before it was timed"}
    assert all(row["params"] for row in rows.values())


def test_ctrl_c_before_that_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ctrl_c(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ProfileDisplay, "counted", ctrl_c)
    assert run_cli(["profile", "enet", "--size", "64", "--cost-only"]) == 130
    assert "Interrupted" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_full_profile_of_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    (enet,) = profile(capsys, "enet", "--device", "cuda", "--rounds", "1")
    ways = {each["way"] for each in enet["timings"]}
    assert ways == {"latency", "end-to-end", "single", "batch-30", "throughput", "graph"}
    assert enet["state"]["sm_clock_mhz"] is not None
    assert enet["curve"]
