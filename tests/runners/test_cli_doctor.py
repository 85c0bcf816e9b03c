"""`covbench doctor`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from benchmark.datasets import prepare_dataset
from runners import doctor
from runners.cli import run_cli
from runners.doctor import Finding, examine


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def only(findings: list[Finding], name: str) -> Finding:
    (found,) = [finding for finding in findings if finding.name == name]
    return found


def test_every_line_ends_in_what_to_do_or_ok(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [each["name"] for each in found]
    wanted = ("python", "torch", "cores", "memory", "data folder", "this folder", "networks")
    assert set(wanted) < set(names) and "dataset phantom" in names
    assert all((each["state"] == "ok") == (each["todo"] == "ok") for each in found)

    assert run_cli(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == len(found)
    for line, each in zip(lines, found, strict=True):
        assert line.startswith(each["name"]) and line.endswith(each["todo"])


def test_what_is_broken_is_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = doctor._version
    old = {"pydantic": "1.10.2", "typer": ""}
    monkeypatch.setattr(doctor, "_version", lambda name: old.get(name, real(name)))
    assert run_cli(["doctor"]) == 1
    printed = capsys.readouterr()
    problem, remedy = printed.err.splitlines()
    assert "packages" in problem
    assert "'pydantic>=2.10'" in remedy and "'typer>=0.15'" in remedy and "numpy" not in remedy


def test_a_look_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> list[Finding]:
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(doctor, "_gpus", crash)
    findings = examine()
    assert only(findings, "torch").state == "broken"
    assert "libcudart" in only(findings, "torch").found
    assert only(findings, "memory").found


@pytest.mark.parametrize(
    ("threads", "todo"),
    [
        (None, "ok"),
        ("1", "ok"),
        ("many", "unset OMP_NUM_THREADS"),
        ("0", "unset OMP_NUM_THREADS"),
        ("9999", "export OMP_NUM_THREADS="),
    ],
)
def test_threads(threads: str | None, todo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if threads is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert only(doctor._cores(), "OMP_NUM_THREADS").todo.startswith(todo)


def test_a_container_with_less_than_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {
        "cpu.max": ["50000", "100000"],
        "memory.max": [str(2**31)],
        "memory.current": [str(2**30)],
    }
    monkeypatch.setattr(doctor, "_cgroup", limits.__getitem__)
    cores = only(doctor._cores(), "cores")
    assert "may use 0.5" in cores.found and "--jobs 1" in cores.todo
    (memory,) = doctor._memory()
    assert memory.found == "1.0 of 2.0 GiB free" and memory.state == "advice"


def test_a_data_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "file" / "data"))
    assert only(examine(), "data folder").state == "broken"
    assert run_cli(["doctor"]) == 1
    assert "COVBENCH_DATA" in capsys.readouterr().err


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")._replace(free=2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert [finding.state for finding in doctor._disks()] == ["advice", "advice"]


def test_datasets_are_named_with_their_state(data: Path) -> None:
    prepare_dataset("phantom", as_name="tiny", size=16, patients=5, slices=1)
    prepare_dataset("phantom", as_name="torn", size=16, patients=2, slices=1)
    (data / "torn" / "cases.csv").unlink()
    findings = examine()
    assert only(findings, "dataset tiny").found == "5 slices, 5 groups, 5 folds"
    assert str(data / "torn") in only(findings, "dataset torn").todo
    assert "covbench data prepare ct100" in only(findings, "dataset ct100").todo


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(doctor._gpus(), "gpu").todo.endswith("--protocol smoke")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    gpu = only(doctor._gpus(), "gpu 0")
    assert gpu.state == "broken" and "--gpus none" in gpu.todo


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_that_works() -> None:
    assert torch.cuda.get_device_name(0) in only(doctor._gpus(), "gpu 0").found
