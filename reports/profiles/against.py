"""A machine's speeds beside another machine's, and beside those of a published table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.speed.timing import Timing
from benchmark.subject import ENCODER
from reports.profiles.caption import WAYS, device, how_timed, image, modes, where_and_when
from reports.profiles.notes import failed, short
from reports.profiles.tables import decimals
from reports.tables.table import Cell, Column, Row, Table
from results.machines import MachineProfile, ProfiledNetwork
from results.published import PublishedTable, method_of
from zoo.errors import CovbenchError
from zoo.registry import cards

FPS = "fps_titan_rtx"
_DEVICE = "a Titan RTX"

_ENCODER_COUNTED = (
    "mobilenet-miniseg",
    "mobilenetv2-miniseg",
    "shufflenet-miniseg",
    "shufflenetv2-miniseg",
)
"""Rows of which the published table counts the encoder alone."""

_WITH_DECODER = (*_ENCODER_COUNTED, "mobilenetv3-miniseg")
"""Encoders of others joined with MiniSeg's decoder."""

_FEWEST = 3
"""Networks below which a rank correlation says nothing."""


def against_machine(profile: MachineProfile, other: MachineProfile) -> Table:
    """The latencies of two machines, network by network.

    Args:
        profile: The machine here.
        other: The machine there.

    Returns:
        A row for each network that both have, in the order of `profile`; the ratio is here over
        there. Failed timings have a row with the status `failed (...)`.

    Raises:
        CovbenchError: They have no network in common.
    """
    pairs = [
        (here, there)
        for here in profile.networks
        if (there := other.network(here.name)) is not None
    ]
    if not pairs:
        raise CovbenchError(
            f"{profile.machine} and {other.machine} have no network in common.",
            "Profile some of the same networks, with the same options, on both.",
        )
    timings = [_latencies(here, there) for here, there in pairs]
    digits = decimals(t.latency_ms for pair in timings for t in pair if t)
    columns = (
        Column("latency_ms", "Here", unit="ms", digits=digits),
        Column("latency_ms_there", "There", unit="ms", digits=digits),
        Column("ratio", "Ratio", digits=3),
        Column("flags", "Flags", style="text"),
    )
    rows, compared = [], []
    for (here, there), (mine, theirs) in zip(pairs, timings, strict=True):
        ratio = mine.latency_ms / theirs.latency_ms if mine and theirs else None
        cells = (
            Cell(mine.latency_ms if mine else None),
            Cell(theirs.latency_ms if theirs else None),
            Cell(ratio),
            Cell(_flags((here, mine), (there, theirs))),
        )
        broken = [each for each, timing in ((here, mine), (there, theirs)) if timing is None]
        rows.append(Row(here.name, cells, status=failed(broken[0]) if broken else "done"))
        if mine and theirs and not here.name.endswith(ENCODER):
            compared.append((mine.latency_ms, theirs.latency_ms))
    caption = [
        f"Median latency of one image of {image(profile)}; ratio: here over there, above 1 where "
        f"{profile.machine} is slower.",
        correlation(compared, "latencies here and there"),
        "Here:",
        where_and_when(profile),
        *how_timed(profile, [mine for mine, _ in timings if mine]),
        "There:",
        where_and_when(other),
        *how_timed(other, [theirs for _, theirs in timings if theirs]),
    ]
    return Table(
        name=f"against-{other.machine}-{profile.machine}",
        title=f"{profile.machine} beside {other.machine}",
        columns=columns,
        rows=tuple(rows),
        caption=" ".join(caption),
        notes=tuple(_why_not_comparable(profile, other)),
        context={"machine": profile.machine, "other": other.machine},
    )


def _latencies(
    here: ProfiledNetwork, there: ProfiledNetwork
) -> tuple[Timing | None, Timing | None]:
    return here.timing("latency"), there.timing("latency")


def _flags(*sides: tuple[ProfiledNetwork, Timing | None]) -> str | None:
    """What makes the two timings doubtful: on both machines, here, or there."""
    here, there = (
        timing.flags if timing else (short(failed(network)),) for network, timing in sides
    )
    both = [flag for flag in here if flag in there]
    own = [f"{flag} here" for flag in here if flag not in both]
    return (
        ", ".join([*both, *own, *(f"{flag} there" for flag in there if flag not in both)]) or None
    )


def _why_not_comparable(profile: MachineProfile, other: MachineProfile) -> list[str]:
    """What differs beside the machine, and which networks only one has."""
    notes = []
    if profile.input_size != other.input_size:
        notes.append(
            f"The images differ: {image(profile)} here, {image(other)} there; the ratios are not "
            "those of the machines."
        )
    here, there = (
        modes(t for each in one.networks if (t := each.timing("latency")))
        for one in (profile, other)
    )
    if here != there:
        notes.append(f"The networks ran differently: {here} here, {there} there.")
    for one, two, name in ((profile, other, "here"), (other, profile, "there")):
        names = [each.name for each in one.networks if two.network(each.name) is None]
        if names:
            notes.append(f"Only {name}: {', '.join(names)}.")
    return notes


