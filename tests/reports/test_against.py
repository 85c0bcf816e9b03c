from __future__ import annotations

from typing import Any

import pytest

from benchmark.protocols import load_protocol
from reports.against import against_tables
from reports.tables.table import Table, show
from results.record import RunRecord
from tests.factory import make_record, make_scores
from zoo.errors import CovbenchError

CODE = load_protocol("miniseg-code")


def like_the_paper(model: str, dice: float = 0.75, **changes: Any) -> list[RunRecord]:
    """Five folds of ct100 under the authors' protocol."""
    spec = {"dataset": "ct100", "protocol": "miniseg-code", "settings": CODE.canonical()}
    return [make_record(model, dice, fold=fold, **{**spec, **changes}) for fold in range(1, 6)]


def shown(table: Table, label: str) -> dict[str, str]:
    row = next(row for row in table.rows if row.label == label)
    cells = zip(row.cells, table.columns, strict=True)
    return {column.key: show(cell, column) for cell, column in cells}


def test_parameters_by_the_tables_rule() -> None:
    records = [*like_the_paper("enet", params=363_197), *like_the_paper("unet", params=34_000_000)]
    params, _ = against_tables(records, "miniseg-table3")
    assert [row.label for row in params.rows] == ["unet", "enet"]  # in the table's order
    assert shown(params, "enet") == {
        "method": "ENet",
        "params_published": "363.2K",
        "params_printed": "363.2K",
        "params": "363197",
        "params_same": "same",
    }
    unet = shown(params, "unet")
    assert (unet["params_published"], unet["params_printed"]) == ("33.72M", "33.20M")
    assert unet["params_same"] == "differs"


def test_the_card_says_why_a_count_differs() -> None:
    records = like_the_paper("mobilenetv2-miniseg", params=2_366_114)
    params, _ = against_tables(records, "miniseg-table3")
    assert shown(params, "mobilenetv2-miniseg")["params_same"] == "differs"
    assert any("encoder alone" in note for note in params.notes)


def test_scores_in_the_papers_units_with_their_difference() -> None:
    records = [
        make_record(
            "enet",
            scores=make_scores(dice, miou_pooled=0.81, hausdorff_slice_px=80.0),
            fold=fold,
            dataset="ct100",
            protocol="miniseg-code",
            settings=CODE.canonical(),
        )
        for fold, dice in enumerate((0.70, 0.72, 0.74, 0.76, 0.78), 1)
    ]
    _, scores = against_tables(records, "miniseg-table3")
    cells = shown(scores, "enet")
    assert (cells["dice_percent_published"], cells["dice_slice"]) == ("75.26", "74.00 ± 3.16")
    assert cells["dice_percent_difference"] == "-1.26"
    assert cells["miou_percent_difference"] == "+0.16"
    assert cells["hausdorff_px_published"] == "77.51"
    assert cells["hausdorff_px_difference"] == "+2.49"
    assert scores.notes == ()


def test_an_undefined_score_has_no_difference() -> None:
    record = make_record("enet", None)
    _, scores = against_tables([record], "miniseg-table3")
    assert shown(scores, "enet")["dice_slice"] == "–"
    assert shown(scores, "enet")["dice_percent_difference"] == "–"


def test_of_miniseg_the_line_with_the_same_weights_is_taken() -> None:
    plain = like_the_paper("miniseg")
    pretrained = like_the_paper("miniseg", options={"weights": "imagenet"})
    _, scores = against_tables([*plain, *pretrained], "miniseg-table3")
    published = {row.label: show(row.cells[10], scores.columns[10]) for row in scores.rows}
    assert scores.columns[10].key == "dice_percent_published"
    assert published == {"miniseg": "75.63", "miniseg[weights=imagenet]": "77.28"}
    assert scores.notes == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "phantom"}, "the data are phantom, the paper's ct100"),
        ({"protocol": "identical"}, "the protocol is identical"),
        (
            {"settings": load_protocol("miniseg-code", ["epochs=3"]).canonical()},
            "the protocol was changed (optim.epochs=3)",
        ),
    ],
)
def test_why_scores_are_not_comparable(changes: dict[str, Any], words: str) -> None:
    _, scores = against_tables(like_the_paper("enet", **changes), "miniseg-table3")
    (note,) = scores.notes
    assert "not comparable" in note
    assert words in note


def test_fewer_folds_than_the_paper() -> None:
    records = [*like_the_paper("enet")[:1], *like_the_paper("cgnet")]
    _, scores = against_tables(records, "miniseg-table3")
    assert "fewer than 5 runs stand behind enet." in scores.notes[0]
    _, scores = against_tables(records[:1], "miniseg-table3")
    assert "fewer than 5 runs stand behind every row." in scores.notes[0]
    assert "here: one run a row (ct100" in scores.caption


def test_published_with_imagenet_weights_and_measured_without() -> None:
    _, scores = against_tables(like_the_paper("deeplabv3"), "miniseg-table3")
    assert "measured without are deeplabv3" in scores.notes[0]


def test_other_papers_tables_are_fractions() -> None:
    params, scores = against_tables(
        [make_record("raiunet", scores=make_scores(0.7), params=4_157_099)], "chsnet-table3"
    )
    assert shown(params, "raiunet")["params_same"] == "same"
    cells = shown(scores, "raiunet")
    assert (cells["dice_published"], cells["dice_slice"]) == ("0.75", "0.70")
    assert cells["dice_difference"] == "-0.05"
    assert cells["precision_slice"] == "–"


def test_networks_that_no_row_names_are_left_out() -> None:
    records = [*like_the_paper("enet"), *like_the_paper("raiunet"), *like_the_paper("a-plugin")]
    _, scores = against_tables(records, "miniseg-table3")
    assert [row.label for row in scores.rows] == ["enet"]
    assert "1 of the table's 28 rows" in scores.caption


def test_no_network_of_the_table() -> None:
    with pytest.raises(CovbenchError, match="No recorded network"):
        against_tables([make_record("a-plugin")], "miniseg-table3")


def test_unknown_table() -> None:
    with pytest.raises(CovbenchError, match="published table"):
        against_tables([make_record()], "miniseg-table9")


def test_every_format_can_be_written() -> None:
    for table in against_tables(like_the_paper("enet"), "miniseg-table3"):
        assert "ENet" in table.to_markdown()
        assert "ENet" in table.to_latex()
        assert "ENet" in table.to_csv()


def test_an_ablation_prints_no_parameters_and_has_the_whole_network_too() -> None:
    records = [*like_the_paper("miniseg"), *like_the_paper("miniseg-t1-single-branch")]
    (scores,) = against_tables([*records, *like_the_paper("enet")], "miniseg-table1")
    assert [row.label for row in scores.rows] == ["miniseg-t1-single-branch", "miniseg"]
    assert shown(scores, "miniseg")["dice_percent_published"] == "75.63"
    assert shown(scores, "miniseg-t1-single-branch")["dice_percent_published"] == "71.50"


def test_a_network_of_another_table_is_called_as_the_ablation_calls_it() -> None:
    (scores,) = against_tables(like_the_paper("raiunet"), "chsnet-table4")
    assert shown(scores, "raiunet")["method"] == "BU+RIB+HP+SSD"
