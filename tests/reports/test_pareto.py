from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.profiles.pareto import front, position
from results.machines import MachineProfile
from tests.reports.profiles import make_cost, make_network, make_profile, make_timing
from zoo.errors import CovbenchError
from zoo.registry import cards

POINTS = st.lists(st.tuples(*[st.integers(0, 6)] * 3), max_size=25)


@given(POINTS)
def test_front_by_its_definition(points: list[tuple[int, int, int]]) -> None:
    found = front(points)
    assert found == sorted(set(found))
    for index, (a, b, c) in enumerate(points):
        better = [p for p in points if p[0] <= a and p[1] <= b and p[2] <= c and p != (a, b, c)]
        assert (index in found) == (not better)


@given(POINTS)
def test_every_point_off_the_front_is_dominated_by_one_on_it(
    points: list[tuple[int, int, int]],
) -> None:
    best = [points[index] for index in front(points)]
    assert bool(best) == bool(points)
    for point in points:
        assert any(all(b <= p for b, p in zip(other, point, strict=True)) for other in best)


def test_equal_points_are_both_on_the_front() -> None:
    assert front([(1, 2), (1, 2), (1, 3), (2, 1)]) == [0, 1, 3]
    assert front([(3.0,), (2.0,), (2.0,)]) == [1, 2]
    assert front([]) == []


def timed(name: str, params: int, macs: int, relative: float | None) -> object:
    return make_network(name, params, macs, timings=(make_timing(10.0, relative=relative),))


SESSION = make_profile(
    timed("miniseg", 100, 100, None),
    timed("better", 80, 90, 0.9),
    timed("equal", 90, 100, 1.1),
    timed("worse", 200, 300, 2.0),
    timed("worse-but-small", 10, 300, 3.0),
    timed("tiny:encoder", 1, 1, 0.1),
    timed("mynet", 90, 100, 1.1),
    make_network("broken", 50, 60, error="out of memory"),
    make_network("unbuilt", cost=None, error="no package"),
)


def mynet(profile: MachineProfile = SESSION) -> object:
    found = profile.network("mynet")
    assert found is not None
    return found


def test_position_in_a_session() -> None:
    found = position(mynet(), SESSION)
    assert [(p.what, p.value, p.rank, p.of) for p in found.places] == [
        ("parameters", 90, 4, 7),  # after worse-but-small, broken, better; equal shares its rank
        ("MACs", 100, 3, 7),
        ("latency", 1.1, 3, 6),  # after better and the reference, which is 1 by definition
    ]
    assert found.dominated_by == ("better",)
    assert found.dominates == ("worse",)
    assert not found.on_front
    assert found.compared == 5
    assert found.remarks == ()
    assert found.words() == [
        "parameters: 90 (rank 4 of 7, 1 has the least)",
        "MACs: 100 (rank 3 of 7, 1 has the least)",
        "latency: 1.1 times that of miniseg (rank 3 of 6, 1 has the least)",
        "Dominated in parameters, MACs and latency by 1: better.",
        "It dominates 1: worse.",
    ]


def test_on_the_front() -> None:
    found = position(timed("mynet", 95, 80, 0.5), SESSION)
    assert found.on_front
    assert found.dominates == ("miniseg", "worse")
    assert "On the Pareto front of parameters, MACs and latency" in " ".join(found.words())


def test_another_machines_latencies_are_not_compared() -> None:
    other = make_profile(*SESSION.networks, machine="h200", env={"device": "NVIDIA H200"})
    found = position(mynet(), other, session=SESSION)
    assert [place.what for place in found.places] == ["parameters", "MACs"]
    assert found.remarks == (
        "Latency is not compared: mynet was timed on some-cpu-1-thread, the others on h200.",
    )
    assert found.words()[-1] == found.remarks[0]
    assert found.compared == 6


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"env": {"threads": 2}}, "was timed on"),
        ({"reference": "enet"}, "relative to miniseg, the others' to enet"),
    ],
)
def test_other_threads_or_another_reference(change: dict[str, object], why: str) -> None:
    other = make_profile(*SESSION.networks, **change)
    (remark,) = position(mynet(), other, session=SESSION).remarks
    assert why in remark


def test_a_latency_of_another_precision_is_not_compared() -> None:
    row = make_network(
        "mynet", 90, 100, timings=(make_timing(1.0, relative=0.2, precision="bf16"),)
    )
    latency = position(row, SESSION).places[-1]
    assert (latency.what, latency.rank, latency.of) == ("latency", 1, 1)


def test_without_a_timing_the_counts_alone_are_compared() -> None:
    found = position(make_network("broken", 50, 60, error="out of memory"), SESSION)
    assert [place.what for place in found.places] == ["parameters", "MACs"]
    assert found.remarks == ("Latency is not compared: broken was not timed (out of memory).",)


def test_another_size_of_image() -> None:
    row = make_network("mynet", cost=make_cost(90, 25, input_size=(3, 256, 256)))
    for among in (SESSION, cards()):
        found = position(row, among)
        assert [place.what for place in found.places] == ["parameters"]
        assert "its image is 3×256×256, the others' 3×512×512" in found.remarks[0]


def test_the_counter_that_counted_both() -> None:
    row = make_network("mynet", 90, {"table3": 7, "flop_counter_mode": 100})
    assert position(row, SESSION).places[1].value == 100
    (_, remark) = (found := position(make_network("mynet", 90, {"table3": 7}), SESSION)).remarks[:2]
    assert [place.what for place in found.places] == ["parameters"]
    assert found.remarks[0] == "MACs are not compared: no counter counted both."
    assert remark.startswith("Latency")


def test_position_among_the_cards() -> None:
    known = {name: card for name, card in cards().items() if card.source == "built-in"}
    enet = known["enet"]
    assert enet.params and enet.macs
    row = make_network("mynet", enet.params, {"fvcore": 1, "flop_counter_mode": enet.macs + 1}, 5.0)
    found = position(row, known)
    params = [card.params for card in known.values() if card.params is not None]
    macs = [card.macs for card in known.values() if card.macs is not None]
    first, second = found.places
    assert (first.rank, first.of) == (1 + sum(p < enet.params for p in params), len(params) + 1)
    assert (second.rank, second.of) == (1 + sum(m <= enet.macs for m in macs), len(macs) + 1)
    assert "enet" in found.dominated_by and "unet" in found.dominates
    assert found.words()[-1] == ("Latency is not compared: there is no profile of this machine.")


def test_itself_is_not_among_the_others() -> None:
    card = replace(cards()["enet"], name="enet")
    row = make_network("enet", card.params or 0, card.macs or 0)
    found = position(row, {"enet": card})
    assert found.compared == 0 and found.on_front
    assert "There is no other network to compare it with." in found.words()


def test_a_network_without_a_cost_has_no_position() -> None:
    with pytest.raises(CovbenchError, match="unbuilt could not be measured: no package"):
        position(make_network("unbuilt", cost=None, error="no package"), SESSION)


def test_long_lists_are_cut() -> None:
    many = make_profile(*(timed(f"n{i}", 200, 200, 2.0) for i in range(11)))
    words = position(timed("mynet", 90, 100, 1.1), many).words()
    assert words[-1].startswith("It dominates 11: n0, ") and words[-1].endswith("n7 and 3 more.")
