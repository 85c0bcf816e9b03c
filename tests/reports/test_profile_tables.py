from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from reports.profiles.tables import cost_table, decimals, speed_table
from reports.tables.shown import show
from reports.tables.table import Table
from results.machines import MachineProfile
from tests.reports.profiles import make_cost, make_network, make_profile, make_timing

LONG = "torch.OutOfMemoryError: no room for\n  this network on this machine"


def shown(table: Table, label: str) -> dict[str, str]:
    row = next(row for row in table.rows if row.label == label)
    cells = zip(row.cells, table.columns, strict=True)
    return {column.key: show(cell, column) for cell, column in cells}


def keys(table: Table) -> list[str]:
    return [column.key for column in table.columns]


def speeds(profile: MachineProfile) -> Table:
    table = speed_table(profile)
    assert table is not None
    return table


PLAIN = make_profile(
    make_network("miniseg", 472_440, 2_223_243_264, 12.0),
    make_network("enet", 363_197, {"fvcore": 1_889_730_560, "flop_counter_mode": 1_889_730_561}),
    make_network("broken", cost=None, error=LONG),
)


def test_the_cost_of_every_network() -> None:
    table = cost_table(PLAIN)
    assert keys(table) == ["params", "macs", "macs_flop_counter_mode"]
    assert shown(table, "miniseg") == {
        "params": "472440",
        "macs": "2.223",
        "macs_flop_counter_mode": "2.223",
    }
    assert shown(table, "broken") == {
        "params": "failed",
        "macs": "–",
        "macs_flop_counter_mode": "–",
    }
    full = "failed (torch.OutOfMemoryError: no room for this network on this machine)"
    assert [row.status for row in table.rows] == ["done", "done", full]
    assert table.notes == (f"broken: {full}.",)


def test_what_json_and_csv_hold_is_unrounded() -> None:
    first = cost_table(PLAIN).to_objects()[0]
    assert (first["name"], first["params"], first["macs"]) == ("miniseg", 472_440, 2_223_243_264)
    first = speeds(PLAIN).to_objects()[0]
    assert (first["latency_ms"], first["fps"], first["low_ms"]) == (12.0, 1000 / 12, 0.99 * 12)
    assert first["scores"] == {}
    lines = list(csv.DictReader(io.StringIO(cost_table(PLAIN).to_csv())))
    assert [line["name"] for line in lines] == ["miniseg", "enet", "broken"]
    assert lines[0]["macs"] == "2223243264" and lines[2]["macs"] == ""


def test_columns_that_say_something() -> None:
    costs: list[dict[str, Any]] = [
        {"params_trainable": 900, "params_unused": 0, "forward_bytes": 3 * 2**20},
        {"params_unused": 7, "saved_bytes": 2**19},
    ]
    macs = {"fvcore": 2_000_000_000, "flop_counter_mode": 2_000_000_000, "table3": 2_270_000_000}
    networks = [make_network(f"n{i}", cost=make_cost(1000, macs, **c)) for i, c in enumerate(costs)]
    table = cost_table(make_profile(*networks))
    assert shown(table, "n0") == {
        "params": "1000",
        "params_trainable": "900",
        "params_unused": "0",
        "macs": "2.000",
        "macs_flop_counter_mode": "2.000",
        "operations_table3": "2.270",
        "forward_bytes": "3.0",
        "saved_bytes": "–",
    }
    assert shown(table, "n1")["saved_bytes"] == "0.5"
    assert shown(table, "n1")["params_unused"] == "7"
    assert "rules of MiniSeg's Table III" in table.caption


def test_the_headline_is_a_counter_of_multiply_adds_by_its_name() -> None:
    macs = {"table3": 9_000_000_000, "flop_counter_mode": 1_000_000_000}
    table = cost_table(make_profile(make_network("n", 1, macs)))
    assert keys(table) == ["params", "macs", "operations_table3"]
    assert table.columns[1].title == "GMACs, FlopCounterMode"
    assert shown(table, "n")["macs"] == "1.000"


def test_counters_that_disagree_and_one_that_failed() -> None:
    table = cost_table(
        make_profile(
            make_network("same", 1, {"fvcore": 1_001_000, "flop_counter_mode": 1_000_000}),
            make_network("more", 1, {"fvcore": 1_002_000, "flop_counter_mode": 1_000_000}),
            make_network("less", 1, {"fvcore": 900_000, "flop_counter_mode": 1_000_000}),
            make_network("lacking", 1, {"flop_counter_mode": 1_000_000}),
        )
    )
    assert table.notes == (
        "fvcore's MACs differ by more than 0.1 % from those of FlopCounterMode in: more (+0.2 %), "
        "less (-10.0 %).",
        "fvcore did not count: lacking.",
    )
    assert shown(table, "lacking")["macs"] == "–"


def test_uncounted_operators() -> None:
    costs = [{"b": 1, "a": 2}, {"a": 2, "b": 1}, {}, {"a": 3}]
    networks = [
        make_network(f"n{i}", cost=make_cost(uncounted=calls)) for i, calls in enumerate(costs)
    ]
    assert cost_table(make_profile(*networks)).notes == (
        "Operators without a rule (calls) in n0, n1: a (2), b (1).",
        "Operators without a rule (calls) in n3: a (3).",
    )


