"""What of this machine covbench depends on: found, judged, and what to do about it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from runners.machine import cpu_count

State = Literal["ok", "advice", "broken"]

_GIB = 2**30
_LOW_MEMORY = 4 * _GIB
_LOW_DISK = 5 * _GIB
_OPTIONAL = {"medpy": "pip install medpy, only if you want its surface distances as a reference"}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        found: What there is.
        state: "ok"; "advice" where it could be better; "broken" where runs would fail.
        todo: What to do, "ok" where there is nothing.
    """

    name: str
    found: str
    state: State = "ok"
    todo: str = "ok"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "found": self.found, "state": self.state, "todo": self.todo}


def examine() -> list[Finding]:
    """Look at this machine.

    Returns:
        The findings, in the order in which a reader wants them. A look that fails is a finding
        too, never an exception.
    """
    looks: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("system", _system),
        ("python", _python),
        ("packages", _packages),
        ("torch", _gpus),
        ("cores", _cores),
        ("memory", _memory),
        ("disk", _disks),
        ("networks", _networks),
        ("datasets", _datasets),
        ("pdflatex", _latex),
    )
    findings = []
    for name, look in looks:
        try:
            findings += look()
        except Exception as error:  # a broken installation breaks in any way
            reason = (str(error).strip() or "no message").splitlines()[0]
            todo = "install covbench again in a new environment"
            findings.append(Finding(name, f"{type(error).__name__}: {reason}", "broken", todo))
    return findings


def _system() -> list[Finding]:
    found = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if os.name == "posix":
        return [Finding("system", found)]
    return [Finding("system", found, "broken", "use Linux, macOS, or WSL under Windows")]


def _python() -> list[Finding]:
    found = f"{platform.python_version()} ({sys.executable})"
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return [Finding("python", found)]
    return [Finding("python", found, "broken", "use Python 3.11, 3.12 or 3.13")]


def _packages() -> list[Finding]:
    """The packages that covbench requires, by its own metadata, and the optional ones."""
    try:
        version = metadata.version("covbench")
        requirements = [each for each in metadata.requires("covbench") or [] if "extra" not in each]
    except metadata.PackageNotFoundError:
        return [
            Finding("covbench", "not installed", "broken", "run pip install -e . in its folder")
        ]
    wanting = []
    for requirement in requirements:
        match = re.match(r"([\w.-]+)[^>]*(?:>=([\d.]+))?", requirement)
        assert match is not None
        name, least = match.groups()
        if _numbers(_version(name)) < _numbers(least):
            wanting.append(f"{name}>={least}" if least else name)
    findings = [Finding("covbench", version)]
    if wanting:
        install = "pip install " + " ".join(f"'{each}'" for each in wanting)
        findings.append(
            Finding("packages", f"missing or too old: {len(wanting)}", "broken", install)
        )
    else:
        findings.append(Finding("packages", f"all {len(requirements)} required ones"))
    for name, todo in _OPTIONAL.items():
        found = _version(name)
        findings.append(
            Finding(name, found) if found else Finding(name, "not installed", "advice", todo)
        )
    return findings


