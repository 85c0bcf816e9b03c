from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from benchmark.protocols import load_protocol
from reports.boards.standings import leaderboard_tables
from reports.comparison import Comparison
from reports.tables.shown import show
from reports.tables.table import Row, Table
from results.record import Failure, RunRecord
from tests.factory import make_failure, make_record, make_score, make_scores


def none_here(_comparison: Comparison, _target: str) -> tuple[dict[str, pd.DataFrame], list[str]]:
    return {}, []


def build(records: list[RunRecord], failures: list[Failure] | None = None) -> Table:
    (table,) = leaderboard_tables(records, failures or [], trivial=none_here)
    return table


def row(table: Table, label: str) -> Row:
    return next(row for row in table.rows if row.label == label)


def shown(table: Table, label: str) -> dict[str, str]:
    cells = zip(row(table, label).cells, table.columns, strict=True)
    return {column.key: show(cell, column) for cell, column in cells}


def folds(model: str, dices: list[float | None], **spec: Any) -> list[RunRecord]:
    return [make_record(model, dice, fold=fold, **spec) for fold, dice in enumerate(dices, 1)]


def test_sorted_by_dice_with_ranks() -> None:
    table = build([make_record("low", 0.5), make_record("high", 0.8), make_record("mid", 0.6)])
    assert [(each.rank, each.label) for each in table.rows] == [(1, "high"), (2, "mid"), (3, "low")]


def test_equal_digits_share_a_rank() -> None:
    table = build([make_record("a", 0.70001), make_record("b", 0.7), make_record("c", 0.6)])
    assert [each.rank for each in table.rows] == [1, 1, 3]


def test_mean_and_sample_deviation_over_folds_and_seeds() -> None:
    runs = [(1, 0, 0.5), (1, 1, 0.6), (2, 0, 0.7), (2, 1, 0.8)]
    records = [make_record(dice=dice, fold=fold, seed=seed) for fold, seed, dice in runs]
    table = build(records)
    # Deviations -.15 -.05 .05 .15: sqrt(0.05 / 3) = 0.1291
    assert shown(table, "unet")["dice_slice"] == "65.00 ± 12.91"
    assert shown(table, "unet")["runs"] == "4"
    assert "over 4 runs (folds 1, 2, seeds 0, 1)" in table.caption


def test_a_single_run_has_no_spread() -> None:
    table = build([make_record(dice=0.7)])
    assert shown(table, "unet")["dice_slice"] == "70.00"
    assert "One run a row (fold 1, seed 0): no spread." in table.caption


def test_cost_is_shown() -> None:
    cells = shown(build([make_record(params=472_440)]), "unet")
    assert (cells["params"], cells["macs"]) == ("472.4 K", "2.27 G")


def test_a_row_with_missing_folds_is_flagged_and_unranked_even_if_it_leads() -> None:
    table = build([*folds("whole", [0.5, 0.6, 0.7]), *folds("part", [0.9, 0.95])])
    part = row(table, "part")
    assert table.rows[0] is part
    assert (part.rank, part.status) == (None, "incomplete")
    assert shown(table, "part")["runs"] == "2 of 3"
    assert row(table, "whole").rank == 1
    assert any("fewer than 3 runs are not ranked" in note for note in table.notes)


def test_a_failed_row_is_shown_last() -> None:
    failures = [make_failure("broken", fold=fold) for fold in (1, 2)]
    table = build(folds("fine", [0.5, 0.6]), failures)
    assert [each.label for each in table.rows] == ["fine", "broken"]
    assert row(table, "broken").status == "failed (out of memory)"
    assert shown(table, "broken")["runs"] == "failed (out of memory)"
    assert shown(table, "broken")["dice_slice"] == "–"


def test_a_row_that_failed_in_some_folds_says_so() -> None:
    table = build(
        [*folds("fine", [0.5, 0.6, 0.7]), make_record("shaky", 0.9, fold=1)],
        [make_failure("shaky", "killed", fold=2), make_failure("shaky", "diverged", fold=3)],
    )
    assert shown(table, "shaky")["runs"] == "1 of 3, 2 failed (killed, diverged)"
    assert row(table, "shaky").rank is None


def test_where_everything_failed_there_is_still_a_table() -> None:
    table = build([], [make_failure("a", "needs weights")])
    assert shown(table, "a")["runs"] == "failed (needs weights)"
    assert "failed (needs weights)" in table.to_markdown()


