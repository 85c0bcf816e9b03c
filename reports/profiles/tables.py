"""A machine's profile as tables: what networks cost, and how fast they ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmark.speed.timing import Timing
from reports.profiles.caption import (
    COUNTERS,
    MAC,
    WAYS,
    how_timed,
    image,
    where_and_when,
)
from reports.profiles.notes import counter_notes, failed, failures, short, uncounted
from reports.tables.table import Cell, Column, Row, Table
from results.machines import MachineProfile, ProfiledNetwork

_MIB = 1 / 2**20

Value = float | int | str | None
Field = tuple[Column, Callable[[ProfiledNetwork], Value]]
"""A column, and what stands in it for a network."""


def cost_table(profile: MachineProfile) -> Table:
    """What each network costs: parameters, multiply-adds by each counter, memory.

    Columns of trainable and of unused parameters, of counters and of memory stand only where they
    say something. `macs` are fvcore's where it counted any network.

    Args:
        profile: The machine's numbers.

    Returns:
        A row for each network, in the profile's order; its status is `failed (...)` where its cost
        is not known.
    """
    fields = _cost_fields(profile)
    rows = []
    for network in profile.networks:
        cells = [Cell(value(network)) for _, value in fields]
        if network.cost is None:
            cells[0] = Cell(text="failed")
        status = failed(network) if network.cost is None else "done"
        rows.append(Row(network.name, tuple(cells), status=status))
    return Table(
        name=f"cost-{profile.machine}",
        title=f"Cost of the networks for one image of {image(profile)}",
        columns=tuple(column for column, _ in fields),
        rows=tuple(rows),
        caption=_cost_caption(profile, [column.key for column, _ in fields]),
        notes=(*failures(profile), *counter_notes(profile), *uncounted(profile)),
        context={"machine": profile.machine, "created": profile.created},
    )


def _cost_fields(profile: MachineProfile) -> list[Field]:
    costs = [each.cost for each in profile.networks if each.cost]
    fields: list[Field] = [(Column("params", "Params", style="count"), _of_cost("params"))]
    if any(cost.params_trainable != cost.params for cost in costs):
        column = Column("params_trainable", "trainable", style="count", brief=False)
        fields.append((column, _of_cost("params_trainable")))
    if any(cost.params_unused for cost in costs):
        column = Column("params_unused", "unused", style="count", brief=False)
        fields.append((column, _of_cost("params_unused")))
    counters = [name for name in COUNTERS if any(name in cost.macs for cost in costs)]
    for place, name in enumerate(counters):
        # The headline's key is that of the other tables.
        key = "macs" if place == 0 else f"macs_{name}"
        title = f"GMACs, {COUNTERS[name]}"
        column = Column(key, title, digits=3, scale=1e-9, brief=place == 0)
        fields.append((column, _of_counter(name)))
    if any("table3" in cost.macs for cost in costs):
        column = Column("operations_table3", "Table III's G", digits=3, scale=1e-9, brief=False)
        fields.append((column, _of_counter("table3")))
    for key, title in (("forward_bytes", "Forward"), ("saved_bytes", "For backward")):
        if any(getattr(cost, key) is not None for cost in costs):
            column = Column(key, title, unit="MiB", digits=1, scale=_MIB)
            fields.append((column, _of_cost(key)))
    return fields


def _of_cost(key: str) -> Callable[[ProfiledNetwork], Value]:
    return lambda network: getattr(network.cost, key) if network.cost else None


def _of_counter(name: str) -> Callable[[ProfiledNetwork], Value]:
    return lambda network: network.cost.macs.get(name) if network.cost else None


def _cost_caption(profile: MachineProfile, keys: list[str]) -> str:
    sentences = [
        f"{MAC} Counted in evaluation for one image of {image(profile)}: convolutions, linear "
        "layers, matrix products; GMACs are 10^9 MACs."
    ]
    if "params_unused" in keys:
        sentences.append("Unused parameters are those that no output depends on.")
    if "operations_table3" in keys:
        sentences.append(
            "Table III's are 10^9 operations by the rules of MiniSeg's Table III, which also count "
            "batch norm, ReLU, bias and pooling, and leave out what a network calls as a function."
        )
    if "forward_bytes" in keys:
        sentences.append("Forward: most memory of activations in a pass without gradients.")
    if "saved_bytes" in keys:
        sentences.append("For backward: what a training pass keeps for its backward pass.")
    return " ".join([*sentences, where_and_when(profile)])


def speed_table(profile: MachineProfile) -> Table | None:
    """How fast each network ran, one image at a time, and in the further ways that were measured.

    Args:
        profile: The machine's numbers.

    Returns:
        A row for each network, in the profile's order; its status is `failed (...)` where it has
        no timing. None where no speed was measured.
    """
    timings = [timing for each in profile.networks for timing in each.timings]
    if not timings and profile.speed is None:
        return None
    fields = _speed_fields(profile)
    rows = []
    for network in profile.networks:
        cells = [Cell(value(network)) for _, value in fields]
        status = "done"
        if network.error or not network.timings:
            status = failed(network)
            # Beside the flags, since a failure can leave some ways timed; the notes say it in full.
            cells[-1] = Cell(", ".join(filter(None, (short(status), _flags(network)))))
        rows.append(Row(network.name, tuple(cells), status=status))
    return Table(
        name=f"speed-{profile.machine}",
        title=f"Speed on {profile.machine} for images of {image(profile)}",
        columns=tuple(column for column, _ in fields),
        rows=tuple(rows),
        caption=_speed_caption(profile, timings, [column.key for column, _ in fields]),
        notes=tuple(failures(profile)),
        context={"machine": profile.machine, "created": profile.created},
    )


def _speed_fields(profile: MachineProfile) -> list[Field]:
    digits = decimals(t.latency_ms for each in profile.networks for t in each.timings)
    few = decimals(t.fps for each in profile.networks for t in each.timings)

    def ms(key: str, title: str, brief: bool = False) -> Column:
        return Column(key, title, unit="ms", digits=digits, brief=brief)

    fields: list[Field] = [
        (ms("latency_ms", "Latency", brief=True), _of("latency", "latency_ms")),
        (ms("low_ms", "95 % from"), _of("latency", "low_ms")),
        (ms("high_ms", "to"), _of("latency", "high_ms")),
        (ms("p95_ms", "p95"), _of("latency", "p95_ms")),
        (ms("p99_ms", "p99"), _of("latency", "p99_ms")),
        (Column("fps", "Images/s", digits=few), _of("latency", "fps")),
    ]
    if profile.reference:
        column = Column("relative", f"× {profile.reference}")
        fields.append((column, lambda network: _relative(network, profile)))
    further: list[tuple[str, str, Column]] = [
        ("graph", "latency_ms", ms("graph_ms", "CUDA graph")),
        ("end-to-end", "latency_ms", ms("end_to_end_ms", "End to end")),
        ("single", "fps", Column("single_fps", "Single/s", digits=few, brief=False)),
        ("batch-30", "fps", Column("batch_30_fps", "Batch 30/s", digits=few, brief=False)),
        ("throughput", "fps", Column("throughput_fps", "Throughput/s", digits=few, brief=False)),
        ("throughput", "batch", Column("throughput_batch", "at batch", "count", brief=False)),
        (
            "latency",
            "peak_allocated_bytes",
            Column("peak_allocated_bytes", "Peak", unit="MiB", digits=1, scale=_MIB, brief=False),
        ),
        ("latency", "busy", Column("busy", "Busy", unit="%", digits=0, scale=100, brief=False)),
        (
            "latency",
            "attained",
            Column("attained", "Attained", unit="%", digits=1, scale=100, brief=False),
        ),
        ("latency", "joules", Column("joules", "Energy", unit="J", digits=3, brief=False)),
    ]
    for way, key, column in further:
        value = _of(way, key)
        if any(value(each) is not None for each in profile.networks):
            fields.append((column, value))
    fields += [
        (Column("n", "Passes", style="count", brief=False), _of("latency", "n")),
        (Column("rounds", "Rounds", style="count", brief=False), _rounds),
        (Column("flags", "Flags", style="text"), _flags),
    ]
    return fields


def _of(way: str, key: str) -> Callable[[ProfiledNetwork], Value]:
    return lambda network: getattr(network.timing(way), key, None)


def _relative(network: ProfiledNetwork, profile: MachineProfile) -> Value:
    timing = network.timing("latency")
    if timing and timing.relative is None and network.name == profile.reference:
        return 1.0
    return timing.relative if timing else None


def _rounds(network: ProfiledNetwork) -> Value:
    timing = network.timing("latency")
    return len(timing.round_medians_ms) if timing else None


def _flags(network: ProfiledNetwork) -> str | None:
    """The flags of the latency as they are, those of a further way with its name."""
    found = []
    for timing in network.timings:
        way = "" if timing.way == "latency" else f"{timing.way} "
        found += [f"{way}{flag}" for flag in timing.flags]
    return ", ".join(dict.fromkeys(found)) or None


def decimals(values: Iterable[float]) -> int:
    """Decimals with which the smallest value shows three digits; at most four."""
    least = min((value for value in values if value > 0), default=1.0)
    return next((digits for digits in range(4) if least >= 10 ** (2 - digits)), 4)


def _speed_caption(profile: MachineProfile, timings: list[Timing], keys: list[str]) -> str:
    ways = [way for way in WAYS if any(timing.way == way for timing in timings)]
    explained = "; ".join(f"{way}: {WAYS[way]}" for way in ways)
    sentences = [
        "Latency is the median time of a pass in evaluation, with the 95 % bootstrap interval of "
        "that median over the rounds; p95 and p99 are percentiles of the passes; images/s follow "
        "from the median."
    ]
    if explained:
        sentences.append(f"Ways: {explained}.")
    if profile.reference:
        sentences.append(
            f"× {profile.reference}: latency over that of {profile.reference}, the median of the "
            "rounds' ratios."
        )
    if "peak_allocated_bytes" in keys:
        sentences.append("Peak: most memory of tensors on the GPU.")
    if "busy" in keys:
        sentences.append("Busy: share of the time in which the GPU computed.")
    if "attained" in keys:
        sentences.append(
            "Attained: share of the speed that this machine could reach for these operations."
        )
    if "joules" in keys:
        sentences.append("Energy: joules of one image.")
    if any(timing.flags for timing in timings):
        sentences.append(
            "Unstable: the interval of the median, or the span of the rounds' medians, is wider "
            "than 3 % of it, fewer than three passes fitted, or the reference drifted by more than "
            "3 %. Throttled: the GPU's clocks were held down. Shared: others used the machine."
        )
    return " ".join([*sentences, *how_timed(profile, timings), where_and_when(profile)])
