"""What is special about single networks of a profile: failures, counters that disagree."""

from __future__ import annotations

from collections import defaultdict

from benchmark.complexity import AGREEMENT
from results.machines import MachineProfile, ProfiledNetwork

_WIDTH = 22
"""Letters of a failure that a cell holds."""


def failed(network: ProfiledNetwork) -> str:
    """The status of a network that could not be measured."""
    return f"failed ({' '.join((network.error or 'not measured').split()).rstrip('.')})"


def short(status: str) -> str:
    """The status as a cell holds it; the notes give it in full."""
    return status if len(status) <= _WIDTH else f"{status[: _WIDTH - 2].rstrip()}…)"


def failures(profile: MachineProfile) -> list[str]:
    """Why networks, or their timings, failed."""
    return [f"{each.name}: {failed(each)}." for each in profile.networks if each.error]


def counter_notes(profile: MachineProfile) -> list[str]:
    """Where the counters of multiply-adds disagree, and whom the headline's could not count."""
    differ, lacking = [], []
    costs = [(each.name, each.cost.macs) for each in profile.networks if each.cost]
    for name, macs in costs:
        first, second = macs.get("fvcore"), macs.get("flop_counter_mode")
        if first is not None and second is not None:
            if abs(first - second) > AGREEMENT * second:
                change = f"{100 * (first - second) / second:+.1f} %" if second else "it found none"
                differ.append(f"{name} ({change})")
        elif first is None and any("fvcore" in other for _, other in costs):
            lacking.append(name)
    notes = []
    if differ:
        notes.append(
            "fvcore's MACs differ by more than 0.1 % from those of FlopCounterMode in: "
            f"{', '.join(differ)}."
        )
    if lacking:
        notes.append(f"fvcore did not count: {', '.join(lacking)}.")
    notes += [
        f"{each.name}: {note}."
        for each in profile.networks
        if each.cost
        for note in each.cost.notes
    ]
    return notes


def uncounted(profile: MachineProfile) -> list[str]:
    """Operators that no counter has a rule for; networks with the same ones share a note."""
    groups: dict[str, list[str]] = defaultdict(list)
    for each in profile.networks:
        if each.cost and each.cost.uncounted:
            calls = sorted(each.cost.uncounted.items())
            groups[", ".join(f"{name} ({count})" for name, count in calls)].append(each.name)
    return [
        f"Operators without a rule (calls) in {', '.join(names)}: {calls}."
        for calls, names in groups.items()
    ]
