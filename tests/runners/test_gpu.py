"""Whole runs on a GPU; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from results.store import load_records
from runners.cli import run_cli

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.usefixtures("data_root")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_run_on_a_gpu_learns_what_a_run_on_a_cpu_learns(tmp_path: Path, precision: str) -> None:
    command = ["run", "--models", "miniseg-83k", "--protocol", "smoke", "--set"]
    command += [f"precision={precision}"]
    found = {}
    for gpus in ("0", "none"):
        out = tmp_path / gpus
        assert run_cli([*command, "--gpus", gpus, "--out", str(out)]) == 0
        (found[gpus],) = load_records(out)
    on_gpu, on_cpu = found["0"], found["none"]
    assert on_gpu.spec.id == on_cpu.spec.id  # the device is no part of what a run is
    assert on_gpu.env.device != "cpu"
    assert on_gpu.training is not None
    assert on_cpu.training is not None
    assert on_gpu.training.peak_memory_bytes > 0
    assert on_gpu.training.curve == pytest.approx(on_cpu.training.curve, rel=0.2)


@pytest.mark.usefixtures("data_root")
def test_the_demo_networks_run_on_a_gpu(tmp_path: Path) -> None:
    command = ["run", "--models", "@demo", "--protocol", "smoke", "--gpus", "0"]
    assert run_cli([*command, "--out", str(tmp_path)]) == 0
    assert len(load_records(tmp_path)) == 15
