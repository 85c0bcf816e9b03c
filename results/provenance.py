"""Where a number comes from: the program's commit and the machine it ran on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import nn

from results.record import Code, Environment

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "monai",
    "segmentation-models-pytorch",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "pillow",
    "nibabel",
)

VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY"),
    *("ATEN_CPU_CAPABILITY", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "PYTHONHASHSEED"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"),
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),
    *("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"),
)
"""The environment variables that a record holds; no other one is ever written down."""

_PLAIN = re.compile(r"[\w.,:=+-]{0,120}", re.ASCII)


def covbench_version() -> str:
    """The installed version of covbench."""
    try:
        return version("covbench")
    except PackageNotFoundError:
        return "not installed"


def describe_code(model: nn.Module | None = None) -> Code:
    """What program ran, and the class of the one network that it built, if there was one."""
    commit, dirty = git_state()
    kind = type(model)
    return Code(
        version=covbench_version(),
        git_commit=commit,
        git_dirty=dirty,
        network_class="" if model is None else f"{kind.__module__}.{kind.__qualname__}",
    )


@cache
def git_state() -> tuple[str | None, bool | None]:
    """Commit of covbench's source and whether it is changed; None where it is no checkout."""
    top = Path(__file__).resolve().parent.parent
    if not (top / ".git").exists():
        return None, None

    def git(*words: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(top), *words], capture_output=True, text=True, timeout=20, check=True
        )
        return run.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def describe_environment(device: torch.device) -> Environment:
    """The machine and software, as far as a number can depend on them."""
    on_gpu = device.type == "cuda"
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_name(),
        threads=torch.get_num_threads(),
        packages=packages,
        device=torch.cuda.get_device_name(device) if on_gpu else "cpu",
        cuda=torch.version.cuda if on_gpu else None,
        driver=_driver_version() if on_gpu else None,
        deterministic=not on_gpu or torch.are_deterministic_algorithms_enabled(),
        variables=environment_variables(),
    )


def environment_variables() -> dict[str, str]:
    """The variables of this process that numbers or speeds can depend on.

    The list is fixed, and their values must look like numbers and names: tokens and passwords in
    the environment are never read.
    """
    found = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return {name: value for name, value in found.items() if _PLAIN.fullmatch(value)}


@cache
def cpu_name() -> str:
    """The processor's model name, as the operating system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _driver_version() -> str | None:
    try:
        run = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.splitlines()[0].strip() if run.stdout else None
