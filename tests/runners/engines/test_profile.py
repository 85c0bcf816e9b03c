"""The profile of a Slurm run: what is refused, and what sbatch is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.cli import run_cli
from runners.engines import choose_engine
from runners.executors.profile import SlurmProfile, load_profile
from zoo.errors import CovbenchError


def test_every_field_becomes_an_option_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "my profile.toml"
    path.write_text(
        'partition = "gpu"\naccount = "lab 7"\ntime = 90\nmemory = "16G"\ngres = "gpu:1"\n'
        'cpus = 4\nparallel = 8\nflags = ["--qos=low"]\nsetup = ["module load cuda"]\n'
    )
    profile = load_profile(path)
    assert profile.on_gpu
    found = profile.arguments("name", Path("/a b/50%"), 20)
    assert found == [
        "--job-name=name", "--array=0-19%8", "--chdir=/a b/50%", "--output=/a b/50%%/%a.out",
        "--requeue", "--open-mode=append", "--signal=B:USR1@120", "--ntasks=1",
        "--cpus-per-task=4", "--partition=gpu", "--account=lab 7", "--time=90", "--mem=16G",
        "--gres=gpu:1", "--qos=low",
    ]  # fmt: skip


def test_without_a_profile_the_cluster_decides() -> None:
    found = load_profile(None)
    assert not found.on_gpu
    assert found.arguments("name", Path("/w"), 1)[1] == "--array=0-0"
    assert not any(word.startswith(("--mem", "--time", "--gres")) for word in
                   found.arguments("name", Path("/w"), 1))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("partitoin = 'gpu'", "'partitoin'", "partition"),
        ("cpus = 0", "cpus", "clusters.md"),
        ("cpus = [", "line 1: Invalid value", "valid TOML"),
        ("time = 'an hour'", "minutes", "clusters.md"),
        ("time = 2", "less than signal_seconds", "clusters.md"),
        ("flags = ['rm -rf']", "dash", "clusters.md"),
    ],
)
def test_a_mistake_in_a_profile(text: str, problem: str, remedy: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_text(text)
    with pytest.raises(CovbenchError) as caught:
        load_profile(path)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("limit", "fits"),
    [("3", True), ("2:59", False), ("0:03:00", True), ("1-0", True), ("0-00:02", False)],
)
def test_a_time_limit_leaves_time_to_write_a_checkpoint(limit: str, fits: bool) -> None:
    if fits:
        assert SlurmProfile(time=limit).time == limit
    else:
        with pytest.raises(ValueError, match="less than"):
            SlurmProfile(time=limit)


@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [
        (["--executor", "slurm", "--profile", "/nowhere.toml"], "can't be read", "--profile"),
        (["--executor", "ray", "--gpus", "0"], "Ray hands out", "--jobs-per-gpu"),
        (["--executor", "slurm", "--threads", "4"], "Slurm decides", "--profile"),
        (["--address", "auto"], "means nothing to the engine local", "ray"),
        (["--gpus", "none", "--jobs-per-gpu", "2"], "needs a GPU", "--jobs"),
        (["--retries", "-1"], "--retries", "0 or more"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: list[str], first: str, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["run", "-m", "unet", *arguments]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert first in lines[0] and second in lines[1]


def test_what_an_engine_is_chosen_with(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('gres = "gpu:a100:1"\ncpus = 3\n')
    slurm = choose_engine("slurm", profile=path)
    assert (slurm.device, slurm.threads, slurm.slots) == ("cuda", 3, ())
    assert choose_engine("slurm", profile=path, gpus="none").device == "cpu"
    assert choose_engine("ray", jobs_per_gpu=4).per_gpu == 4
