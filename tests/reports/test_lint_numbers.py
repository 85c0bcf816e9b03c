"""Rules on numbers and files: damaged, edited, impossible."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.protocols import load_protocol
from results.cases import CASES
from results.record import RunRecord
from results.spec import sha256
from results.store import RECORD, Store
from tests.reports.honest import edit, findings, lines_of, only, write_honest

Payload = dict[str, Any]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two networks on one fold."""
    made = Store(tmp_path / "runs")
    write_honest(made, "enet", hits=7)
    return made


def scores(payload: Payload) -> Payload:
    return payload["scores"]["infection"]


def test_a_record_that_was_edited(store: Store) -> None:
    record = write_honest(store)
    path = store.folder(record.spec) / RECORD
    path.write_text(path.read_text().replace('"params": 1000', '"params": 900'))
    found = only(store, "damaged")
    assert (found.severity, found.subject, found.rows) == ("fault", "", ())
    assert found.text == (f"The record {path} is left out: its contents don't match its SHA-256.")
    assert found.rerun == (
        "covbench run --models unet --data phantom --protocol smoke --folds 1 --seeds 0 "
        f"--out {store.root}"
    )


def test_a_record_that_is_no_json_names_no_command(store: Store) -> None:
    path = store.root / "unet" / "somewhere" / RECORD
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert only(store, "damaged").rerun == ""


def test_scores_of_images_that_were_edited(store: Store) -> None:
    record = write_honest(store)
    path = store.folder(record.spec) / CASES
    path.write_text(path.read_text().replace("ok", "OK"))
    found = only(store, "cases")
    assert (found.severity, found.rows) == ("fault", ("unet",))
    assert found.text == (
        f"The per-image scores in {path.parent} are left out: {CASES} doesn't match the SHA-256 "
        "in its record."
    )
    assert found.rerun.endswith("--force")


def test_a_damaged_record_is_told_once(store: Store) -> None:
    record = write_honest(store)
    (store.folder(record.spec) / RECORD).write_text("{")
    assert [each.rule for each in findings(store)] == ["damaged"]


def test_two_records_of_one_run_with_other_numbers(store: Store) -> None:
    record = write_honest(store)
    copy = store.root / "copy"
    copy.mkdir()
    (copy / RECORD).write_text(record.to_text())
    assert findings(store) == ()
    changed = record.model_copy(update={"counts": {}})
    (copy / RECORD).write_text(changed.to_text())
    found = next(each for each in findings(store) if each.rule == "copies")
    assert (found.severity, found.rows) == ("fault", ("unet",))
    assert found.text.startswith("Fold 1 with seed 0 has 2 records whose numbers differ")


def refused(store: Store, change: Callable[[Payload], Any], keep_cases: bool = False) -> str:
    """What is said of a record that was changed, with a SHA-256 that fits.

    By default its per-image scores are taken away, so that the record stands alone.
    """
    record = write_honest(store)
    edit(store, record, change)
    if not keep_cases:
        (store.folder(record.spec) / CASES).unlink()
    (found,) = [each for each in findings(store) if each.rule == "impossible"]
    assert (found.severity, found.subject, found.rows) == ("fault", "phantom-smoke", ("unet",))
    assert found.rerun == (
        "covbench run --models unet --data phantom --protocol smoke --folds 1 --seeds 0 "
        f"--out {store.root} --force"
    )
    prefix = "Fold 1 with seed 0 has numbers that can't be: "
    assert found.text.startswith(prefix)
    return found.text.removeprefix(prefix)


def test_a_dice_that_is_not_of_the_pixel_counts(store: Store) -> None:
    def change(payload: Payload) -> None:
        payload["counts"]["infection"] = {"tp": 6, "fp": 2, "fn": 2, "tn": 590}
        scores(payload)["dice_pooled"]["value"] = 0.8  # 12 / (12 + 4) = 0.75

    said = refused(store, change)
    assert "mIoU (pooled) is" in said
    assert "more" in said