def _version(package: str) -> str:
    """The installed version, "" for none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _numbers(version: str | None) -> tuple[int, ...]:
    """The leading numbers of a version; of none, less than any."""
    return tuple(int(each) for each in re.findall(r"\d+", (version or "").split("+")[0])[:3])


def _gpus() -> list[Finding]:
    import torch

    findings = [Finding("torch", f"{torch.__version__}")]
    count = torch.cuda.device_count()
    for index in range(count):
        findings.append(_gpu(index))
    if count:
        return findings
    if shutil.which("nvidia-smi"):
        todo = "install a CUDA build of torch that fits the driver: https://pytorch.org/get-started"
        found = f"none that torch {torch.version.cuda or 'without CUDA'} can use"
        return [*findings, Finding("gpu", found, "advice", todo)]
    todo = "runs use the CPU: start with --protocol smoke"
    return [*findings, Finding("gpu", "none", "advice", todo)]


def _gpu(index: int) -> Finding:
    """One GPU: is it free, and does it compute?"""
    import torch

    name = f"gpu {index}"
    try:
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        found = f"{properties.name}, {free / _GIB:.0f} of {total / _GIB:.0f} GiB free"
        ones = torch.ones(1, 1, 8, 8, device=f"cuda:{index}")
        torch.nn.functional.conv2d(ones, ones[..., :3, :3]).sum().item()
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        return Finding(name, reason, "broken", "mend its driver or torch, or use run --gpus none")
    if free < 0.5 * total:
        return Finding(name, found, "advice", "another program uses it: choose others with --gpus")
    return Finding(name, found)


def _cores() -> list[Finding]:
    cores = cpu_count()
    share = _cgroup_cores()
    if share is not None and share < cores:
        found = f"{cores}, of which this container may use {share:g}"
        todo = f"add --jobs {max(1, int(share))} to covbench run"
        findings = [Finding("cores", found, "advice", todo)]
    else:
        findings = [Finding("cores", str(cores))]
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is None:
        return [*findings, Finding("OMP_NUM_THREADS", "not set")]  # workers set their own
    if not threads.isdigit() or int(threads) < 1:
        return [*findings, Finding("OMP_NUM_THREADS", threads, "advice", "unset OMP_NUM_THREADS")]
    if int(threads) > cores:
        todo = f"export OMP_NUM_THREADS={cores}: more threads than cores are far slower"
        return [*findings, Finding("OMP_NUM_THREADS", threads, "advice", todo)]
    return [*findings, Finding("OMP_NUM_THREADS", threads)]


def _cgroup(file: str) -> list[str]:
    """The words of a limit that a container sets (cgroup v2); none where there is none."""
    try:
        return (Path("/sys/fs/cgroup") / file).read_text().split()
    except OSError:
        return []


def _cgroup_cores() -> float | None:
    words = _cgroup("cpu.max")
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _memory() -> list[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    if limit and limit[0] != "max" and used:
        total = min(total, int(limit[0]))
        free = min(free, total - int(used[0]))
    found = f"{free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
    if free < _LOW_MEMORY:
        return [Finding("memory", found, "advice", "close other programs, or add --jobs 1")]
    return [Finding("memory", found)]


def _disks() -> list[Finding]:
    from benchmark.datasets import data_root

    return [
        _disk("data folder", data_root(), "set COVBENCH_DATA to a folder that you may write to"),
        _disk("this folder", Path.cwd(), "work in a folder that you may write to, or give --out"),
    ]


def _disk(name: str, folder: Path, todo: str) -> Finding:
    """Free space of a folder, and whether it can be written, where it need not exist yet."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    found = f"{folder}, {free / _GIB:.1f} GiB free"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(name, f"{folder} can't be written", "broken", todo)
    if free < _LOW_DISK:
        return Finding(name, found, "advice", "free some space: records and predictions need it")
    return Finding(name, found)


def _networks() -> list[Finding]:
    from zoo.registry import cards, missing_packages

    known = cards().values()
    missing = sorted({package for card in known for package in missing_packages(card)})
    ready = sum(not missing_packages(card) for card in known)
    found = f"{ready} of {len(known)} ready"
    if missing:
        return [Finding("networks", found, "advice", f"pip install {' '.join(missing)}")]
    return [Finding("networks", found)]


def _datasets() -> list[Finding]:
    from runners.holdings import holdings

    findings = []
    for each in holdings():
        name = f"dataset {each.name}"
        if each.state == "prepared":
            findings.append(Finding(name, each.summary))
        elif each.state == "damaged":
            todo = f"delete {each.path} and prepare it again: {each.obtain}"
            findings.append(Finding(name, "damaged", "advice", todo))
        elif each.state == "made at first use":
            findings.append(Finding(name, each.state))
        elif each.name != "folder":
            todo = f"to use it: {each.obtain}"
            findings.append(Finding(name, each.state, "advice", todo))
    return findings


def _latex() -> list[Finding]:
    found = shutil.which("pdflatex")
    if found:
        return [Finding("pdflatex", found)]
    todo = "install TeX Live, only if you want to typeset the .tex tables here"
    return [Finding("pdflatex", "not found", "advice", todo)]
