"""From the rounds of a profile to its timings."""

from __future__ import annotations

import pytest

from benchmark.speed.round import RoundResult
from benchmark.speed.state import MachineState
from benchmark.speed.timing import BatchPoint
from benchmark.speed.ways import Setting
from results.machines import ProfiledNetwork
from runners.isolated import Broken
from runners.profiling.merge import Round, timed

CALM = MachineState(samples=3, others=0.0)
SHARED = MachineState(samples=3, others=2.0, flags=("shared",))


def result(seconds: float, state: MachineState = CALM, **changes: object) -> RoundResult:
    passes = [seconds * (1 + 0.0001 * each) for each in range(-20, 21)]
    fields: dict[str, object] = {
        "times": {"latency": passes},
        "batches": {"latency": 1},
        "state": state,
    }
    return RoundResult(**{**fields, **changes})  # type: ignore[arg-type]


def one(seconds: float, first: float = 1.0, last: float = 1.0, state: MachineState = CALM) -> Round:
    return Round({"net": result(seconds, state)}, (result(first), result(last)))


NET = ProfiledNetwork(name="net")


def test_rounds_become_one_timing() -> None:
    (timing,) = timed(NET, [one(0.2), one(0.201, 1.01, 1.01), one(0.2)], Setting()).timings
    assert timing.latency_ms == pytest.approx(200, rel=0.01)
    assert timing.fps == pytest.approx(5, rel=0.01)
    assert timing.round_medians_ms == pytest.approx((200, 201, 200))
    assert timing.n == 3 * 41
    assert timing.relative == pytest.approx(0.2)
    assert timing.flags == ()


def test_the_ratio_to_the_reference_takes_out_what_slows_both() -> None:
    slow = [one(0.2, 1.0, 1.0), one(0.4, 2.0, 2.0), one(0.2, 1.0, 1.0)]
    (timing,) = timed(NET, slow, Setting()).timings
    assert timing.relative == pytest.approx(0.2)
    assert "unstable" in timing.flags


def test_a_drift_of_the_reference_makes_the_round_unstable() -> None:
    (timing,) = timed(NET, [one(0.2, 1.0, 1.04)], Setting()).timings
    assert timing.flags == ("unstable",)
    assert one(0.2, 1.0, 1.04).drift == pytest.approx(0.04)


def test_flags_of_the_machine_are_kept_and_its_worst_state_is_shown() -> None:
    network = timed(NET, [one(0.2), one(0.2, state=SHARED)], Setting())
    assert network.timings[0].flags == ("shared",)
    assert network.state == SHARED


def test_a_failed_round_is_told_and_the_others_count() -> None:
    broken = Round({"net": Broken("it fell over")}, (result(1.0), result(1.0)))
    network = timed(NET, [broken, one(0.2)], Setting())
    assert network.error == "it fell over"
    assert network.timings[0].n == 41
    assert timed(NET, [broken], Setting()).timings == ()


def test_what_only_some_ways_have() -> None:
    full = result(
        0.2,
        times={"latency": [0.2] * 50, "graph": [0.1] * 50, "throughput": [0.8] * 50},
        batches={"latency": 1, "graph": 1, "throughput": 8},
        memory={"latency": (1000, 2000)},
        joules={"throughput": 0.5},
        curve=(BatchPoint(batch=8, fps=10.0), BatchPoint(batch=16, fps=None)),
        busy=0.4,
        attainable_seconds=0.05,
    )
    network = timed(NET, [Round({"net": full}, (result(1.0), result(1.0)))], Setting("bf16", True))
    latency, graph, throughput = network.timings
    assert (latency.busy, graph.busy) == (0.4, None)
    assert (latency.attained, graph.attained, throughput.attained) == pytest.approx(
        (0.25, 0.5, None)
    )
    assert (latency.peak_allocated_bytes, latency.peak_reserved_bytes) == (1000, 2000)
    assert (latency.joules, throughput.joules) == (None, 0.5)
    assert throughput.fps == pytest.approx(10)
    assert (graph.relative, latency.relative) == (None, pytest.approx(0.2))
    assert (latency.precision, latency.channels_last) == ("bf16", True)
    assert [point.fps for point in network.curve] == [10.0, None]


def test_papers_give_the_mean() -> None:
    found = result(
        0.2,
        times={"latency": [0.1, 0.1, 0.4], "single": [0.1, 0.1, 0.4], "batch-30": [3.0, 3.0, 9.0]},
        batches={"latency": 1, "single": 1, "batch-30": 30},
    )
    network = timed(NET, [Round({"net": found}, (result(1.0), result(1.0)))], Setting())
    assert [each.fps for each in network.timings] == pytest.approx([10, 5, 6])


def test_two_results_of_the_reference_are_joined() -> None:
    joined = result(1.0).joined(result(2.0, SHARED))
    assert len(joined.times["latency"]) == 82
    assert joined.state == SHARED