def test_one_pooled_score_that_is_not_of_the_pixel_counts(store: Store) -> None:
    # lines_of(1, 8): 8, 7, 6, 5, 4 of 10 pixels are found, and 0 to 4 are wrong: 30, 10, 20.
    said = refused(store, lambda p: scores(p)["precision_pooled"].update(value=0.8))
    assert said == "Precision (pooled) is 0.8 where its pixel counts give 0.75."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dice_pooled": 0.5, "jaccard_pooled": 0.5}, "Jaccard 0.5 does not belong to Dice 0.5"),
        (
            {"sensitivity_pooled": 0.5, "specificity_pooled": 0.9, "accuracy_pooled": 0.95},
            "accuracy 0.95 is not between sensitivity 0.5 and specificity 0.9",
        ),
        # D / (2 - D) is 1/3 for 0.5: the mean of J is not below it, and not above the mean of D.
        ({"dice_slice": 0.5, "jaccard_slice": 0.3}, "a mean Jaccard (slice) of 0.3 does not go"),
        ({"dice_slice": 0.5, "jaccard_slice": 0.51}, "a mean Jaccard (slice) of 0.51 does not"),
        ({"dice_patient": 0.5, "jaccard_patient": 0.3}, "a mean Jaccard (patient) of 0.3 does"),
        ({"hd95_slice_px": 99.0}, "HD95 (slice, px) is 99, above Hausdorff (slice, px) 14"),
        ({"assd_patient_px": 99.0}, "ASSD (patient, px) is 99, above Hausdorff (patient, px)"),
        ({"specificity_slice": 1.2}, "Specificity (slice) is 1.2, outside 0 to 1"),
        ({"hausdorff_slice_px": -1.0}, "Hausdorff (slice, px) is -1, outside what a distance"),
    ],
)
def test_scores_that_no_images_have(store: Store, changes: dict[str, float], said: str) -> None:
    def change(payload: Payload) -> None:
        payload["counts"] = {}
        for key, value in changes.items():
            scores(payload)[key]["value"] = value

    assert said in refused(store, change)


@pytest.mark.parametrize("jaccard", [1 / 3, 0.4, 0.5])
def test_means_that_images_can_have_pass(store: Store, jaccard: float) -> None:
    record = write_honest(store)

    def change(payload: Payload) -> None:
        for how in ("slice", "patient"):
            scores(payload)[f"dice_{how}"]["value"] = 0.5
            scores(payload)[f"jaccard_{how}"]["value"] = jaccard

    edit(store, record, change)
    (store.folder(record.spec) / CASES).unlink()
    assert [each.rule for each in findings(store)] == ["cases"]


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("dice_slice", {"n": 9}, "Dice (slice) is of 10 images, and 6 were tested"),
        ("dice_pooled", {"n": 5}, "Dice (pooled) is of 5 images, and 6 were tested"),
        ("dice_slice", {"penalised": 6}, "Dice (slice) has more penalised than defined values"),
        ("dice_slice", {"value": None}, "Dice (slice) is undefined with 5 defined values"),
        ("dice_patient", {"n": 4}, "3 and 4 patients in 6 images"),
        ("dice_slice", {"higher_is_better": False}, "Dice (slice) has another unit, direction"),
    ],
)
def test_counts_of_images_that_do_not_add_up(
    store: Store, key: str, change: dict[str, Any], said: str
) -> None:
    assert said in refused(store, lambda payload: scores(payload)[key].update(change))


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("data", {"manifest_hash": "0" * 64}, "it was run on other data than it is recorded for."),
        ("data", {"fold_hash": "0" * 64}, "it was run on another fold than it is recorded for."),
        ("training", {"selection": "best"}, "the weights scored were chosen by 'best', not by"),
        ("data", {"shared_groups": ["p"]}, "its patients are said to be disjoint and to be shared"),
    ],
)
def test_a_record_that_contradicts_itself(
    store: Store, section: str, change: dict[str, Any], said: str
) -> None:
    assert said in refused(store, lambda payload: payload[section].update(change))


def test_a_record_of_no_training_and_no_weights(store: Store) -> None:
    said = refused(store, lambda payload: payload.update(training=None))
    assert said == "it was neither trained nor given weights."


def test_negative_pixel_counts(store: Store) -> None:
    said = refused(store, lambda payload: payload["counts"]["infection"].update(fp=-10))
    assert "it counts fewer than 0 pixels" in said


# --- against the scores of images ---------------------------------------------------------------


def test_a_mean_that_its_images_do_not_have(store: Store) -> None:
    said = refused(
        store, lambda p: scores(p)["sensitivity_slice"].update(value=0.7), keep_cases=True
    )
    # 8, 7, 6, 5 and 4 of 10 true pixels are found
    assert said == f"Sensitivity (slice) is 0.7 where its {CASES} gives 0.6."


def test_numbers_of_images_that_its_images_do_not_have(store: Store) -> None:
    said = refused(
        store, lambda p: scores(p)["sensitivity_slice"].update(penalised=1), keep_cases=True
    )
    assert said == (
        f"Sensitivity (slice) counts other images as defined or penalised than its {CASES}."
    )


