from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.profiles.against import against_machine, against_published, correlation
from reports.tables.shown import show
from reports.tables.table import Table
from results.published import published_table
from tests.reports.profiles import make_cost, make_network, make_profile, make_timing
from zoo.errors import CovbenchError

TABLE3 = published_table("miniseg-table3")


def shown(table: Table, label: str) -> dict[str, str]:
    row = next(row for row in table.rows if row.label == label)
    cells = zip(row.cells, table.columns, strict=True)
    return {column.key: show(cell, column) for cell, column in cells}


def ranks(values: list[int]) -> list[float]:
    """Ranks from 1, equal values at their mean."""
    return [
        sum(other < value for other in values) + (1 + sum(other == value for other in values)) / 2
        for value in values
    ]


def pearson(first: list[float], second: list[float]) -> float:
    n = len(first)
    a = [value - sum(first) / n for value in first]
    b = [value - sum(second) / n for value in second]
    products = sum(x * y for x, y in zip(a, b, strict=True))
    return float(products / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5)


def tau_b(first: list[int], second: list[int]) -> float:
    def sign(value: int) -> int:
        return (value > 0) - (value < 0)

    pairs = [(i, j) for i in range(len(first)) for j in range(i)]
    a = [sign(first[i] - first[j]) for i, j in pairs]
    b = [sign(second[i] - second[j]) for i, j in pairs]
    same = sum(x * y for x, y in zip(a, b, strict=True))
    return float(same / (sum(map(abs, a)) * sum(map(abs, b))) ** 0.5)


PAIRS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=3, max_size=12)