def against_published(profile: MachineProfile, table: PublishedTable) -> Table:
    """The images per second of a published table beside the measured ones.

    The measured way is `single`, as papers time it, where any of these networks was timed so, else
    `latency`. Only networks with their default options stand for a row.

    Args:
        profile: The machine's numbers.
        table: The published table, such as `miniseg-table3`.

    Returns:
        A row for each network of the table that the profile has, in the table's order, and one for
        its encoder alone where the profile has that and the table counts no more; the ratio is
        measured over published.

    Raises:
        CovbenchError: The table prints no speed, or none of its networks is in the profile.
    """
    if not any(FPS in line for line in table.rows):
        raise CovbenchError(
            f"{table.name} prints no images per second.", "Name a table that does: miniseg-table3."
        )
    matched = _matched(profile, table)
    if not matched:
        raise CovbenchError(
            f"No network of the profile stands for a row of {table.name}.",
            f"Profile some of its networks, such as: --models @{table.name}",
        )
    way = "single" if any(each.timing("single") for each, _ in matched) else "latency"
    timings = [timing for each, _ in matched if (timing := each.timing(way))]
    columns = (
        Column("method", "Published as", style="text", brief=False),
        Column("fps_published", "Published"),
        Column("fps", "Measured", digits=decimals(t.fps for t in timings)),
        Column("ratio", "Ratio", digits=3),
        Column("flags", "Flags", style="text"),
    )
    rows, compared = [], []
    for network, line in matched:
        timing, printed = network.timing(way), float(line[FPS])
        flags = ", ".join(timing.flags) if timing else short(failed(network))
        cells = (
            Cell(method_of(line)),
            Cell(printed, text=line[FPS]),
            Cell(timing.fps if timing else None),
            Cell(timing.fps / printed if timing else None),
            Cell(flags or None),
        )
        rows.append(Row(network.name, cells, status="done" if timing else failed(network)))
        if timing and not network.name.endswith(ENCODER):
            compared.append((timing.fps, printed))
    caption = [
        f"Images per second: published are those of {table.source}, on {_DEVICE}; measured here "
        f"({device(profile)}, {image(profile)}) in the way {way!r} ({WAYS[way]}). Ratio: measured "
        "over published.",
        correlation(compared, "measured and published images per second"),
        *how_timed(profile, timings),
        where_and_when(profile),
    ]
    return Table(
        name=f"{table.name}-fps-{profile.machine}",
        title=f"Speed on {profile.machine} beside {table.source}",
        columns=columns,
        rows=tuple(rows),
        caption=" ".join(caption),
        notes=tuple(_encoder_notes([each.name for each, _ in matched])),
        context={"published": table.name, "machine": profile.machine, "way": way},
    )


Matched = list[tuple[ProfiledNetwork, Mapping[str, str]]]


def _matched(profile: MachineProfile, table: PublishedTable) -> Matched:
    """Networks and the printed lines that they stand for, in the table's order."""
    known = cards()
    found: Matched = []
    seen = set()
    for line in table.rows:
        method = method_of(line)
        # A method printed with and without ImageNet weights has one speed.
        if method in seen or not line.get(FPS):
            continue
        seen.add(method)
        row = f"{table.name}/{method}"
        for network in profile.networks:
            card = known.get(network.name)
            if card is None or row not in card.rows:
                continue
            found.append((network, line))
            encoder = profile.network(f"{network.name}{ENCODER}")
            if encoder is not None and network.name in _WITH_DECODER:
                found.append((encoder, line))
    return found


def _encoder_notes(names: Sequence[str]) -> list[str]:
    """What is known of the rows that join another's encoder with MiniSeg's decoder."""
    joined = [name for name in names if name in _WITH_DECODER]
    if not joined:
        return []
    counted = [name for name in joined if name in _ENCODER_COUNTED]
    text = f"Encoder and decoder were run here for {', '.join(joined)}. "
    if counted:
        text += (
            "The table's parameters and operations are those of the encoder alone for "
            f"{', '.join(counted)}. "
        )
    text += "It is unknown whether its images per second are of the encoder alone too."
    alone = [name for name in names if name.endswith(ENCODER)]
    if alone:
        text += f" {', '.join(alone)}: the encoder alone, left out of the rank correlation."
    return [text]


def correlation(pairs: Sequence[tuple[float, float]], what: str) -> str:
    """Spearman's and Kendall's rank correlation in a sentence.

    Args:
        pairs: The two numbers of each network.
        what: What they are, such as `latencies here and there`.

    Returns:
        The sentence; it says so where there are too few pairs, or one side has equal numbers only.
    """
    n = len(pairs)
    if n < _FEWEST or any(len({pair[side] for pair in pairs}) == 1 for side in (0, 1)):
        return f"There is no rank correlation of {what} to speak of (n = {n})."
    from scipy.stats import kendalltau, spearmanr

    first, second = zip(*pairs, strict=True)
    rho, tau = spearmanr(first, second).statistic, kendalltau(first, second).statistic
    return (
        f"Rank correlation of {what} over {n} networks: Spearman's rho {rho:.3f}, Kendall's tau-b "
        f"{tau:.3f} (n = {n})."
    )
