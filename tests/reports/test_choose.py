from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.choosing.choice import choice_objects, choice_table, left_out_words
from reports.choosing.choose import Choice, by_named, choose
from reports.choosing.limits import amount, limits_of
from reports.subject import Subject, one_subject, read_holdings
from reports.tables.shown import show
from reports.tables.table import Table
from results.machines import MachineProfile
from results.store import Store
from tests.factory import make_failure, make_record, make_scores
from tests.reports.profiles import make_network, make_profile
from tests.stores import write_run
from zoo.errors import CovbenchError

# Parameters and Dice; all have the MACs of the factory. c and d are dominated: by b, and by a.
NETWORKS = {"a": (300, 0.9), "b": (100, 0.7), "c": (200, 0.6), "d": (400, 0.9), "e": (50, 0.2)}
PROFILE = make_profile(
    make_network("a", 300, 2_000_000, 10.0),
    make_network("b", 100, 2_000_000, 4.0),
    make_network("c", 200, 2_000_000, 2.0),
    make_network("d", 400, 2_000_000, 20.0),
)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    """Five networks of one run each, scored on six patients."""
    store = Store(tmp_path)
    for model, (params, dice) in NETWORKS.items():
        own = {f"p{n}-1": dice + n / 1000 for n in range(6)}
        scores = make_scores(dice + 0.0025, hd95_slice_px=100 * (1 - dice))
        write_run(store, own, model=model, params=params, scores=scores)
    (found,) = read_holdings(tmp_path).subjects
    return found


def chosen(
    subject: Subject, by: str = "dice", profile: MachineProfile | None = None, **given: str
) -> Choice:
    limits = limits_of({f"--{name.replace('_', '-')}": text for name, text in given.items()})
    return choose(subject, by_named(by), limits, profile)


def column(table: Table, key: str) -> dict[str, str]:
    place = [each.key for each in table.columns].index(key)
    return {row.label: show(row.cells[place], table.columns[place]) for row in table.rows}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1M", 1e6),
        ("472.44K", 472_440),
        ("2.27G", 2.27e9),
        ("1.5t", 1.5e12),
        ("100", 100),
        (" 0.5 M", 5e5),
        ("1e6", 1e6),
        (".25", 0.25),
    ],
)
def test_amounts_as_tables_print_them(text: str, value: float) -> None:
    assert amount(text, "--max-params") == value


