from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmark.protocols import load_protocol
from reports.subject import read_holdings
from reports.tables.shown import show
from reports.tables.table import Table
from reports.verdicts.against import against_tables
from results.record import RunRecord
from results.store import Store
from tests.factory import make_failure, make_record, make_scores
from tests.stores import write_run
from zoo.errors import CovbenchError

CODE = load_protocol("miniseg-code")
PAPER: dict[str, Any] = {
    "dataset": "ct100",
    "protocol": "miniseg-code",
    "settings": CODE.canonical(),
    "data": {"groups_disjoint": False, "n_train": 60, "n_test": 40},
}


def like_the_paper(model: str, dice: float = 0.75, **changes: Any) -> list[RunRecord]:
    """Five folds of ct100 under the authors' protocol; slices of a patient may be on both sides."""
    given = {**PAPER, **changes}
    return [make_record(model, dice, fold=fold, **given) for fold in range(1, 6)]


def beside(records: Sequence[RunRecord], name: str, root: Path) -> list[Table]:
    """The tables of some records without per-image scores."""
    store = Store(root)
    for record in records:
        store.write(record)
    return against_tables(read_holdings(root).subjects, name)


def shown(table: Table, label: str) -> dict[str, str]:
    row = next(row for row in table.rows if row.label == label)
    cells = zip(row.cells, table.columns, strict=True)
    return {column.key: show(cell, column) for cell, column in cells}


def test_parameters_by_the_tables_rule(tmp_path: Path) -> None:
    records = [*like_the_paper("enet", params=363_197), *like_the_paper("unet", params=34_000_000)]
    params, *_ = beside(records, "miniseg-table3", tmp_path)
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


def test_the_card_says_why_a_count_differs(tmp_path: Path) -> None:
    records = like_the_paper("mobilenetv2-miniseg", params=2_366_114)
    params, *_ = beside(records, "miniseg-table3", tmp_path)
    assert shown(params, "mobilenetv2-miniseg")["params_same"] == "differs"
    assert any("encoder alone" in note for note in params.notes)


def scored(table: Table, label: str, key: str) -> dict[str, str]:
    """The line of a network and a score in the long table."""
    for row in table.rows:
        cells = {c.key: cell for cell, c in zip(row.cells, table.columns, strict=True)}
        if row.label == label and cells["score"].value == key:
            return {c.key: show(cells[c.key], c) for c in table.columns}
    raise AssertionError(f"no line for {label}, {key}")


def test_scores_in_the_papers_units_with_their_difference(tmp_path: Path) -> None:
    records = [
        make_record(
            "enet",
            scores=make_scores(dice, miou_pooled=0.81, hausdorff_slice_px=80.0),
            fold=fold,
            **PAPER,
        )
        for fold, dice in enumerate((0.70, 0.72, 0.74, 0.76, 0.78), 1)
    ]
    _, verdicts, scores = beside(records, "miniseg-table3", tmp_path)
    dice = scored(scores, "enet", "dice_slice")
    assert (dice["published_value"], dice["measured"], dice["sd"]) == ("75.26", "74.00", "3.16")
    assert (dice["difference"], dice["unit"], dice["runs"]) == ("-1.26", "%", "5")
    assert dice["verdict"] == "within noise"  # 67.68 to 80.32
    miou = scored(scores, "enet", "miou_pooled")
    assert (miou["difference"], miou["verdict"]) == ("+0.16", "not reproduced")  # no spread at all
    distance = scored(scores, "enet", "hausdorff_slice_px")
    assert (distance["published_value"], distance["difference"]) == ("77.51", "+2.49")
    assert distance["unit"] == "px"
    cells = shown(verdicts, "enet")
    assert (cells["dice_published"], cells["dice"]) == ("75.26", "74.00")
    assert (cells["dice_difference"], cells["dice_verdict"]) == ("-1.26", "within noise")
    # Sensitivity 82.48 lies above 80.32; of specificity and distance five runs are equal.
    assert cells["verdicts"] == "1 within noise, 4 not reproduced"
    assert "no per-image scores" in verdicts.caption
    assert not any("not comparable" in note for note in (*verdicts.notes, *scores.notes))