def test_pixel_counts_that_are_not_the_sum_of_its_images(store: Store) -> None:
    def change(payload: Payload) -> None:
        # All counts twice over give the same ratios.
        counts = payload["counts"]["infection"]
        counts.update({name: 2 * value for name, value in counts.items()})

    record = write_honest(store)
    edit(store, record, change)
    said = [each.text for each in findings(store) if each.rule == "impossible"]
    assert said == [
        "Fold 1 with seed 0 has numbers that can't be: its pixel counts are not the sum of those "
        f"in its {CASES}."
    ]


def edited_images(store: Store, *changes: tuple[str, str]) -> list[str]:
    """What is said where cases.csv was edited, and the record after it."""
    record = write_honest(store)
    path = store.folder(record.spec) / CASES
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    edit(store, record, lambda payload: payload["files"].update({CASES: sha256(text)}))
    return [each.text for each in findings(store) if each.rule == "impossible"]


def test_an_image_whose_scores_are_not_of_its_counts(store: Store) -> None:
    (said,) = edited_images(store, ("f1p0-0,f1p0,8,0,2,90,ok,0.88", "f1p0-0,f1p0,8,0,2,90,ok,0.98"))
    assert "scores that don't follow from an image's counts (f1p0-0)" in said


def test_an_image_whose_status_is_not_of_its_counts(store: Store) -> None:
    (said,) = edited_images(store, ("90,ok", "90,pred_empty"))
    assert "scores that don't follow from an image's counts (f1p0-0)" in said


def test_an_image_that_is_named_twice(store: Store) -> None:
    (said,) = edited_images(store, ("f1p0-1,f1p0", "f1p0-0,f1p0"))
    assert f"its {CASES} names an image twice" in said


def test_images_that_were_taken_out(store: Store) -> None:
    record = write_honest(store)
    path = store.folder(record.spec) / CASES
    text = "\n".join(path.read_text().splitlines()[:-1]) + "\n"
    path.write_text(text)
    edit(store, record, lambda payload: payload["files"].update({CASES: sha256(text)}))
    (said,) = [each.text for each in findings(store) if each.rule == "impossible"]
    assert f"its {CASES} has 5 images, and 6 were tested" in said


def test_images_without_pixel_counts(store: Store) -> None:
    (said,) = edited_images(store, ("f1p0,8,0,2,90", "f1p0,,0,2,90"))
    assert f"its {CASES} has no pixel counts that can be added up" in said


def test_scores_by_rules_of_another_version_are_not_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = write_honest(store, scoring_revision=99)
    edit(store, record, lambda payload: scores(payload)["sensitivity_slice"].update(value=0.7))
    assert findings(store) == ()


def test_distances_over_other_points_are_not_ordered(tmp_path: Path) -> None:
    """A Hausdorff distance over all foreground may be below percentiles over borders."""
    settings = load_protocol("smoke", ["surface_points=foreground"]).canonical()
    lines = [{**line, "hausdorff_px": line["hausdorff_px"] / 8} for line in lines_of(1, 8)]
    write_honest(Store(tmp_path), lines=lines, settings=settings)
    assert findings(tmp_path) == ()


# --- against the rows beside it -----------------------------------------------------------------


def test_a_row_that_was_scored_on_other_masks(store: Store) -> None:
    write_honest(store, "cgnet")
    lines = lines_of(1, 8)
    lines[0] |= {"fn": 1, "sensitivity": 8 / 9, "dice": 16 / 17, "jaccard": 8 / 9}
    lines[0] |= {"accuracy": 98 / 99}
    write_honest(store, "unet", lines=lines)
    found = only(store, "truth")
    assert (found.severity, found.rows) == ("fault", ("unet",))
    assert found.text.startswith("Fold 1 was scored on other images or masks than in other runs")
    assert "--models unet" in found.rerun


def test_of_two_rows_nobody_knows_which_has_the_other_masks(store: Store) -> None:
    write_honest(store, "unet", lines=lines_of(1, 8)[:5])
    found = only(store, "truth")
    assert found.rows == ()
    assert "--models enet" in found.rerun
    assert "--models unet" in found.rerun


def test_records_are_valid_after_an_edit(store: Store) -> None:
    """What these tests alter has a SHA-256 that fits: nothing else would find it."""
    record = write_honest(store)
    edit(store, record, lambda payload: scores(payload)["dice_slice"].update(value=0.99))
    text = (store.folder(record.spec) / RECORD).read_text()
    assert RunRecord.from_text(text).scores["infection"]["dice_slice"].value == 0.99
    assert json.loads(text)["payload_sha256"] != json.loads(record.to_text())["payload_sha256"]