def test_the_captions_say_what_was_measured_where() -> None:
    for table in (cost_table(PLAIN), speeds(PLAIN)):
        assert "some-cpu-1-thread (Some CPU, 1 thread) with torch 2.15.0" in table.caption
        assert "on 2026-11-24." in table.caption
    assert cost_table(PLAIN).caption.count("A MAC is one multiply-add") == 1
    caption = speeds(PLAIN).caption
    assert "Timed in 3 rounds, each in a process of its own, in fp32." in caption
    assert "quick" not in caption and "Busy" not in caption and "Unstable" not in caption
    quick = make_profile(
        make_network("n", 1, 1, 2.0), speed="quick", rounds=1, drift=0.0123, env={"threads": 4}
    )
    caption = speeds(quick).caption
    assert "Timed in 1 round, in fp32." in caption
    assert "This is a quick profile" in caption
    assert "miniseg, the reference, drifted by up to 1.2 %." in caption
    gpu = make_profile(
        make_network("n", timings=(make_timing(precision="bf16", compiled=True),)),
        env={"device": "NVIDIA H200", "cuda": "12.8"},
    )
    assert "(NVIDIA H200, 1 CPU thread) with torch 2.15.0, CUDA 12.8" in speeds(gpu).caption
    assert "in bf16, compiled." in speeds(gpu).caption


def test_latency_with_its_interval() -> None:
    table = speeds(PLAIN)
    assert shown(table, "miniseg") == {
        "latency_ms": "12.0",
        "low_ms": "11.9",
        "high_ms": "12.1",
        "p95_ms": "14.4",
        "p99_ms": "15.6",
        "fps": "83.3",
        "relative": "1.00",
        "n": "100",
        "rounds": "3",
        "flags": "–",
    }
    assert table.rows[1].status == "failed (not measured)"
    assert shown(table, "broken")["flags"] == "failed (torch.OutOfM…)"
    assert table.rows[2].status.startswith("failed (torch.OutOfMemoryError: no room for this")


def test_further_ways_where_they_were_measured() -> None:
    timings = (
        make_timing(
            10.0,
            relative=1.5,
            peak_allocated_bytes=3 * 2**19,
            busy=0.25,
            attained=0.125,
            joules=1.2345,
            flags=("throttled",),
        ),
        make_timing(4.0, "graph", flags=("unstable", "throttled")),
        make_timing(20.0, "end-to-end"),
        make_timing(8.0, "single"),
        make_timing(60.0, "batch-30", 30),
        make_timing(80.0, "throughput", 64),
    )
    table = speeds(make_profile(make_network("n", timings=timings), make_network("m", 1, 1, 1.0)))
    cells = shown(table, "n")
    assert cells["relative"] == "1.50"
    assert (cells["graph_ms"], cells["end_to_end_ms"]) == ("4.00", "20.00")
    assert (cells["single_fps"], cells["batch_30_fps"]) == ("125.0", "500.0")
    assert (cells["throughput_fps"], cells["throughput_batch"]) == ("800.0", "64")
    assert (cells["peak_allocated_bytes"], cells["busy"]) == ("1.5", "25")
    assert (cells["attained"], cells["joules"]) == ("12.5", "1.234")
    assert cells["flags"] == "throttled, graph unstable, graph throttled"
    assert shown(table, "m")["graph_ms"] == "–"
    for words in ("graph: the same", "Peak:", "Busy:", "Attained:", "Energy:", "Unstable:"):
        assert words in table.caption


def test_a_failure_of_one_way_does_not_hide_the_others() -> None:
    network = make_network(
        "n", timings=(make_timing(10.0, flags=("shared",)),), error="out of memory"
    )
    table = speeds(make_profile(network))
    assert shown(table, "n")["latency_ms"] == "10.0"
    assert shown(table, "n")["flags"] == "failed (out of memory), shared"
    assert table.rows[0].status == "failed (out of memory)"
    assert table.notes == ("n: failed (out of memory).",)


def test_no_speed_no_table() -> None:
    cost_only = make_profile(make_network("n"), speed=None, rounds=0, reference=None)
    assert speed_table(cost_only) is None
    assert len(cost_table(cost_only).rows) == 1
    all_failed = make_profile(make_network("n", error="no room"))
    assert [row.status for row in speeds(all_failed).rows] == ["failed (no room)"]


@pytest.mark.parametrize(
    ("values", "digits"), [([250.0], 0), ([100, 99.0], 1), ([3.2], 2), ([0.5], 3), ([], 2)]
)
def test_three_digits_of_the_least(values: list[float], digits: int) -> None:
    assert decimals(values) == digits


def test_every_format_can_be_written() -> None:
    for table in (cost_table(PLAIN), speeds(PLAIN)):
        assert all("miniseg" in text for text in (table.to_markdown(), table.to_latex()))
        assert table.to_rich().row_count == 3
