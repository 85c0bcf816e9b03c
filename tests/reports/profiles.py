"""Machine profiles made by hand, for the tests of what is reported of them."""

from __future__ import annotations

from typing import Any

from benchmark.complexity import Cost
from benchmark.speed.timing import Timing
from results.machines import MachineProfile, ProfiledNetwork
from results.record import Code, Environment


def make_cost(params: int = 1000, macs: int | dict[str, int] = 2_000_000, **changes: Any) -> Cost:
    fields: dict[str, Any] = {
        "params": params,
        "params_trainable": params,
        "macs": {"fvcore": macs, "flop_counter_mode": macs} if isinstance(macs, int) else macs,
        "input_size": (3, 512, 512),
    }
    return Cost(**{**fields, **changes})


def make_timing(ms: float = 10.0, way: str = "latency", batch: int = 1, **changes: Any) -> Timing:
    fields: dict[str, Any] = {
        "way": way,
        "batch": batch,
        "precision": "fp32",
        "channels_last": False,
        "compiled": False,
        "latency_ms": ms,
        "fps": 1000 * batch / ms,
        "p5_ms": 0.9 * ms,
        "p95_ms": 1.2 * ms,
        "p99_ms": 1.3 * ms,
        "low_ms": 0.99 * ms,
        "high_ms": 1.01 * ms,
        "n": 100,
        "round_medians_ms": (ms, ms, ms),
    }
    return Timing(**{**fields, **changes})


def make_network(
    name: str, params: int = 1000, macs: int | dict[str, int] = 2_000_000, *ms: float, **own: Any
) -> ProfiledNetwork:
    """A network with its cost and, where milliseconds are given, its latency."""
    fields: dict[str, Any] = {
        "cost": make_cost(params, macs),
        "timings": tuple(make_timing(each) for each in ms),
    }
    return ProfiledNetwork(name=name, **{**fields, **own})


def make_profile(*networks: ProfiledNetwork, env: Any = None, **changes: Any) -> MachineProfile:
    fields: dict[str, Any] = {
        "machine": "some-cpu-1-thread",
        "created": "2026-11-24T10:00:00+00:00",
        "env": Environment(
            **{
                "python": "3.11",
                "platform": "Linux",
                "cpu": "Some CPU",
                "threads": 1,
                "packages": {"torch": "2.15.0"},
                "device": "cpu",
                "cuda": None,
                "driver": None,
                "deterministic": True,
                **(env or {}),
            }
        ),
        "code": Code(version="1.0", git_commit=None, git_dirty=None, network_class="-"),
        "input_size": (3, 512, 512),
        "speed": "full",
        "rounds": 3,
        "reference": "miniseg",
        "networks": networks,
    }
    return MachineProfile(**{**fields, **changes})
