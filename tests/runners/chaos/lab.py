"""What is trained under chaos, and what must come out: the same as of a store left in peace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmark.datasets import prepare_dataset
from results.record import RunRecord
from results.store import Damaged, Store
from tests.runners.conftest import TINY

Driver = subprocess.Popen[bytes]

_COVBENCH = "from runners.cli import main; main()"
_CASCADE = 4
"""A cascade is its last network, one for the lungs of the test slices, and two for the others."""

_NETWORKS = """

def register(width):
    @register_model(f"chaos{width}")
    def tiny(in_channels, num_classes):
        return Tiny(in_channels, num_classes, width)


for width in range(1, COUNT + 1):
    register(width)
"""


@dataclass(frozen=True)
class Lab:
    """Small networks, a small phantom, and the commands that train the ones on the other.

    Attributes:
        folder: Where the networks' file, the data and the drivers' output lie.
        networks: How many networks.
        folds: On how many folds each.
        seeds: With how many seeds each.
    """

    folder: Path
    networks: int
    folds: int
    seeds: int

    @classmethod
    def build(cls, folder: Path, networks: int, folds: int, seeds: int) -> Lab:
        """Write the networks and prepare the data."""
        lab = cls(folder, networks, folds, seeds)
        lab._file.write_text(TINY + f"COUNT = {networks}\n" + _NETWORKS)
        prepare_dataset("phantom", root=lab._data, size=64, patients=10, slices=2)
        return lab

    @property
    def runs(self) -> int:
        """How many runs all commands ask for."""
        return self.networks * self.folds * self.seeds + _CASCADE

    @property
    def words(self) -> str:
        """The runs in a few words."""
        return (
            f"{self.runs} runs ({self.networks} networks x {self.folds} folds x {self.seeds} "
            f"seeds, and a cascade of {_CASCADE})"
        )

    @property
    def commands(self) -> list[list[str]]:
        """What `covbench` is given, but for the store and the engine: a cascade, and the rest."""
        others = "".join(f",!chaos{width}" for width in range(2, self.networks + 1))
        # A checkpoint after every step makes resuming as likely as starting anew.
        settings = ["max_steps=60", "checkpoint_every=0 min"]
        shared = ["--protocol", "smoke", "--yes", "--retry-failed"]
        shared += [word for setting in settings for word in ("--set", setting)]
        cascade = ["--task", "hierarchical", "--inner-folds", "2"]
        places = ["--folds", f"1-{self.folds}", "--seeds", f"0-{self.seeds - 1}"]
        return [
            ["run", "--models", f"{self._file}{others}", *shared, *cascade],
            ["run", "--models", str(self._file), *shared, *places],
        ]

    def start(self, command: Sequence[str], out: Path, engine: Sequence[str]) -> Driver:
        """Start a driver; what it prints is added to `drivers.txt`."""
        with (self.folder / "drivers.txt").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-c", _COVBENCH, *command, "--out", str(out), *engine],
                env={**os.environ, "COVBENCH_DATA": str(self._data), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    @property
    def said(self) -> str:
        """What all drivers printed."""
        return (self.folder / "drivers.txt").read_text(errors="replace")

    @property
    def _file(self) -> Path:
        return self.folder / "chaos_nets.py"

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def results(out: Path) -> dict[str, tuple[object, ...]]:
    """What the records of a store say that must not depend on what happened on the way.

    Raises:
        AssertionError: A record is damaged, or a run has two.
    """
    found: dict[str, tuple[object, ...]] = {}
    for record in Store(out).records():
        assert not isinstance(record, Damaged), record
        assert record.spec.id not in found, f"{record.spec.title} has two records"
        found[record.spec.id] = _result(record)
    return found


def _result(record: RunRecord) -> tuple[object, ...]:
    assert record.training is not None
    return record.spec, record.scores, record.counts, record.training.curve, record.data


def leftovers(out: Path) -> list[Path]:
    """What only a run in progress, or a damaged one, has in its folder."""
    beginnings = ("checkpoint", "progress", "record.json.")
    return [
        path
        for path in out.rglob("*")
        if path.name.startswith(beginnings) or path.name.endswith(".tmp")
    ]


def holders(out: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The processes that train a run of a store, on whatever engine, and the run's folder."""
    for process in psutil.process_iter(["name"]):
        if "python" not in (process.info["name"] or "") or process.pid == os.getpid():
            continue
        try:
            paths = [Path(each.path) for each in process.open_files()]
        except (psutil.Error, OSError):
            continue
        for path in paths:
            if path.name == ".lock" and path.is_relative_to(out):
                yield process, str(path.parent.relative_to(out))
