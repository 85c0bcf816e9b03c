"""Which networks of a store meet some limits, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.metrics import METRICS, Metric
from reports.choosing.limits import SPEEDS, UNMEASURED, Limit
from reports.comparison import Entry
from reports.frame import summarise, tidy
from reports.profiles.pareto import front
from reports.sides import metric_named
from reports.subject import Subject
from reports.tables.table import Cell
from results.machines import MachineProfile, ProfiledNetwork, machine_names
from zoo.errors import CovbenchError
from zoo.selection import Row as Network

_SAME = 0.01
"""Share by which a profile may count other parameters: its heads may have another class."""


def by_named(word: str) -> Metric:
    """The score that networks are sorted by: those of `metric_named`, and pooled ones.

    Raises:
        CovbenchError: There is none of that name.
    """
    pooled = {each.key: each for each in METRICS.values() if each.aggregation == "pooled"}
    pooled["miou"] = pooled["miou_pooled"]  # it is pooled or nothing
    return pooled[word] if word in pooled else metric_named(word)


@dataclass(frozen=True)
class Candidate:
    """One network.

    Attributes:
        row: Its label.
        numbers: Its `params`, `macs` of one image, `latency_ms` and `fps` of single images on the
            chosen machine; None where one is not known.
        score: Mean and spread over runs, and the 95 % interval.
        runs: Finished runs.
        whole: Whether it has every run that any row has.
        fails: Why it is left out: options whose limit it misses, or what of it is not known.
    """

    row: str
    numbers: Mapping[str, float | None]
    score: Cell
    runs: int
    whole: bool
    fails: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The networks of a comparison, sorted by whether they meet some limits.

    Attributes:
        subject: The comparison.
        metric: The score that they are sorted by.
        limits: The limits.
        profile: Where the speeds come from, if that was asked for.
        chosen: The networks that meet all limits, best first; last those that miss runs.
        left_out: The others, the nearest to the limits first.
        on_front: Those of the chosen that no other dominates in score, parameters, MACs and,
            with a profile, latency.
    """

    subject: Subject
    metric: Metric
    limits: tuple[Limit, ...]
    profile: MachineProfile | None
    chosen: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]
    on_front: frozenset[str]


def choose(
    subject: Subject, metric: Metric, limits: Sequence[Limit], profile: MachineProfile | None
) -> Choice:
    """Which networks of a comparison meet some limits.

    Args:
        subject: The comparison.
        metric: The score that they are sorted by.
        limits: The limits.
        profile: Where speeds come from.

    Returns:
        The choice. A network of which a limited number is not known is left out.

    Raises:
        CovbenchError: Speed is limited and there is no profile, or no network has that score.
    """
    speed = [each for each in limits if each.field in SPEEDS]
    if speed and profile is None:
        raise CovbenchError(
            f"{speed[0].option} needs measured speeds, and no machine is named.",
            f"Name one with --machine: {', '.join(machine_names())}; or measure this one with "
            "`covbench profile --models all --to FOLDER` and give its profile.json.",
        )
    found = [
        _candidate(subject, entry, metric, limits, profile) for entry in subject.comparison.entries
    ]
    if all(each.score.number is None for each in found):
        raise CovbenchError(
            f"No run on {subject.analysis.place} has a {metric.key}.",
            "Sort by another score: --by dice, miou, hd95_px, dice_slice, ...",
        )
    chosen = sorted((each for each in found if not each.fails), key=_order(metric))
    left_out = sorted(
        (each for each in found if each.fails), key=lambda each: (excess(each, limits), each.row)
    )
    return Choice(
        subject,
        metric,
        tuple(limits),
        profile,
        tuple(chosen),
        tuple(left_out),
        _on_front(chosen, metric, profile is not None),
    )


def _order(metric: Metric) -> Callable[[Candidate], tuple[bool, bool, float, str]]:
    """The best score first; after all others networks that miss runs, and those without a score."""

    def key(each: Candidate) -> tuple[bool, bool, float, str]:
        value = each.score.number
        signed = 0.0 if value is None else -value if metric.higher_is_better else value
        return not each.whole, value is None, signed, each.row

    return key


def _candidate(
    subject: Subject,
    entry: Entry,
    metric: Metric,
    limits: Sequence[Limit],
    profile: MachineProfile | None,
) -> Candidate:
    """A row with its numbers, and why it is left out."""
    if not entry.records:
        nothing: dict[str, float | None] = dict.fromkeys(("params", "macs", *SPEEDS))
        fails = ("without a finished run",)
        return Candidate(entry.label, nothing, Cell(), 0, False, fails)
    frame = tidy(entry.records)
    target = subject.comparison.targets[0]
    mean = summarise(frame[frame["target"] == target]).get(metric.key, Cell())
    interval = subject.analysis.interval(entry.label, metric)
    ends = (interval.low, interval.high) if interval else None
    cost = entry.records[0].cost
    network = profiled(entry, profile) if profile else None
    timing = network.timing("latency") if network else None
    numbers: dict[str, float | None] = {
        "params": cost.params,
        "macs": cost.headline,
        "latency_ms": timing.latency_ms if timing else None,
        "fps": timing.fps if timing else None,
    }
    failed = []
    for limit in limits:
        number = numbers[limit.field]
        if number is None:
            failed.append(UNMEASURED[limit.field])
        elif limit.excess(number) > 1:
            failed.append(limit.option)
    return Candidate(
        entry.label,
        numbers,
        Cell(mean.value, mean.spread, mean.n, interval=ends),
        len(entry.records),
        len(entry.records) == len(subject.comparison.wanted),
        tuple(failed),
    )


def profiled(entry: Entry, profile: MachineProfile) -> ProfiledNetwork | None:
    """A row in a profile: under its own options, or without the weights that change no speed."""
    spec = entry.records[0].spec
    options = sorted(spec.options.items())
    plain = [(name, value) for name, value in options if name != "weights"]
    for own in (options, plain):
        found = profile.network(Network(spec.model, tuple(own)).label)
        if found is not None and found.cost is not None:
            here, there = entry.records[0].cost.params, found.cost.params
            return found if abs(here - there) <= _SAME * here else None
    return None


def _on_front(chosen: Sequence[Candidate], metric: Metric, timed: bool) -> frozenset[str]:
    """The networks that no other of the chosen dominates, of those whose numbers are all known.

    A network that misses a limit is worse than every chosen one in what it misses, so that those
    left out dominate none of them.
    """
    sign = -1.0 if metric.higher_is_better else 1.0
    axes = ("params", "macs", *(("latency_ms",) if timed else ()))
    points = {}
    for each in chosen:
        score, costs = each.score.number, [each.numbers[axis] for axis in axes]
        known = [cost for cost in costs if cost is not None]
        if each.whole and score is not None and len(known) == len(axes):
            points[each.row] = (sign * score, *known)
    rows = list(points)
    return frozenset(rows[place] for place in front(list(points.values())))


def excess(each: Candidate, limits: Sequence[Limit]) -> float:
    """How many times over the limit that it misses most a network is; infinite if it is unknown."""
    found = []
    for limit in limits:
        number = each.numbers[limit.field]
        found.append(math.inf if number is None else limit.excess(number))
    return max(found, default=math.inf)
