"""Where a network stands among others: parameters, multiply-adds, latency, and all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.complexity import FLOP_COUNTER, FVCORE, SIZE
from benchmark.subject import ENCODER
from reports.words import listed
from results.machines import MachineProfile, ProfiledNetwork
from zoo.cards import Card
from zoo.errors import CovbenchError

PARAMS, MACS, LATENCY = "parameters", "MACs", "latency"

_CARD_COUNTER = FLOP_COUNTER
MAC_COUNTERS = (FVCORE, _CARD_COUNTER)
"""The counters of multiply-adds, the headline first; others, such as `table3`, count more."""

_CARD_SIZE = (3, SIZE, SIZE)
_SHOWN = 8

Costs = Mapping[str, float]
"""Of one network, what is known of `PARAMS`, `MACS` and `LATENCY`; less is better in each."""


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """The points that no other dominates: none is as small in all numbers and smaller in one.

    Args:
        points: One or more numbers each, all to be small. Equal points don't dominate each other.

    Returns:
        Their indices, in order.
    """
    return [
        index
        for index, point in enumerate(points)
        if not any(_dominates(other, point) for other in points)
    ]


def _dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@dataclass(frozen=True)
class Place:
    """A network's rank in one number: 1 is the least, equal numbers share a rank.

    Attributes:
        what: `parameters`, `MACs` or `latency`.
        value: The number; a latency is relative to the reference network's.
        rank: One more than the number of others that have less.
        of: Networks that have this number, itself included.
    """

    what: str
    value: float
    rank: int
    of: int


@dataclass(frozen=True)
class Position:
    """Where a network stands among others.

    Attributes:
        name: The network.
        places: Its rank in each number that could be compared.
        dominated_by: Networks that are no worse in all of these and better in one.
        dominates: Networks that it dominates.
        compared: Networks of which all these numbers are known, itself left out.
        reference: The network that latencies are relative to.
        remarks: What was not compared, and why.
    """

    name: str
    places: tuple[Place, ...]
    dominated_by: tuple[str, ...]
    dominates: tuple[str, ...]
    compared: int
    reference: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def on_front(self) -> bool:
        """Whether no network dominates it."""
        return not self.dominated_by

    def words(self) -> list[str]:
        """The position in lines for a terminal."""
        lines = [self._line(place) for place in self.places]
        numbers = listed([place.what for place in self.places])
        if self.compared == 0:
            lines.append("There is no other network to compare it with.")
        elif self.on_front:
            lines.append(f"On the Pareto front of {numbers}: no network dominates {self.name}.")
        else:
            names = _some(self.dominated_by)
            lines.append(f"Dominated in {numbers} by {len(self.dominated_by)}: {names}.")
        if self.dominates:
            lines.append(f"It dominates {len(self.dominates)}: {_some(self.dominates)}.")
        return [*lines, *self.remarks]

    def _line(self, place: Place) -> str:
        order = f"(rank {place.rank} of {place.of}, 1 has the least)"
        if place.what == LATENCY:
            return f"latency: {place.value:.3g} times that of {self.reference} {order}"
        return f"{place.what}: {place.value:,.0f} {order}"


def position(
    row: ProfiledNetwork,
    among: MachineProfile | Mapping[str, Card],
    session: MachineProfile | None = None,
) -> Position:
    """Where a measured network stands among others.

    Latencies are compared relative to the reference network, which every session times itself,
    and only within one machine. Encoders that were measured alone are left out of the others, and
    so is a network of the same name.

    Args:
        row: The network.
        among: The others: a profile, or the cards of the registry.
        session: The profile that holds `row`; None where that is `among` or where its machine,
            its reference network and its rounds are known to be those of `among`.

    Returns:
        Its position.

    Raises:
        CovbenchError: The network's cost is not known.
    """
    if row.cost is None:
        raise CovbenchError(
            f"{row.name} could not be measured: {row.error or 'its cost is missing'}.",
            f"Try `covbench check {row.name}`, which says more.",
        )
    if isinstance(among, MachineProfile):
        own, others, remarks = _in_profile(row, among, session)
        reference = among.reference
    else:
        own, others, remarks = _in_cards(row, among)
        reference = None
    others = {name: costs for name, costs in others.items() if name != row.name}
    full = {name: costs for name, costs in others.items() if own.keys() <= costs.keys()}
    mine = tuple(own.values())

    def vector(costs: Costs) -> tuple[float, ...]:
        return tuple(costs[what] for what in own)

    return Position(
        name=row.name,
        places=tuple(_place(what, value, others) for what, value in own.items()),
        dominated_by=tuple(n for n, costs in full.items() if _dominates(vector(costs), mine)),
        dominates=tuple(n for n, costs in full.items() if _dominates(mine, vector(costs))),
        compared=len(full),
        reference=reference,
        remarks=tuple(remarks),
    )


def _place(what: str, value: float, others: Mapping[str, Costs]) -> Place:
    known = [costs[what] for costs in others.values() if what in costs]
    return Place(what, value, 1 + sum(other < value for other in known), 1 + len(known))


def relative_latency(row: ProfiledNetwork, profile: MachineProfile) -> float | None:
    """Latency over that of the profile's reference network; None where it was not timed."""
    timing = row.timing("latency")
    if timing is None or profile.reference is None:
        return None
    return 1.0 if row.name == profile.reference else timing.relative


