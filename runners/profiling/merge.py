"""From the rounds of a profile to one timing for each way of running a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from benchmark.speed.round import RoundResult
from benchmark.speed.state import MachineState
from benchmark.speed.timing import UNSTABLE, Timing, Way, summarise
from benchmark.speed.ways import Setting
from results.machines import ProfiledNetwork
from runners.isolated import Broken


@dataclass(frozen=True)
class Round:
    """One round: what each network gave, and the reference before and after them.

    In a round that was cut short, both timings of the reference are the first one.
    """

    results: Mapping[str, RoundResult | Broken]
    reference: tuple[RoundResult, RoundResult]
    whole: bool = True

    @property
    def drift(self) -> float:
        """By how much the reference's median latency changed from the first to the last."""
        first, last = (median(each.times["latency"]) for each in self.reference)
        return abs(last / first - 1)

    def reference_median(self, way: Way) -> float | None:
        """The reference's median time of a pass, in seconds; None where it wasn't run that way."""
        known = [each.times[way] for each in self.reference if way in each.times]
        return mean(median(each) for each in known) if known else None


def timed(network: ProfiledNetwork, rounds: Sequence[Round], setting: Setting) -> ProfiledNetwork:
    """A network with the timings of all rounds.

    Args:
        network: The network with its cost.
        rounds: The rounds of the profile; none where speed was not measured.
        setting: In which precision and format it ran.

    Returns:
        The network with a timing for each way, its curve and the machine's state; and an error
        where a round failed.
    """
    mine = [(each, each.results[network.name]) for each in rounds if network.name in each.results]
    good = [(each, result) for each, result in mine if isinstance(result, RoundResult)]
    errors = [result.reason for _, result in mine if isinstance(result, Broken)]
    if not good:
        return network.model_copy(update={"error": errors[0] if errors else None})
    results = [result for _, result in good]
    ways = [way for way in results[0].times if all(way in each.times for each in results)]
    return network.model_copy(
        update={
            "timings": tuple(_timing(way, good, setting) for way in ways),
            "curve": results[0].curve,
            "state": _worst([result.state for result in results]),
            "error": errors[0] if errors else None,
        }
    )


def _timing(way: Way, good: Sequence[tuple[Round, RoundResult]], setting: Setting) -> Timing:
    results = [result for _, result in good]
    batch = results[0].batches[way]
    times = [result.times[way] for result in results]
    passes = summarise(times, batch)
    fps = passes.fps
    if way in ("single", "batch-30"):
        fps = batch / mean(second for each in times for second in each)
    flags = dict.fromkeys(passes.flags)
    if any(each.drift > UNSTABLE for each, _ in good):
        flags["unstable"] = None  # the machine changed its speed meanwhile
    flags |= dict.fromkeys(flag for result in results for flag in result.state.flags)
    ratios = [
        median(result.times[way]) / reference
        for each, result in good
        if (reference := each.reference_median(way)) is not None
    ]
    memory = results[0].memory.get(way)
    attainable = results[0].attainable_seconds if batch == 1 else None
    return Timing(
        way=way,
        batch=batch,
        precision=setting.precision,
        channels_last=setting.channels_last,
        compiled=setting.compiled,
        relative=median(ratios) if ratios else None,
        peak_allocated_bytes=memory[0] if memory else None,
        peak_reserved_bytes=memory[1] if memory else None,
        busy=results[0].busy if way == "latency" else None,
        attained=1e3 * attainable / passes.latency_ms if attainable else None,
        joules=results[0].joules.get(way),
        **passes.model_dump() | {"fps": fps, "flags": tuple(flags)},
    )


def _worst(states: Sequence[MachineState]) -> MachineState:
    """The state of the round in which the machine was disturbed most."""
    return max(states, key=lambda state: (len(state.flags), state.others or 0.0))