def test_the_interval_decides_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    # Ten patients of Dice 0.74 on average; those of cgnet all have the same.
    for model, step in (("enet", 0.02), ("cgnet", 0.0)):
        for fold in (1, 2):
            own = {f"p{fold}{n}-1": 0.74 + step * (n - 2) for n in range(5)}
            write_run(store, own, model=model, fold=fold, scores=make_scores(0.74), **PAPER)
    _, verdicts, scores = against_tables(read_holdings(tmp_path).subjects, "miniseg-table3")
    # Their mean's t-interval is 74 ± 2.26 * 2.98 / sqrt(10) = 71.9 to 76.1.
    line = scored(scores, "enet", "dice_slice")
    assert float(line["low"]) == pytest.approx(71.9, abs=0.3)
    assert float(line["high"]) == pytest.approx(76.1, abs=0.3)
    assert line["verdict"] == shown(verdicts, "enet")["dice_verdict"] == "reproduced"
    assert shown(verdicts, "enet")["dice"].startswith("74.00 [7")
    other = scored(scores, "cgnet", "dice_slice")  # published 73.48
    assert (other["low"], other["high"], other["verdict"]) == ("74.00", "74.00", "not reproduced")
    assert "bootstrap over 10 slices. Where several slices" in verdicts.caption


def test_pooled_scores_have_intervals_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_run(store, {f"p{n}-1": 0.7 for n in range(4)}, model="enet", **PAPER)
    *_, scores = against_tables(read_holdings(tmp_path).subjects, "miniseg-table3")
    # Every image has tp, fp, fn, tn = 1, 2, 3, 4: mIoU is (1/6 + 4/9) / 2 whoever is drawn.
    line = scored(scores, "enet", "miou_pooled")
    assert (line["low"], line["high"]) == ("30.56", "30.56")


def test_an_undefined_score_has_no_difference(tmp_path: Path) -> None:
    records = [make_record("enet", None, **PAPER)]
    _, verdicts, scores = beside(records, "miniseg-table3", tmp_path)
    line = scored(scores, "enet", "dice_slice")
    assert (line["measured"], line["difference"]) == ("–", "–")
    assert line["verdict"] == "not measured"
    assert shown(verdicts, "enet")["dice_difference"] == "–"


def test_a_single_run_without_images_decides_nothing(tmp_path: Path) -> None:
    _, verdicts, _ = beside(like_the_paper("enet")[:1], "miniseg-table3", tmp_path)
    assert shown(verdicts, "enet")["verdicts"] == "5 undecided"
    assert "here: one run a row (ct100" in verdicts.caption


def test_of_miniseg_the_line_with_the_same_weights_is_taken(tmp_path: Path) -> None:
    plain = like_the_paper("miniseg")
    pretrained = like_the_paper("miniseg", options={"weights": "imagenet"})
    _, verdicts, _ = beside([*plain, *pretrained], "miniseg-table3", tmp_path)
    published = {row.label: shown(verdicts, row.label)["dice_published"] for row in verdicts.rows}
    assert published == {"miniseg": "75.63", "miniseg[weights=imagenet]": "77.28"}
    words = [shown(verdicts, row.label)["dice_verdict"] for row in verdicts.rows]
    assert words == ["not reproduced", "not reproduced"]  # five equal runs


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"dataset": "phantom"}, "data", "the data are phantom, the paper's are ct100"),
        ({"data": {"groups_disjoint": True}}, "split", "no patient stands on both sides"),
        ({"protocol": "identical"}, "protocol", "the protocol is identical, not miniseg-paper or"),
        (
            {"settings": load_protocol("miniseg-code", ["epochs=3"]).canonical()},
            "protocol",
            "the protocol was changed (optim.epochs=3)",
        ),
        (
            {"settings": load_protocol("miniseg-code", ["score.size=128"]).canonical()},
            "metric, protocol",
            "masks are scored at 128 pixels a side, the paper's at 512",
        ),
        ({"settings": {"optim": {"epochz": 3}}}, "protocol", "of another version of covbench"),
        ({"options": {"strict": True}}, "network", "by its options (strict)"),
        ({"options": {"weights": "imagenet"}}, "weights", "published from scratch, measured with"),
        ({"options": {"weights": "mine.safetensors"}}, "weights", "starts from a file"),
        ({"weights": "a" * 64}, "weights", "were not trained here"),
    ],
)
def test_why_scores_are_not_comparable(
    changes: dict[str, Any], what: str, words: str, tmp_path: Path
) -> None:
    records = like_the_paper("enet", **changes)
    _, verdicts, scores = beside(records, "miniseg-table3", tmp_path)
    (row,) = verdicts.rows
    cells = shown(verdicts, row.label)
    assert cells["dice_verdict"] == f"not comparable ({what})"
    assert (cells["dice_difference"], cells["verdicts"]) == ("-0.26", "–")
    for table in (verdicts, scores):
        assert "not comparable" in table.notes[0]
        assert words in table.notes[0]