Found = tuple[dict[str, float], dict[str, dict[str, float]], list[str]]


def _in_profile(
    row: ProfiledNetwork, among: MachineProfile, session: MachineProfile | None
) -> Found:
    """The row's numbers, the others', and what can't be compared."""
    assert row.cost is not None
    whole = [each for each in among.networks if each.cost and not each.name.endswith(ENCODER)]
    alike = row.cost.input_size == among.input_size
    own: dict[str, float] = {PARAMS: row.cost.params}
    others: dict[str, dict[str, float]] = {
        each.name: {PARAMS: each.cost.params} for each in whole if each.cost
    }
    if not alike:
        return own, others, [_sizes(row.cost.input_size, among.input_size)]
    counter, macs = _counter(row.cost.macs, [each.cost.macs for each in whole if each.cost])
    remarks = []
    if counter is None:
        remarks.append("MACs are not compared: no counter counted both.")
    else:
        own[MACS] = macs
        for each in whole:
            if each.cost and counter in each.cost.macs:
                others[each.name][MACS] = each.cost.macs[counter]
    why = _why_no_latency(row, among, session)
    latency = relative_latency(row, session or among)
    if why is None and latency is not None:
        own[LATENCY] = latency
        mode = _mode(row)
        for each in whole:
            theirs = relative_latency(each, among)
            if theirs is not None and _mode(each) == mode:
                others[each.name][LATENCY] = theirs
    else:
        remarks.append(f"Latency is not compared: {why}.")
    return own, others, remarks


def _in_cards(row: ProfiledNetwork, cards: Mapping[str, Card]) -> Found:
    """As `_in_profile`, from the exact counts on the cards."""
    assert row.cost is not None
    own: dict[str, float] = {PARAMS: row.cost.params}
    others: dict[str, dict[str, float]] = {
        name: {PARAMS: card.params} for name, card in cards.items() if card.params is not None
    }
    remarks = []
    if row.cost.input_size != _CARD_SIZE:
        remarks.append(_sizes(row.cost.input_size, _CARD_SIZE))
    elif _CARD_COUNTER not in row.cost.macs:
        remarks.append("MACs are not compared: FlopCounterMode, which counted the others, failed.")
    else:
        own[MACS] = row.cost.macs[_CARD_COUNTER]
        for name in others:
            macs = cards[name].macs
            if macs is not None:
                others[name][MACS] = macs
    remarks.append("Latency is not compared: there is no profile of this machine.")
    return own, others, remarks


def _counter(own: dict[str, int], others: list[dict[str, int]]) -> tuple[str | None, int]:
    """The row's first counter that the others were counted with, and the row's count."""
    for counter, macs in own.items():
        if counter in MAC_COUNTERS and any(counter in each for each in others):
            return counter, macs
    return None, 0


def _why_no_latency(
    row: ProfiledNetwork, among: MachineProfile, session: MachineProfile | None
) -> str | None:
    """Why its latency can't be set beside the others'; None where it can."""
    if row.timing("latency") is None:
        return f"{row.name} was not timed" + (f" ({row.error})" if row.error else "")
    if session is not None:
        if not same_machine(session, among):
            return f"{row.name} was timed on {session.machine}, the others on {among.machine}"
        if session.reference != among.reference:
            return f"it is relative to {session.reference}, the others' to {among.reference}"
    if relative_latency(row, session or among) is None:
        return "no reference network was timed beside it"
    return None


def same_machine(first: MachineProfile, second: MachineProfile) -> bool:
    """Whether two profiles come from the same kind of machine, with as many threads."""
    keys = [(p.machine, p.env.device, p.env.cpu, p.env.threads) for p in (first, second)]
    return keys[0] == keys[1]


def _mode(row: ProfiledNetwork) -> tuple[object, ...] | None:
    """What two latencies must have in common to be compared."""
    timing = row.timing("latency")
    if timing is None:
        return None
    return timing.precision, timing.channels_last, timing.compiled, timing.batch


def _sizes(own: tuple[int, int, int], others: tuple[int, int, int]) -> str:
    mine, theirs = ("×".join(map(str, each)) for each in (own, others))
    return f"MACs and latency are not compared: its image is {mine}, the others' {theirs}."


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
