"""What a machine's numbers are, in sentences made from its profile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.speed.timing import Timing
from reports.profiles.pareto import MAC_COUNTERS
from results.machines import MachineProfile

COUNTERS = {"fvcore": "fvcore", "flop_counter_mode": "FlopCounterMode"}
"""The counters of multiply-adds by their names for readers."""

WAYS = {
    "latency": "one image a pass, each pass waited for",
    "graph": "the same, replayed as a CUDA graph",
    "end-to-end": "from the image in the host's memory to the labels there",
    "single": "mean of many single images, as papers time it",
    "batch-30": "30 images a pass",
    "throughput": "passes back to back at the best batch size",
}
"""What each way of running a network is, for readers."""

MAC = "A MAC is one multiply-add: one multiplication with its addition."


def device(profile: MachineProfile) -> str:
    """The GPU, or the processor with its threads."""
    env = profile.env
    return env.device if env.device != "cpu" else f"{env.cpu}, {_number(env.threads, 'thread')}"


def image(profile: MachineProfile) -> str:
    """The size of the image: `3×512×512`."""
    return "×".join(map(str, profile.input_size))


def torch_version(profile: MachineProfile) -> str:
    """`torch 2.15.0`, or that it is unknown."""
    return f"torch {profile.env.packages.get('torch', 'of unknown version')}"


def day(profile: MachineProfile) -> str:
    """The date in UTC: `2026-11-24`."""
    return profile.created[:10]


def rounds(profile: MachineProfile) -> str:
    """`3 rounds`."""
    return _number(profile.rounds, "round")


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def where_and_when(profile: MachineProfile) -> str:
    """Machine, device, threads, software and date, in one sentence."""
    env = profile.env
    threads = f", {_number(env.threads, 'CPU thread')}" if env.device != "cpu" else ""
    cuda = f", CUDA {env.cuda}" if env.cuda else ""
    return (
        f"Measured on {profile.machine} ({device(profile)}{threads}) with "
        f"{torch_version(profile)}{cuda}, covbench {profile.code.version}, on {day(profile)}."
    )


def how_timed(profile: MachineProfile, timings: Sequence[Timing]) -> list[str]:
    """Precision, rounds, drift, and whether the profile is quick, in sentences."""
    own = ", each in a process of its own" if profile.rounds != 1 else ""
    sentences = [f"Timed in {rounds(profile)}{own}, in {modes(timings)}."]
    if profile.drift is not None and profile.reference:
        sentences.append(
            f"Within a round the median of {profile.reference}, the reference, drifted by up to "
            f"{100 * profile.drift:.1f} %."
        )
    if profile.speed == "quick":
        sentences.append("This is a quick profile: few passes, for a first impression.")
    return sentences


def modes(timings: Iterable[Timing]) -> str:
    """In which precisions, layouts and states of compilation was timed: `fp32, compiled`."""
    found = {
        ", ".join(
            [
                timing.precision,
                *(["channels last"] if timing.channels_last else []),
                *(["compiled"] if timing.compiled else []),
            ]
        )
        for timing in timings
    }
    return " or ".join(sorted(found)) or "no mode"


def headline_counter(profile: MachineProfile) -> str | None:
    """The counter whose multiply-adds tables and figures show: fvcore where it counted any."""
    counted = {name for each in profile.networks if each.cost for name in each.cost.macs}
    return next((name for name in MAC_COUNTERS if name in counted), None)