@pytest.mark.parametrize("text", ["", "0", "-1M", "1Q", "1,5M", "M", "nan", "inf", "1M2", "0K"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(CovbenchError, match=r"--max-macs .* is no number above 0") as error:
        amount(text, "--max-macs")
    assert "472.44K" in error.value.remedy


def test_limits_that_are_not_given_are_none() -> None:
    assert limits_of({"--max-params": None, "--min-fps": None}) == []
    (limit,) = limits_of({"--max-params": "1M", "--min-fps": None})
    assert (limit.field, limit.value, limit.words) == ("params", 1e6, "at most 1M parameters")


def test_scores_by_name() -> None:
    assert by_named("dice").key == "dice_patient"
    assert by_named("dice_slice").key == "dice_slice"
    assert by_named("miou").key == by_named("miou_pooled").key == "miou_pooled"
    assert by_named("dice_pooled").key == "dice_pooled"
    with pytest.raises(CovbenchError, match="Unknown metric 'dise'"):
        by_named("dise")


def test_without_limits_all_are_sorted(subject: Subject) -> None:
    choice = chosen(subject)
    assert [each.row for each in choice.chosen] == ["a", "d", "b", "c", "e"]
    table = choice_table(choice)
    assert [row.rank for row in table.rows] == [1, 1, 3, 4, 5]
    assert choice.on_front == {"a", "b", "e"}
    assert column(table, "front") == {"a": "front", "d": "–", "b": "front", "c": "–", "e": "front"}
    assert column(table, "dice_patient")["e"].startswith("20.25 [")
    assert column(table, "rank_of_all")["b"] == "3 [3, 3]"
    assert "no limit was given" in table.caption
    assert "Left out" not in table.caption


def test_limits_are_inclusive_and_say_whom_they_leave_out(subject: Subject) -> None:
    choice = chosen(subject, max_params="200", max_macs="2.27G")
    assert [each.row for each in choice.chosen] == ["b", "c", "e"]
    assert {each.row: each.fails for each in choice.left_out} == {
        "a": ("--max-params",),
        "d": ("--max-params",),
    }
    assert left_out_words(choice) == "2 by --max-params"
    table = choice_table(choice)
    assert "3 of 5 networks have at most 200 parameters and at most 2.27G MACs." in table.caption
    assert "Left out: 2 by --max-params." in table.caption
    # What it stands at among all is not what it stands at among these.
    assert [row.rank for row in table.rows] == [1, 2, 3]
    assert column(table, "rank_of_all")["e"] == "5 [5, 5]"


def test_speed_comes_from_a_profile(subject: Subject) -> None:
    choice = chosen(subject, profile=PROFILE, max_params="300", min_fps="100")
    assert [each.row for each in choice.chosen] == ["a", "b", "c"]
    # 50 images a second; and never timed.
    assert {each.row: each.fails for each in choice.left_out} == {
        "d": ("--max-params", "--min-fps"),
        "e": ("without a measured fps",),
    }
    words = "1 by --max-params, 1 by --min-fps, 1 without a measured fps (some for several reasons)"
    assert left_out_words(choice) == words
    assert choice.on_front == {"a", "b", "c"}  # c is the fastest
    table = choice_table(choice)
    assert column(table, "latency_ms") == {"a": "10.00", "b": "4.00", "c": "2.00"}
    assert column(table, "fps")["b"] == "250"
    assert any("some-cpu-1-thread" in note for note in table.notes)
    (slow,) = (e for e in chosen(subject, profile=PROFILE, max_latency_ms="3").chosen)
    assert slow.row == "c"


def test_speed_is_not_taken_from_another_network_of_that_name(subject: Subject) -> None:
    changed = make_profile(make_network("a", 600, 2_000_000, 10.0))
    choice = chosen(subject, profile=changed, min_fps="1")
    assert choice.chosen == ()
    assert left_out_words(choice) == "5 without a measured fps"
    assert "None could be compared" in choice_table(choice).caption


def test_weights_change_no_speed(tmp_path: Path) -> None:
    Store(tmp_path).write(make_record("a", options={"weights": "imagenet"}, params=300))
    (subject,) = read_holdings(tmp_path).subjects
    (found,) = chosen(subject, by="dice_slice", profile=PROFILE, min_fps="1").chosen
    assert (found.row, found.numbers["fps"]) == ("a[weights=imagenet]", 100.0)
    Store(tmp_path).write(make_record("a", options={"strict": True}, params=300))
    (subject,) = read_holdings(tmp_path).subjects
    choice = chosen(subject, by="dice_slice", profile=PROFILE, min_fps="1")
    assert [each.row for each in choice.left_out] == ["a[strict=true]"]


def test_doubtful_timings_are_named(subject: Subject) -> None:
    from tests.reports.profiles import make_timing

    shaky = make_profile(
        make_network("a", 300, timings=(make_timing(10.0, flags=("unstable",)),)),
        make_network("b", 100, 2_000_000, 10.0),
    )
    table = choice_table(chosen(subject, profile=shaky, min_fps="1"))
    assert "Timings to be doubted: a (unstable)." in table.notes


def test_speed_without_a_profile_is_refused(subject: Subject) -> None:
    with pytest.raises(CovbenchError, match="--min-fps needs measured speeds") as error:
        chosen(subject, min_fps="100")
    assert "covbench profile" in error.value.remedy


def test_none_meets_the_limits(subject: Subject) -> None:
    choice = chosen(subject, max_params="40", max_macs="1G")
    table = choice_table(choice)
    assert table.rows == ()
    # 50 parameters are 1.25 times 40, but 2.27 G MACs are 2.27 times 1 G.
    assert "None meets all limits; nearest: " in table.caption
    assert "e (1.25 times --max-params, 2.27 times --max-macs)" in table.caption
    assert "| Model" in table.to_markdown()
    nearest = choice_table(chosen(subject, max_params="40")).caption
    assert "nearest: e (1.25 times --max-params); b (2.5 times" in nearest
    slow = choice_table(chosen(subject, profile=PROFILE, min_fps="1000")).caption
    assert "nearest: c (0.5 times --min-fps); b (0.25 times" in slow


def test_a_lower_distance_is_better(subject: Subject) -> None:
    choice = chosen(subject, by="hd95_slice_px", max_params="300")
    assert [each.row for each in choice.chosen] == ["a", "b", "c", "e"]
    assert choice.on_front == {"a", "b", "e"}
    assert choice_table(choice).columns[0].head == "HD95 ↓ (px)"


def test_rows_that_miss_runs_stand_last_without_a_rank(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for fold in (1, 2):
        store.write(make_record("a", 0.5, fold=fold))
    store.write(make_record("b", 0.9, fold=1))
    store.write_failure(make_failure("c"))
    (subject,) = read_holdings(tmp_path).subjects
    choice = chosen(subject, by="dice_slice")
    table = choice_table(choice)
    assert [(row.label, row.rank, row.status) for row in table.rows] == [
        ("a", 1, "done"),
        ("b", None, "incomplete"),
    ]
    assert choice.on_front == {"a"}
    assert left_out_words(choice) == "1 without a finished run"
    assert "no per-image scores" in table.caption
    assert any("miss runs" in note for note in table.notes)


def test_objects_hold_the_chosen_and_those_left_out(subject: Subject) -> None:
    found = choice_objects(chosen(subject, profile=PROFILE, max_params="100"))
    by_name: dict[str, dict[str, Any]] = {each["name"]: each for each in found}
    assert [each["name"] for each in found] == ["b", "e", "c", "a", "d"]
    b, d = by_name["b"], by_name["d"]
    assert (b["rank"], b["status"], b["front"], b["fails"]) == (1, "done", True, [])
    assert (b["params"], b["macs"], b["fps"]) == (100, 2_270_000_000, 250.0)
    assert b["score"] == pytest.approx(0.7025)
    assert b["low"] < b["score"] < b["high"]
    assert (b["by"], b["machine"]) == ("dice_patient", "some-cpu-1-thread")
    assert (d["rank"], d["status"], d["fails"]) == (None, "left out", ["--max-params"])
    assert (d["rank_of_all"], d["rank_of_all_low"]) == (1, 1)
    assert by_name["e"]["fps"] is None


def test_no_run_has_the_score(subject: Subject) -> None:
    with pytest.raises(CovbenchError, match="No run on phantom, smoke has a hd95_patient_mm"):
        chosen(subject, by="hd95_mm")


def test_which_comparison_is_meant(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(CovbenchError, match="no finished runs"):
        one_subject(read_holdings(tmp_path).subjects, tmp_path, None, None, None)
    store.write(make_record("a"))
    store.write(make_record("a", dataset="other", data_hash="e" * 64))
    store.write(make_record("a", protocol="mine", settings={"input": {"size": 3}}))
    subjects = read_holdings(tmp_path).subjects
    with pytest.raises(CovbenchError, match="several comparisons") as error:
        one_subject(subjects, tmp_path, None, None, None)
    assert "other, smoke" in error.value.problem
    assert one_subject(subjects, tmp_path, "other", None, None).comparison.spec.dataset == "other"
    assert (
        one_subject(subjects, tmp_path, "phantom", "mine", None).comparison.spec.protocol == "mine"
    )
    with pytest.raises(CovbenchError, match="Unknown dataset 'othr'"):
        one_subject(subjects, tmp_path, "othr", None, None)
    with pytest.raises(CovbenchError, match="Unknown protocol 'smok'"):
        one_subject(subjects, tmp_path, "phantom", "smok", None)


def test_a_store_of_cascades_is_of_the_infection_unless_lungs_are_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(make_record("a"))
    store.write(make_record("a", task="lung", data_hash="e" * 64))
    subjects = read_holdings(tmp_path).subjects

    def truth(task: str | None) -> str:
        return one_subject(subjects, tmp_path, None, None, task).comparison.spec.truth

    assert truth(None) == truth("infection") == truth("hierarchical") == "infection"
    assert truth("lung") == "lung"
    with pytest.raises(CovbenchError, match="Unknown task 'lungs'"):
        truth("lungs")
