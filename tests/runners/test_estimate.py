"""The estimate before a run, and what this machine offers to runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.protocols import load_protocol
from runners import estimate, machine
from runners.cli.options import parse_numbers
from runners.estimate import estimate_seconds
from runners.job import Job
from runners.machine import preload_for, slots_and_threads
from runners.plan import Resources, make_plan
from zoo.errors import CovbenchError
from zoo.selection import select


@pytest.fixture
def jobs(data_root: Path, tmp_path: Path) -> Callable[..., tuple[Job, ...]]:
    def make(models: str, *settings: str, threads: int = 1, **more: object) -> tuple[Job, ...]:
        protocol = load_protocol("smoke", settings)
        resources = Resources(tmp_path / "runs", data_root, threads=threads)
        plan = make_plan(select(models), ["phantom"], protocol, resources, **more)  # type: ignore[arg-type]
        return plan.todo

    return make


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known speed, so that nothing here is timed."""
    known = estimate._Rates(macs=1e10, elements=1e9, call=1e-5)
    monkeypatch.setattr(estimate, "_measure_rates", lambda: known)


def seconds(found: tuple[Job, ...], slots: int = 1) -> float:
    about = estimate_seconds(found, slots)
    assert about is not None
    return about


def test_it_grows_with_steps_and_size(jobs: Callable[..., tuple[Job, ...]]) -> None:
    few, more = (seconds(jobs("miniseg", f"max_steps={steps}")) for steps in (10, 1000))
    large = seconds(jobs("miniseg", "max_steps=1000", "size=128"))
    assert few < more < large
    # 990 steps more, four times the pixels: arithmetic grows in proportion.
    assert 50 < (more - 1) / (few - 1) < 100
    assert 2 < large / more < 4.5


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("batch=4", "batch=8"),
        ("augment.mode=sizes sizes=0.5", "augment.mode=sizes sizes=1.5"),
        ("max_steps=none epochs=1", "max_steps=none epochs=2"),
    ],
)
def test_it_grows_with_the_work(less: str, more: str, jobs: Callable[..., tuple[Job, ...]]) -> None:
    assert seconds(jobs("enet", *less.split())) < seconds(jobs("enet", *more.split()))


def test_larger_networks_take_longer(jobs: Callable[..., tuple[Job, ...]]) -> None:
    assert seconds(jobs("miniseg-83k")) < seconds(jobs("miniseg")) < seconds(jobs("unet"))


def test_runs_add_up_and_slots_share_them(jobs: Callable[..., tuple[Job, ...]]) -> None:
    one, four = jobs("miniseg"), jobs("miniseg", seeds=[0, 1, 2, 3])
    assert seconds(four) == pytest.approx(4 * seconds(one))
    assert seconds(four, 2) == pytest.approx(seconds(four) / 2)
    assert seconds(one, 8) == seconds(one)  # one run can't use eight slots
    assert seconds(jobs("miniseg", threads=2)) < seconds(one)