def test_an_undefined_dice_is_not_ranked() -> None:
    table = build([make_record("blank", None), make_record("fine", 0.5)])
    assert [(each.rank, each.label) for each in table.rows] == [(1, "fine"), (None, "blank")]
    assert shown(table, "blank")["dice_slice"] == "–"


def test_a_score_that_is_defined_in_some_runs_is_noted() -> None:
    table = build(folds("unet", [0.5, None, 0.7]))
    assert shown(table, "unet")["dice_slice"] == "60.00 ± 14.14"
    (note,) = (note for note in table.notes if note.startswith("unet"))
    assert "Dice in 2" in note
    assert note.endswith("of 3 runs.")
    assert "HD in" not in note


def test_metrics_that_a_record_lacks_are_missing() -> None:
    table = build([make_record(scores={"dice_slice": make_score("dice_slice", 0.5)})])
    assert shown(table, "unet")["miou_pooled"] == "–"


def test_empty_masks_are_counted_over_runs() -> None:
    def scores(undefined: int, penalised: int) -> dict[str, Any]:
        counts = {"undefined": undefined, "penalised": penalised}
        return {**make_scores(0.5), "dice_slice": make_score("dice_slice", 0.5, **counts)}

    table = build(
        [
            make_record(fold=1, scores=scores(1, 2)),
            make_record(fold=2, scores=scores(3, 4)),
            *folds("other", [0.4, 0.4]),
        ]
    )
    assert (shown(table, "unet")["undefined"], shown(table, "unet")["penalised"]) == ("4", "6")
    assert shown(table, "other")["penalised"] == "0"
    assert "Left out of Dice" in table.caption
    assert "Left out of Dice" not in build([make_record()]).caption


def test_two_protocols_are_two_tables_with_their_changes_in_the_title() -> None:
    longer = load_protocol("smoke", ["epochs=30"])
    tables = leaderboard_tables(
        [make_record(), make_record(settings=longer.canonical())], trivial=none_here
    )
    assert sorted(table.title for table in tables) == [
        "phantom, protocol smoke",
        "phantom, protocol smoke with optim.epochs=30",
    ]
    assert len({table.name for table in tables}) == 2
    assert {table.context["changes"] for table in tables} == {"", "optim.epochs=30"}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (make_record(data={"n_test": 7}), "tested on 7."),
        (make_record(env={"device": "NVIDIA H200"}), "Run on NVIDIA H200."),
        (make_record(), "Run on Some CPU."),
        (make_record(), "MACs: multiply-adds of one image of 3×512×512."),
        (make_record(), "covbench 1.0, commit abcdef0."),
        (make_record(code={"git_dirty": True}), "uncommitted changes in 1 of 1 runs"),
        (make_record(code={"git_commit": None}), "commit unknown"),
        (
            make_record(data={"groups_disjoint": False, "shared_groups": tuple("pqrs")}),
            "Patients on both sides of the fold: 4 known (p, q, r and 1 more; fold 1)",
        ),
        (make_record(data={"groups_disjoint": False}), "patients of some images are not known"),
    ],
)
def test_the_caption_is_written_from_the_records(record: RunRecord, words: str) -> None:
    assert words in build([record]).caption


def test_disjoint_patients_need_no_warning() -> None:
    assert "both sides" not in build([make_record()]).caption


def test_several_versions_are_noted() -> None:
    table = build([make_record(), make_record("enet", code={"version": "2.0"})])
    assert "covbench 1.0, 2.0" in table.caption
    assert any("different versions" in note for note in table.notes)


def test_baselines_stand_at_their_place_without_rank_or_mark() -> None:
    def baselines(
        _comparison: Comparison, _target: str
    ) -> tuple[dict[str, pd.DataFrame], list[str]]:
        line = {"run": "", "fold": 1, "seed": 0, "metric": "dice_slice", "value": 0.6}
        lines = [{**line, "undefined": 1, "penalised": 2}]
        return {"threshold (trivial)": pd.DataFrame(lines)}, ["A remark."]

    records = [make_record("good", 0.8), make_record("bad", 0.3)]
    (table,) = leaderboard_tables(records, trivial=baselines)
    assert [(each.rank, each.label) for each in table.rows] == [
        (1, "good"),
        (None, "threshold (trivial)"),
        (2, "bad"),
    ]
    assert "**60.00**" not in table.to_markdown()
    assert "<u>60.00</u>" not in table.to_markdown()
    assert row(table, "threshold (trivial)").status == "trivial"
    assert shown(table, "threshold (trivial)")["penalised"] == "2"
    assert table.notes[-1] == "A remark."


def test_no_runs_give_no_tables() -> None:
    assert leaderboard_tables([], []) == []
