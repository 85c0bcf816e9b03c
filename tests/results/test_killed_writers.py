"""SIGKILL in the middle of record writes, with two writers: none is lost, none is unreadable."""

from __future__ import annotations

import os
import random
import signal
import struct
import time
from pathlib import Path

import pytest

from results.files import TEMPORARY, remove_abandoned
from results.record import RunRecord
from results.store import Store
from tests.factory import make_record

RUNS = 16
"""Runs that both writers write, in another order each."""


def record_of(seed: int) -> RunRecord:
    record = make_record("unet", 0.5, seed=seed)
    assert record.training is not None
    curve = tuple(1 / (1 + step) for step in range(2000))  # some 50 kB, so that writing takes time
    training = record.training.model_copy(update={"curve": curve})
    return record.model_copy(update={"training": training})


def start(root: Path, records: list[RunRecord], told: int) -> int:
    """A writer of its own; it tells through a pipe the seed of every record that is kept."""
    child = os.fork()
    if child:
        return child
    try:
        store = Store(root)
        while True:
            for record in records:
                store.write(record)
                os.write(told, struct.pack("<i", record.spec.seed))
    finally:
        os._exit(1)


@pytest.mark.parametrize(
    "kills", [20, pytest.param(200, marks=pytest.mark.slow)], ids=["twenty", "two-hundred"]
)
def test_none_is_lost_and_none_unreadable(kills: int, tmp_path: Path) -> None:
    chance = random.Random(11)
    began = time.perf_counter()
    probe = Store(tmp_path / "probe")
    for seed in range(5):
        probe.write(record_of(seed))
    a_write = (time.perf_counter() - began) / 5

    interrupted = 0
    landed = 0
    round_ = 0
    # On a busy machine most kills come between two writes: then some more are sent.
    while landed < kills or (interrupted <= kills // 4 and landed < 5 * kills):
        round_ += 1
        root = tmp_path / f"runs{round_}"
        records = [record_of(1000 * round_ + seed) for seed in range(RUNS)]
        ours, theirs = os.pipe()
        writers = [
            start(root, order, theirs) for order in (records, chance.sample(records, len(records)))
        ]
        os.close(theirs)
        for writer in writers:
            time.sleep(chance.uniform(0, 8) * a_write)
            os.kill(writer, signal.SIGKILL)
            _, status = os.waitpid(writer, 0)
            landed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        with os.fdopen(ours, "rb") as pipe:
            kept = {seed for (seed,) in struct.iter_unpack("<i", pipe.read())}

        store = Store(root)
        found = list(store.records())
        by_seed = {each.spec.seed: each for each in found if isinstance(each, RunRecord)}
        assert len(by_seed) == len(found), "a record is unreadable"
        assert kept <= by_seed.keys(), "a record that was kept is lost"
        assert all(
            by_seed[record.spec.seed] == record for record in records if record.spec.seed in by_seed
        )
        interrupted += len(list(root.rglob(TEMPORARY)))

        # Whoever comes next writes what is missing, and clears what was half written.
        for record in records:
            assert store.write(record) == (record.spec.seed not in by_seed)
        assert len(list(store.records())) == RUNS
        for folder in {path.parent for path in root.rglob(TEMPORARY)}:
            remove_abandoned(folder)
        assert list(root.rglob(TEMPORARY)) == []
    assert landed >= kills
    assert interrupted > kills // 4, "hardly a kill came in the middle of a write"