def test_weights_that_are_scored_are_not_trained(
    jobs: Callable[..., tuple[Job, ...]], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pth"
    weights.touch()
    many = "max_steps=5000"
    assert seconds(jobs("miniseg", many, weights=weights)) < seconds(jobs("miniseg", many)) / 10


def test_options_are_part_of_the_work(jobs: Callable[..., tuple[Job, ...]]) -> None:
    assert seconds(jobs("miniseg[strict=true]")) != seconds(jobs("miniseg"))


def test_no_estimate_on_a_gpu(jobs: Callable[..., tuple[Job, ...]]) -> None:
    (job,) = jobs("miniseg")
    on_gpu = job.model_copy(update={"device": "cuda", "gpu": 0})
    assert estimate_seconds([on_gpu], 1) is None
    assert estimate_seconds([job, on_gpu], 2) is None


def test_nothing_takes_no_time() -> None:
    assert estimate_seconds([], 2) == 0


def test_the_rates_are_measured_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    before = torch.get_num_threads()
    found = estimate._measure_rates()
    assert torch.get_num_threads() == before
    assert found.macs > found.elements > 0
    assert found.call > 0


# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (None, None),
        ("3", (3,)),
        ("1-5", (1, 2, 3, 4, 5)),
        ("1,3", (1, 3)),
        ("1-3,5", (1, 2, 3, 5)),
        ("3,1-3,1", (3, 1, 2)),
        (" 1 , 2 - 3 ,", (1, 2, 3)),
        ("2-2", (2,)),
    ],
)
def test_numbers(text: str | None, numbers: tuple[int, ...] | None) -> None:
    assert parse_numbers(text, "fold", 1) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "x",
        "1-",
        "-1",
        "3-1",
        "1,3-2",
        "0",
        "0-2",
        "1.5",
        "1..3",
        "all",
        "1-99999999999",
        f"{2**64}",
    ],
)
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(CovbenchError, match="folds") as caught:
        parse_numbers(text, "fold", 1)
    assert repr(text) in caught.value.problem
    assert "start at 1" in caught.value.remedy


def test_seeds_start_at_zero() -> None:
    assert parse_numbers("0-2", "seed", 0) == (0, 1, 2)
    with pytest.raises(CovbenchError, match="--seeds '-1'"):
        parse_numbers("-1", "seed", 0)


# --- slots -------------------------------------------------------------------------------------


def offer(monkeypatch: pytest.MonkeyPatch, gpus: int, cores: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(machine, "cpu_count", lambda: cores)


@pytest.mark.parametrize(
    ("gpus", "cores", "arguments", "expected"),
    [
        (0, 1, (None, None), ([None], "cpu", 1)),
        (0, 2, (None, None), ([None] * 2, "cpu", 1)),
        (0, 64, (None, None), ([None] * 4, "cpu", 1)),
        (0, 2, (None, 7), ([None] * 7, "cpu", 1)),
        (0, 8, (None, 2, 3), ([None] * 2, "cpu", 3)),
        (2, 16, (None, None), ([0, 1], "cuda", 8)),
        (4, 16, ("1,3", None), ([1, 3], "cuda", 8)),
        (2, 16, ("1", None, 2), ([1], "cuda", 2)),
        (3, 1, (None, None), ([0, 1, 2], "cuda", 1)),
        (2, 16, ("none", None), ([None] * 4, "cpu", 1)),
        (2, 16, ("none", 1), ([None], "cpu", 1)),
    ],
)
def test_slots(
    gpus: int,
    cores: int,
    arguments: tuple[str | None, int | None],
    expected: tuple[list[int | None], str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, gpus, cores)
    assert slots_and_threads(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2", None), "There is no GPU 2: this machine has 2"),
        (("-1", None), "There is no GPU -1"),
        (("all", None), "'all' is no list of GPUs"),
        (("", None), "'' is no list of GPUs"),
        (("0,", None), "'0,' is no list of GPUs"),
        (("none", 0), "--jobs 0 is too few"),
        (("none", -3), "--jobs -3 is too few"),
        (("none", 1, 0), "--threads 0 is too few"),
    ],
)
def test_slots_that_there_are_not(
    arguments: tuple[str | None, int | None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, 2, 8)
    with pytest.raises(CovbenchError) as caught:
        slots_and_threads(*arguments)
    assert words in caught.value.problem
    assert caught.value.remedy


def test_there_is_a_core() -> None:
    assert machine.cpu_count() >= 1


def test_what_the_server_of_workers_imports() -> None:
    assert "segmentation_models_pytorch" in preload_for(["unet", "smp:unet/resnet34"])
    assert "segmentation_models_pytorch" in preload_for(["miniseg-decoder:resnet18"])
    assert "segmentation_models_pytorch" not in preload_for(["unet"])
    assert "runners.preload_monai" in preload_for(["unet", "segresnet"])
    assert "runners.preload_monai" not in preload_for(["unet"])
