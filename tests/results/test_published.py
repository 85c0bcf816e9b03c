from __future__ import annotations

import pytest

from results.published import half_unit, published_names, published_table
from zoo.errors import CovbenchError

# Registered parameters, with two classes, of the networks behind the rows of MiniSeg's Table III.
COUNTS = {
    "U-Net": 34_527_106,
    "FCN-8s": 15_904_066,
    "FRRN": 17_711_474,
    "SegNet": 29_444_162,
    "PSPNet": 65_571_395,
    "DeepLabv3": 39_633_986,
    "DeepLabv3+": 54_607_778,
    "UNet++": 36_629_698,
    "Attention U-Net": 34_878_638,
    "BiSeNet": 12_795_394,
    "DenseASPP": 28_603_250,
    "DFN": 44_569_940,
    "EncNet": 52_482_724,
    "OCNet": 52_859_970,
    "DANet": 66_426_564,
    "MobileNet": 3_206_976,
    "MobileNetv2": 2_223_872,
    "MobileNetv3": 1_904_060,
    "ShuffleNet": 916_920,
    "ShuffleNetv2": 1_253_604,
    "ENet": 363_197,
    "CGNet": 491_954,
    "EDANet": 681_818,
    "LEDNet": 2_313_972,
    "ESPNet": 345_573,
    "ESPNetv2": 335_850,
    "MiniSeg": 472_440,
}


@pytest.mark.parametrize("method", COUNTS)
def test_table3_prints_every_count_by_its_rule(method: str) -> None:
    table = published_table("miniseg-table3")
    for line in table.method_rows(method):
        printed = line["parameters_printed"]
        assert table.print_params(method, COUNTS[method], printed) == printed


def test_table3_has_28_rows_and_miniseg_twice() -> None:
    table = published_table("miniseg-table3")
    assert len(table.rows) == 28
    assert {line["method"] for line in table.rows} == set(COUNTS)
    assert [line["imagenet"] for line in table.method_rows("MiniSeg")] == ["no", "yes"]


def test_digits_are_as_printed() -> None:
    frrn = published_table("miniseg-table3").method_rows("FRRN")[0]
    assert (frrn["parameters_printed"], frrn["flops_printed"]) == ("17.30M", "237.70G")


def test_a_count_that_is_one_off_differs() -> None:
    table = published_table("miniseg-table3")
    assert table.print_params("ENet", 363_250, "363.2K") == "363.3K"
    assert table.print_params("U-Net", 34_540_000, "33.72M") == "33.73M"


def test_chsnet_counts_in_millions_and_names_models() -> None:
    table = published_table("chsnet-table3")
    assert table.method_rows("RAIU-Net")[0]["parameters_printed"] == "4.2M"
    assert table.print_params("RAIU-Net", 4_157_099, "4.2M") == "4.2M"


@pytest.mark.parametrize("name", published_names())
def test_every_table_is_readable_and_has_its_score_columns(name: str) -> None:
    table = published_table(name)
    assert table.rows
    for line in table.rows:
        for column in table.scores:
            assert float(line[column]) >= 0


def test_scores_are_keys_that_are_measured() -> None:
    from benchmark.metrics import METRICS

    for name in published_names():
        assert set(published_table(name).scores.values()) <= set(METRICS)


def test_networks_of_table3_name_rows_that_exist() -> None:
    from zoo.registry import cards

    methods = {line["method"] for line in published_table("miniseg-table3").rows}
    rows = {row for card in cards().values() for row in card.rows}
    named = {row.partition("/")[2] for row in rows if row.startswith("miniseg-table3/")}
    assert named == methods


def test_unknown_table() -> None:
    with pytest.raises(CovbenchError, match="miniseg-table3"):
        published_table("miniseg-tabel3")


def test_a_cell_without_a_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        published_table("miniseg-table3").print_params("ENet", 1, "363.2")


@pytest.mark.parametrize(
    ("name", "lines"),
    [("miniseg-table1", 5), ("miniseg-table2", 7), ("chsnet-table4", 4), ("chsnet-table5", 8)],
)
def test_every_row_of_an_ablation_has_its_network_and_the_network_its_tag(
    name: str, lines: int
) -> None:
    from zoo.registry import cards

    here = cards()
    rows = published_table(name).rows
    assert len(rows) == lines
    for row in rows:
        if row.get("segmentation") != "lungs":
            assert name in here[row["network"]].tags


@pytest.mark.parametrize("paper", ["miniseg-table1", "miniseg-table2", "chsnet-table4"])
def test_cards_of_an_ablation_name_their_own_row(paper: str) -> None:
    from zoo.registry import cards

    table = published_table(paper)
    named = [
        (card.name, row.partition("/")[2])
        for card in cards().values()
        for row in card.rows
        if row.startswith(f"{paper}/")
    ]
    assert named
    for name, method in named:
        (line,) = table.method_rows(method)
        assert line["network"] == name


def test_rows_of_a_network_are_those_of_direct_segmentation() -> None:
    assert [row["mode"] for row in published_table("chsnet-table4").network_rows("chsnet-bu")] == [
        "BU"
    ]
    assert published_table("chsnet-table5").network_rows("chsnet-bu") == []
    assert len(published_table("miniseg-table1").network_rows("miniseg")) == 2


@pytest.mark.parametrize(
    ("printed", "half"), [("75.63", 0.005), ("0.8", 0.05), ("18", 0.5), ("97.00", 0.005)]
)
def test_half_a_unit_of_the_last_digit(printed: str, half: float) -> None:
    assert half_unit(printed) == pytest.approx(half)


def test_what_is_known_of_the_experiments() -> None:
    miniseg, chsnet = published_table("miniseg-table3"), published_table("chsnet-table3")
    assert (miniseg.dataset, miniseg.runs, miniseg.train_share) == ("ct100", 1, 0.6)
    assert miniseg.protocols == ("miniseg-paper", "miniseg-code")
    assert (chsnet.dataset, chsnet.runs, chsnet.train_share) == ("", 5, None)
    assert "60 %" in miniseg.split
    assert "says both" in chsnet.split
