"""What a run asks of Slurm, from a TOML file of the user's."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from benchmark.settings import parse_toml
from zoo.errors import CovbenchError, unknown
from zoo.limits import read_limited


class SlurmProfile(BaseModel):
    """The needs of one run.

    Attributes:
        partition: The partition; the cluster's default if it is left out.
        account: Whom the hours are charged to.
        time: The time limit of one go, as Slurm writes it: `04:00:00`, `1-12`, or minutes. A run
            that needs longer writes a checkpoint and is queued again.
        memory: Main memory: `16G`.
        gres: Such as `gpu:1` or `gpu:a100:1`; a run with a GPU in it trains on CUDA.
        cpus: Cores, and CPU threads.
        parallel: Runs at a time at most.
        signal_seconds: How long before the time limit a run is asked to stop.
        flags: Further options of sbatch, each one word: `--qos=low`.
        setup: Lines of shell before the run, such as `module load cuda`.
        python: The interpreter on the nodes; the one of this command by default.
        wave: Runs in one array at most (the cluster's MaxArraySize less one).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: str | None = None
    account: str | None = None
    time: str | None = None
    memory: str | None = None
    gres: str | None = None
    cpus: int = Field(default=1, ge=1)
    parallel: int | None = Field(default=None, ge=1)
    signal_seconds: int = Field(default=120, ge=10, le=65535)
    flags: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    python: str | None = None
    wave: int = Field(default=1000, ge=1)

    @field_validator("time", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _has_time_to_stop(self) -> SlurmProfile:
        """Slurm may give the signal a minute early, and a run must have begun by then."""
        if self.time is not None:
            seconds = _seconds(self.time)
            if seconds is None:
                raise ValueError(f"time {self.time!r} is not minutes, H:MM:SS or D-HH:MM:SS")
            if seconds < self.signal_seconds + 60:
                raise ValueError(
                    f"time {self.time!r} is less than signal_seconds and a minute to begin"
                )
        for flag in self.flags:
            if not flag.startswith("-"):
                raise ValueError(f"flags: {flag!r} does not begin with a dash")
        return self

    @property
    def on_gpu(self) -> bool:
        """Whether a run gets a GPU."""
        return bool(re.search(r"\bgpu\b", self.gres or "")) or any(
            flag.startswith("--gpus") for flag in self.flags
        )

    def arguments(self, name: str, folder: Path, count: int) -> list[str]:
        """The options of sbatch for a wave of runs.

        Args:
            name: Name of the array.
            folder: Folder of the wave.
            count: Number of runs.
        """
        most = f"%{self.parallel}" if self.parallel else ""
        fixed = [
            f"--job-name={name}",
            f"--array=0-{count - 1}{most}",
            f"--chdir={folder}",
            f"--output={str(folder).replace('%', '%%')}/%a.out",
            "--requeue",
            "--open-mode=append",
            f"--signal=B:USR1@{self.signal_seconds}",
            "--ntasks=1",
            f"--cpus-per-task={self.cpus}",
        ]
        chosen = {
            "partition": self.partition,
            "account": self.account,
            "time": self.time,
            "mem": self.memory,
            "gres": self.gres,
        }
        given = [f"--{key}={value}" for key, value in chosen.items() if value is not None]
        return [*fixed, *given, *self.flags]


def load_profile(path: Path | None) -> SlurmProfile:
    """Read a profile; the cluster's defaults where none is given.

    Raises:
        CovbenchError: There is no such file, or it is no profile.
    """
    if path is None:
        return SlurmProfile()
    try:
        text = read_limited(path, "settings_bytes").decode()
    except OSError as error:
        raise CovbenchError(
            f"The profile {path} can't be read: {error.strerror}.", "Check the path of --profile."
        ) from error
    except UnicodeDecodeError as error:
        raise CovbenchError(
            f"The profile {path} is no text: {error}.", "Save it as UTF-8."
        ) from error
    fields = parse_toml(text, str(path))
    names = list(SlurmProfile.model_fields)
    for name in fields:
        if name not in names:
            raise unknown(f"field of the profile {path}", name, names, ", ".join(names))
    try:
        return SlurmProfile.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CovbenchError(
            f"The profile {path}: {where + ': ' if where else ''}{first['msg']}.",
            "docs/clusters.md has a profile to start from.",
        ) from error


def _seconds(text: str) -> int | None:
    """Seconds of a time limit as Slurm writes it."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if found is None:
        return None
    days, first, second, third = (int(part) if part else 0 for part in found.groups())
    if found[1] is not None:  # D-H[:M[:S]]
        return ((days * 24 + first) * 60 + second) * 60 + third
    if found[4] is not None:  # H:M:S
        return (first * 60 + second) * 60 + third
    return first * 60 + second  # M[:S]
