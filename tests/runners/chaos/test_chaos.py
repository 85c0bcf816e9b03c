"""Workers and drivers are killed at random and the disk fills up: every run has its one record.

Sizes come from the environment; `make chaos` sets them to 60 runs and five minutes an engine.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom

import pytest

from tests.runners.chaos.chaos import Chaos, Drivers
from tests.runners.chaos.lab import Lab, leftovers, results
from tests.runners.disk import small_disk
from tests.runners.engines.places import place, why_not


def _setting(name: str, default: float) -> float:
    return float(os.environ.get(f"COVBENCH_CHAOS_{name}", default))


SECONDS = _setting("SECONDS", 45)
SEED = int(_setting("SEED", SystemRandom().randrange(10**6)))
LOG = os.environ.get("COVBENCH_CHAOS_LOG")
PAUSES = {"local": 1.5, "slurm": 4.0, "ray": 6.0}
"""Seconds between two acts at least: on a cluster each start of a worker or driver takes longer."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    sizes = [int(_setting(name, default)) for name, default in _SIZES.items()]
    return Lab.build(tmp_path_factory.mktemp("lab"), *sizes)


_SIZES = {"NETWORKS": 3, "FOLDS": 2, "SEEDS": 1}


@pytest.fixture(scope="module")
def peace(lab: Lab) -> tuple[dict[str, tuple[object, ...]], float]:
    """The results of undisturbed runs, and how many seconds one took."""
    began = time.monotonic()
    for command in lab.commands:
        assert lab.start(command, lab.folder / "peace", ["--jobs", "2"]).wait() == 0, lab.said
    found = results(lab.folder / "peace")
    assert len(found) == lab.runs
    return found, (time.monotonic() - began) / lab.runs


@pytest.fixture
def tell() -> Callable[[str], None]:
    """Prints a line with its time, and adds it to the log, where there is one."""
    began = time.monotonic()

    def say(line: str) -> None:
        text = f"{time.monotonic() - began:7.1f} s  {line}"
        print(text)
        if LOG:
            with open(LOG, "a", encoding="utf-8") as file:
                file.write(text + "\n")

    return say


@pytest.mark.timeout(2 * SECONDS + 900)
@pytest.mark.parametrize("name", ["local", "slurm", "ray"])
def test_every_run_has_one_record_and_it_is_that_of_a_run_in_peace(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    if reason := why_not(name):
        pytest.skip(reason)
    lab: Lab = request.getfixturevalue("lab")
    expected, seconds = request.getfixturevalue("peace")
    with place(name, tmp_path) as where, small_disk(tmp_path / "disk", "24m") as disk:
        day = datetime.now(UTC).isoformat(timespec="minutes")
        tell(f"{name}: {lab.words} for {SECONDS:.0f} s, chance {SEED}, {day}")
        tell(f"in peace a run took {seconds:.1f} s, with two at a time")
        if disk is None:
            tell("no small file system can be mounted here: the disk does not fill up")
        acts: Counter[str] = Counter()
        random, until = Random(f"{SEED} {name}"), time.monotonic() + SECONDS
        rounds, started = 0, 0
        while not rounds or time.monotonic() < until:
            rounds += 1
            out = (disk.path if disk else tmp_path) / f"runs{rounds}"
            drivers = Drivers(lab, out, where.arguments)
            chaos = Chaos(drivers, out, disk, random, max(PAUSES[name], seconds), tell)
            try:
                chaos.rage(until)
                if not drivers.done:
                    tell("peace")
                while not drivers.done:
                    drivers.keep()
                    time.sleep(0.1)
            finally:
                drivers.end()
            assert results(out) == expected
            assert leftovers(out) == []
            tell(f"all {lab.runs} runs have one valid record, equal to that of a run in peace")
            acts, started = acts + chaos.acts, started + drivers.started
        assert "Traceback" not in lab.said
        assert acts
        counts = "; ".join(f"{act}: {count}" for act, count in sorted(acts.items()))
        tell(f"end of {name}: {rounds} times all runs, {started} drivers. {counts}")