@pytest.mark.parametrize(
    ("model", "settings", "comparable"),
    [
        ("enet", ["run.precision=bf16", "split.seed=3"], True),
        ("enet", ["sizes=[1.0]", "border_crop_px=[16]"], True),  # as the authors train baselines
        ("miniseg", ["sizes=[1.0]", "border_crop_px=[16]"], False),
    ],
)
def test_changes_that_forbid_no_verdict(
    model: str, settings: list[str], comparable: bool, tmp_path: Path
) -> None:
    changed = load_protocol("miniseg-code", settings).canonical()
    records = like_the_paper(model, settings=changed)
    _, verdicts, _ = beside(records, "miniseg-table3", tmp_path)
    word = shown(verdicts, model)["dice_verdict"]
    assert word == ("not reproduced" if comparable else "not comparable (protocol)")
    assert settings[0].partition("=")[0] in verdicts.title  # and yet it is said


def test_fewer_runs_than_the_paper_are_said(tmp_path: Path) -> None:
    records = [make_record("raiunet", dataset="phantom")]
    _, verdicts, _ = beside(records, "chsnet-table3", tmp_path)
    assert "Fewer than the paper's 5 runs stand behind every row." in verdicts.notes
    assert "the paper's are of its own" in verdicts.notes[0]


def test_one_training_behind_minisegs_numbers_and_another_share_are_said(tmp_path: Path) -> None:
    data = {"groups_disjoint": False, "n_train": 80, "n_test": 20}
    records = like_the_paper("enet", data=data)
    _, verdicts, _ = beside(records, "miniseg-table3", tmp_path)
    assert any("one training on one random draw" in note for note in verdicts.notes)
    assert "The paper trained on 60 % of the slices; here 80 %." in verdicts.notes
    _, same, _ = beside(like_the_paper("enet"), "miniseg-table3", tmp_path / "same")
    assert not any("The paper trained on" in note for note in same.notes)


def test_empty_masks_are_said(tmp_path: Path) -> None:
    scores = make_scores(0.7)
    scores["dice_slice"] = scores["dice_slice"].model_copy(update={"penalised": 3})
    _, verdicts, _ = beside([make_record("enet", scores=scores)], "miniseg-table3", tmp_path)
    assert any("3 times only one" in note and "worst" in note for note in verdicts.notes)


def test_published_with_imagenet_weights_and_measured_without(tmp_path: Path) -> None:
    records = [*like_the_paper("deeplabv3"), *like_the_paper("enet")]
    _, verdicts, _ = beside(records, "miniseg-table3", tmp_path)
    assert "measured from scratch (deeplabv3)" in verdicts.notes[0]
    assert shown(verdicts, "deeplabv3")["dice_verdict"] == "not comparable (weights)"
    assert shown(verdicts, "enet")["dice_verdict"] == "not reproduced"


def test_other_papers_tables_are_fractions(tmp_path: Path) -> None:
    record = make_record("raiunet", scores=make_scores(0.7), params=4_157_099)
    params, verdicts, scores = beside([record], "chsnet-table3", tmp_path)
    assert shown(params, "raiunet")["params_same"] == "same"
    cells = shown(verdicts, "raiunet")
    assert (cells["dice_published"], cells["dice"]) == ("0.75", "0.70")
    assert cells["dice_difference"] == "-0.05"
    assert scored(scores, "raiunet", "precision_slice")["measured"] == "–"
    # What it prints as Jaccard is above Dice: whatever it is, it is no Jaccard.
    assert "metric" in scored(scores, "raiunet", "jaccard_slice")["verdict"]
    assert any("Jaccard above Dice" in note and "RAIU-Net" in note for note in verdicts.notes)