@settings(deadline=None)  # the first example imports scipy
@given(PAIRS)
def test_rank_correlations_by_their_definitions(pairs: list[tuple[int, int]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    text = correlation(pairs, "numbers")
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert text == f"There is no rank correlation of numbers to speak of (n = {len(pairs)})."
        return
    found = re.search(r"over (\d+) networks: .* rho (\S+), .* tau-b (\S+) \(n = (\d+)\)", text)
    assert found is not None
    n, rho, tau, again = map(float, found.groups())
    assert n == again == len(pairs)
    assert rho == pytest.approx(pearson(ranks(first), ranks(second)), abs=6e-4)
    assert tau == pytest.approx(tau_b(first, second), abs=6e-4)


def test_too_few_for_a_correlation() -> None:
    assert correlation([(1, 2), (2, 3)], "x") == (
        "There is no rank correlation of x to speak of (n = 2)."
    )


HERE = make_profile(
    make_network("miniseg", 1, 1, 20.0),
    make_network("enet", 1, 1, timings=(make_timing(30.0, flags=("unstable", "shared")),)),
    make_network("unet", 1, 1, 90.0),
    make_network("x:encoder", 1, 1, 1.0),
    make_network("broken", error="out of memory"),
    make_network("mine", 1, 1, 5.0),
)
THERE = make_profile(
    make_network("unet", 1, 1, 9.0),
    make_network("enet", 1, 1, timings=(make_timing(4.0, flags=("unstable",)),)),
    make_network("miniseg", 1, 1, 5.0),
    make_network("x:encoder", 1, 1, 99.0),
    make_network("broken", 1, 1, 5.0),
    make_network("theirs", 1, 1, 5.0),
    machine="h200",
    env={"device": "NVIDIA H200"},
    speed="quick",
)


def test_two_machines() -> None:
    table = against_machine(HERE, THERE)
    assert [row.label for row in table.rows] == ["miniseg", "enet", "unet", "x:encoder", "broken"]
    assert shown(table, "miniseg") == {
        "latency_ms": "20.00",
        "latency_ms_there": "5.00",
        "ratio": "4.000",
        "flags": "–",
    }
    assert shown(table, "unet")["ratio"] == "10.000"
    assert shown(table, "enet")["flags"] == "unstable, shared here"
    assert shown(table, "broken")["flags"] == "failed (out of memory) here"
    assert table.rows[-1].status == "failed (out of memory)"
    # 20, 30, 90 beside 5, 4, 9: the encoder and the failure are left out.
    assert "over 3 networks: Spearman's rho 0.500, Kendall's tau-b 0.333 (n = 3)" in table.caption
    assert "above 1 where some-cpu-1-thread is slower" in table.caption
    assert "There: Measured on h200 (NVIDIA H200, 1 CPU thread)" in table.caption
    assert table.caption.count("This is a quick profile") == 1
    assert table.notes == ("Only here: mine.", "Only there: theirs.")


def test_what_makes_two_machines_incomparable() -> None:
    cost = make_cost(input_size=(3, 256, 256))
    other = make_profile(
        make_network("miniseg", cost=cost, timings=(make_timing(5.0, precision="bf16"),)),
        input_size=(3, 256, 256),
    )
    first, second, _ = against_machine(HERE, other).notes
    assert first.startswith("The images differ: 3×512×512 here, 3×256×256 there")
    assert second == "The networks ran differently: fp32 here, bf16 there."


def test_no_network_in_common() -> None:
    with pytest.raises(CovbenchError, match="no network in common"):
        against_machine(HERE, make_profile(make_network("another", 1, 1, 2.0)))


def test_beside_the_published_speeds() -> None:
    profile = make_profile(
        make_network("miniseg", 1, 1, 5.0),
        make_network("enet", 1, 1, 20.0),
        make_network("unet", 1, 1, 40.0),
        make_network("unet[width=2]", 1, 1, 1.0),
        make_network("raiunet", 1, 1, 1.0),
        make_network("cgnet", error="out of memory"),
    )
    table = against_published(profile, TABLE3)
    assert [row.label for row in table.rows] == ["unet", "enet", "cgnet", "miniseg"]
    assert shown(table, "unet") == {
        "method": "U-Net",
        "fps_published": "19.8",
        "fps": "25.0",
        "ratio": "1.263",
        "flags": "–",
    }
    assert shown(table, "miniseg")["ratio"] == f"{200 / 232.6:.3f}"
    assert shown(table, "cgnet")["fps"] == "–"
    assert table.rows[2].status == shown(table, "cgnet")["flags"] == "failed (out of memory)"
    # 25, 50, 200 beside 19.8, 71.4, 232.6
    assert "over 3 networks: Spearman's rho 1.000, Kendall's tau-b 1.000 (n = 3)" in table.caption
    assert "in the way 'latency'" in table.caption
    assert table.notes == ()


def test_the_papers_way_is_set_beside_it_where_it_was_measured() -> None:
    both = make_network("enet", timings=(make_timing(20.0), make_timing(10.0, "single")))
    table = against_published(make_profile(both, make_network("unet", 1, 1, 40.0)), TABLE3)
    assert shown(table, "enet")["fps"] == "100"
    assert "in the way 'single'" in table.caption
    # A latency is never shown among them.
    assert shown(table, "unet")["fps"] == "–"
    assert table.rows[0].status == "failed (not measured)"


def test_the_rows_with_minisegs_decoder() -> None:
    profile = make_profile(
        make_network("mobilenet-miniseg", 1, 1, 20.0),
        make_network("mobilenet-miniseg:encoder", 1, 1, 10.0),
        make_network("mobilenetv3-miniseg", 1, 1, 20.0),
        make_network("enet", 1, 1, 20.0),
    )
    table = against_published(profile, TABLE3)
    assert [row.label for row in table.rows] == [
        "mobilenet-miniseg",
        "mobilenet-miniseg:encoder",
        "mobilenetv3-miniseg",
        "enet",
    ]
    assert shown(table, "mobilenet-miniseg:encoder") == {
        "method": "MobileNet",
        "fps_published": "416.7",
        "fps": "100.0",
        "ratio": f"{100 / 416.7:.3f}",
        "flags": "–",
    }
    (note,) = table.notes
    assert "were run here for mobilenet-miniseg, mobilenetv3-miniseg." in note
    assert "those of the encoder alone for mobilenet-miniseg." in note
    assert "It is unknown whether" in note
    assert "mobilenet-miniseg:encoder: the encoder alone" in note
    assert "(n = 3)" in table.caption


def test_the_last_of_them_is_counted_whole() -> None:
    table = against_published(make_profile(make_network("mobilenetv3-miniseg", 1, 1, 2.0)), TABLE3)
    assert "parameters and operations" not in table.notes[0]


def test_every_row_of_the_table_joins_its_network() -> None:
    names = list(dict.fromkeys(line["network"] for line in TABLE3.rows))
    table = against_published(make_profile(*(make_network(n, 1, 1, 2.0) for n in names)), TABLE3)
    assert [row.label for row in table.rows] == names
    assert [row.cells[1].text for row in table.rows] == [
        next(line["fps_titan_rtx"] for line in TABLE3.rows if line["network"] == name)
        for name in names
    ]


@pytest.mark.parametrize("name", ["miniseg-table1", "chsnet-table3"])
def test_a_table_without_speeds(name: str) -> None:
    with pytest.raises(CovbenchError, match=f"{name} prints no images per second") as error:
        against_published(HERE, published_table(name))
    assert str(error.value).count("\n") == 1


def test_no_network_of_the_table() -> None:
    with pytest.raises(CovbenchError, match="stands for a row of miniseg-table3"):
        against_published(make_profile(make_network("mine", 1, 1, 2.0)), TABLE3)


def test_every_format_can_be_written() -> None:
    for table in (against_machine(HERE, THERE), against_published(HERE, TABLE3)):
        assert all("enet" in text for text in (table.to_markdown(), table.to_latex()))
        assert "enet" in table.to_csv() and table.to_objects()[0]["scores"] == {}
