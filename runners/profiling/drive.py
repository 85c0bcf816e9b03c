"""The profile of many networks: their cost side by side, then their speed one at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from benchmark.complexity import Cost
from benchmark.speed.lock import profiling
from benchmark.speed.round import RoundResult
from results.machines import MachineProfile, ProfiledNetwork
from results.record import now
from runners.isolated import Broken, run_isolated
from runners.machine import cpu_count
from runners.profiling.display import ProfileDisplay
from runners.profiling.merge import Round, timed
from runners.profiling.targets import Settings, Target, choose_targets
from runners.profiling.work import Request, describe, measure_cost, measure_peaks, measure_round
from zoo.errors import CovbenchError

_SECONDS = 3600.0
"""How long a network may take to be counted, or timed once; a hang ends there."""

_PRELOAD = ("runners.profiling.work", "zoo.nets", "segmentation_models_pytorch")

A = TypeVar("A")
R = TypeVar("R")


def profile(
    targets: Sequence[Target], settings: Settings, display: ProfileDisplay
) -> MachineProfile:
    """Measure what networks cost and how fast they run.

    Args:
        targets: The networks.
        settings: How.
        display: Told how far it is.

    Returns:
        The profile; a network that fails is in it with its error. Ctrl-C while networks are timed
        ends the timing, and what was measured until then is returned.

    Raises:
        CovbenchError: The reference network fails, or a training uses the GPU.
    """
    (reference,) = choose_targets([settings.reference])
    others = [target for target in targets if target.label != reference.label]
    display.begin(len(targets) + (settings.rounds * (len(others) + 2) if settings.speed else 0))
    if settings.speed is not None:  # told before anything is computed that would be lost
        _need(reference, _isolated(measure_cost, Request(reference, settings)))
    costs = _costs(targets, settings, display)
    facts = _alone(describe, settings)
    rounds: list[Round] = []
    peaks = None
    if settings.speed is not None:
        working = [target for target in targets if isinstance(costs[target.label], Cost)]
        with _gpu_to_ourselves(facts.gpu):
            peaks = _alone(measure_peaks, settings)
            known = replace(settings, peaks=(peaks.macs_per_second, peaks.bytes_per_second))
            for number in range(settings.rounds):
                rounds.append(_round(number, working, reference, known, display))
                if not rounds[-1].whole:
                    break
    return MachineProfile(
        machine=facts.machine,
        created=now(),
        env=facts.env,
        code=facts.code,
        input_size=(3, settings.size, settings.size),
        speed=settings.speed,
        rounds=len(rounds),
        reference=reference.label if rounds else None,
        drift=max((each.drift for each in rounds), default=None),
        peaks=peaks,
        networks=tuple(
            _network(target.label, costs[target.label], rounds, settings) for target in targets
        ),
    )


def _network(
    label: str, cost: Cost | Broken, rounds: Sequence[Round], settings: Settings
) -> ProfiledNetwork:
    if isinstance(cost, Broken):
        return ProfiledNetwork(name=label, error=cost.reason)
    network = timed(ProfiledNetwork(name=label, cost=cost), rounds, settings.setting)
    if rounds and not network.timings and network.error is None:
        return network.model_copy(update={"error": "interrupted before it was timed"})
    return network


def _costs(
    targets: Sequence[Target], settings: Settings, display: ProfileDisplay
) -> dict[str, Cost | Broken]:
    """Count all networks, as many at a time as there are cores."""
    requests = [Request(target, settings) for target in targets]
    found: dict[str, Cost | Broken] = {}
    for place, cost in run_isolated(
        measure_cost, requests, at_once=cpu_count(), seconds=_SECONDS, preload=_PRELOAD
    ):
        label = targets[place].label
        found[label] = cost
        display.counted(label, cost)
    return found


def _round(
    number: int,
    targets: Sequence[Target],
    reference: Target,
    settings: Settings,
    display: ProfileDisplay,
) -> Round:
    """Time each network once, in random order, between two timings of the reference."""
    order = [target for target in targets if target.label != reference.label]
    random.Random(f"{settings.seed} {number}").shuffle(order)
    results: dict[str, RoundResult | Broken] = {}

    def timing(target: Target, only_latency: bool = False) -> RoundResult | Broken:
        request = Request(target, settings, only_latency)
        result = _isolated(measure_round, request)
        if isinstance(result, RoundResult) and result.state.flags:
            again = _isolated(measure_round, request)  # a disturbance may be over
            if isinstance(again, RoundResult) and len(again.state.flags) <= len(result.state.flags):
                result = again
        display.timed(target.label, number, settings.rounds, result)
        return result

    first = last = _need(reference, timing(reference))
    own = any(target.label == reference.label for target in targets)
    if own:
        results[reference.label] = first
    try:
        for target in order:
            results[target.label] = timing(target)
        last = _need(reference, timing(reference, only_latency=True))
    except KeyboardInterrupt:  # what is measured must not be lost
        return Round(results, (first, last), whole=False)
    if own:
        results[reference.label] = first.joined(last)
    return Round(results, (first, last))


def _isolated(function: Callable[[A], R], argument: A) -> R | Broken:
    """Call a function in a process of its own."""
    ((_, answer),) = run_isolated(function, [argument], seconds=_SECONDS, preload=_PRELOAD)
    return answer


def _need(reference: Target, result: R | Broken) -> R:
    """What the reference network gave, which nothing can do without."""
    if isinstance(result, Broken):
        raise CovbenchError(
            f"The reference network {reference.label} can't be timed: {result.reason}.",
            "Name another one with --reference.",
        )
    return result


def _alone(function: Callable[[Settings], R], settings: Settings) -> R:
    """Call a function in a process of its own: this one never touches the GPU."""
    answer = _isolated(function, settings)
    if isinstance(answer, Broken):
        raise CovbenchError(
            f"The device {settings.device} can't be used: {answer.reason}.",
            "`covbench doctor` says what this machine has; --device cpu always works.",
        )
    return answer


@contextmanager
def _gpu_to_ourselves(uuid: str | None) -> Iterator[None]:
    """Nothing of ours trains on a GPU while it is timed, nor the other way round."""
    if uuid is None:
        yield
        return
    with profiling(uuid):
        yield