def test_the_order_of_the_networks(tmp_path: Path) -> None:
    # Published Dice: cgnet 73.48, edanet 72.77, enet 75.26, espnet 70.64, lednet 73.55.
    dice = {"cgnet": 0.5, "edanet": 0.4, "enet": 0.3, "espnet": 0.2, "lednet": 0.6}
    records = [r for model, value in dice.items() for r in like_the_paper(model, value)]
    _, verdicts, _ = beside(records, "miniseg-table3", tmp_path)
    # Of ten pairs enet is out of order with three (cgnet, edanet, lednet): (7 - 3) / 10. Ranks
    # 4 3 2 1 5 here and 3 2 5 1 4 in print: rho = 1 - 6 * (1 + 1 + 9 + 0 + 1) / 120.
    assert "Order of the 5 networks" in verdicts.caption
    assert "Dice 0.40 (rho 0.40)" in verdicts.caption
    assert "HD: undefined, since all are equal" in verdicts.caption


def test_the_order_has_an_interval_where_images_are_scored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dice = {"cgnet": 0.5, "edanet": 0.4, "enet": 0.6, "espnet": 0.3}
    for model, value in dice.items():
        own = {f"p{n}-1": value + n / 100 for n in range(6)}  # all patients agree on the order
        write_run(store, own, model=model, scores=make_scores(value + 0.025), **PAPER)
    _, verdicts, _ = against_tables(read_holdings(tmp_path).subjects, "miniseg-table3")
    assert "Dice 1.00 (95 % 1.00 to 1.00; rho 1.00)" in verdicts.caption


def test_three_networks_have_no_order(tmp_path: Path) -> None:
    records = [r for model in ("cgnet", "enet", "espnet") for r in like_the_paper(model)]
    _, verdicts, _ = beside(records, "miniseg-table3", tmp_path)
    assert "Kendall" not in verdicts.caption


def test_networks_that_no_row_names_are_left_out(tmp_path: Path) -> None:
    records = [*like_the_paper("enet"), *like_the_paper("raiunet"), *like_the_paper("a-plugin")]
    _, verdicts, scores = beside(records, "miniseg-table3", tmp_path)
    assert [row.label for row in verdicts.rows] == ["enet"]
    assert {row.label for row in scores.rows} == {"enet"}
    assert "1 of the table's 28 rows" in verdicts.caption


def test_no_network_of_the_table(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match="No recorded network"):
        beside([make_record("a-plugin")], "miniseg-table3", tmp_path)


def test_unknown_table(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match="published table"):
        beside([make_record()], "miniseg-table9", tmp_path)


def test_every_format_can_be_written(tmp_path: Path) -> None:
    for table in beside(like_the_paper("enet"), "miniseg-table3", tmp_path):
        assert "ENet" in table.to_markdown()
        assert "ENet" in table.to_latex()
        assert "ENet" in table.to_csv()


def test_objects_carry_numbers_and_the_verdict(tmp_path: Path) -> None:
    *_, scores = beside(like_the_paper("enet"), "miniseg-table3", tmp_path)
    (line,) = (each for each in scores.to_objects() if each["score"] == "dice_slice")
    assert (line["published_value"], line["unit"]) == (75.26, "%")
    assert line["measured"] == pytest.approx(75.0)
    assert line["difference"] == pytest.approx(-0.26)
    assert line["verdict"] == "not reproduced"


def test_an_ablation_prints_no_parameters_and_has_the_whole_network_too(tmp_path: Path) -> None:
    records = [*like_the_paper("miniseg"), *like_the_paper("miniseg-t1-single-branch")]
    records += like_the_paper("enet")
    verdicts, _ = beside(records, "miniseg-table1", tmp_path)
    assert [row.label for row in verdicts.rows] == ["miniseg-t1-single-branch", "miniseg"]
    assert shown(verdicts, "miniseg")["dice_published"] == "75.63"
    assert shown(verdicts, "miniseg-t1-single-branch")["dice_published"] == "71.50"


def test_a_network_of_another_table_is_called_as_the_ablation_calls_it(tmp_path: Path) -> None:
    verdicts, _ = beside(like_the_paper("raiunet"), "chsnet-table4", tmp_path)
    assert shown(verdicts, "raiunet")["method"] == "BU+RIB+HP+SSD"


def test_a_row_whose_every_run_failed_is_passed_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_failure(make_failure("cgnet"))
    _, verdicts, _ = beside([make_record("enet")], "miniseg-table3", tmp_path)
    assert [row.label for row in verdicts.rows] == ["enet"]
