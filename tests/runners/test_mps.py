"""Several runs on a GPU: the service that we start and stop, and what does not fit is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runners.job import Job
from runners.mps import CONTROL, shared_gpus
from runners.shares import check_shares
from tests.factory import SMOKE, make_spec
from zoo.errors import CovbenchError

FAKE = """#!/bin/sh
there=$(test -d "$CUDA_MPS_PIPE_DIRECTORY" && echo dir)
echo "$* $CUDA_MPS_ACTIVE_THREAD_PERCENTAGE $there" >> {log}
if [ "$1" != -d ]; then cat >> {log}; fi
exit {code}
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def make(code: int = 0) -> Path:
        log = tmp_path / "said.txt"
        program = tmp_path / CONTROL
        program.write_text(FAKE.format(log=log, code=code))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return log

    return make


def names() -> set[str]:
    return {name for name in os.environ if name.startswith("CUDA_MPS")}


def test_the_service_is_ours_and_stopped_at_the_end(fake, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/somebody/else")
    log = fake()
    with pytest.raises(KeyError), shared_gpus(4) as together:
        assert together
        folder = os.environ["CUDA_MPS_PIPE_DIRECTORY"]
        assert os.environ["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"
        raise KeyError
    assert log.read_text() == "-d 25 dir\n 25 dir\nquit\n"
    assert not Path(folder).exists()
    assert names() == {"CUDA_MPS_PIPE_DIRECTORY"}
    assert os.environ["CUDA_MPS_PIPE_DIRECTORY"] == "/somebody/else"


def test_where_it_refuses_runs_take_turns(fake) -> None:  # type: ignore[no-untyped-def]
    log = fake(code=1)
    with shared_gpus(2) as together:
        assert not together
        assert not names()
    assert log.read_text() == "-d 50 dir\n"


def test_one_run_a_gpu_needs_no_service(fake) -> None:  # type: ignore[no-untyped-def]
    log = fake()
    with shared_gpus(1) as together:
        assert not together
    assert not log.exists()


def test_runs_that_do_not_fit_together_are_refused() -> None:
    jobs = [
        Job(spec=make_spec(name, seed=seed), protocol=SMOKE, store=Path("s"), data=Path("d"))
        for name in ("unet", "enet")
        for seed in (0, 1)
    ]
    asked: list[str] = []

    def peak(job: Job, gpu: int) -> int:
        asked.append(job.spec.model)
        return (4 << 30) if job.spec.model == "unet" else (1 << 30)

    free = {0: 40 << 30, 1: 14 << 30}
    check_shares(jobs, 3, [0, 1], peak, free.__getitem__)  # 3 x (4 GiB + 600 MiB) = 13.8 GiB
    assert asked == ["unet", "enet"]  # each network is measured once
    with pytest.raises(CovbenchError) as caught:
        check_shares(jobs, 4, [0, 1], peak, free.__getitem__)
    assert "unet takes 4.6 GiB of 14.0 GiB" in caught.value.problem
    assert "--jobs-per-gpu 3" in caught.value.remedy
    check_shares(jobs, 1, [0, 1], peak, free.__getitem__)
    assert asked == ["unet", "enet", "unet"]
