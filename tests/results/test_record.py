from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from benchmark.labels import ALL
from results.record import Failure, RunRecord
from results.spec import canonical_json, sha256
from tests.factory import make_failure, make_record, make_scores


def test_a_record_comes_back_as_it_was() -> None:
    record = make_record("unet", 0.1 + 0.2)
    again = RunRecord.from_text(record.to_text())
    assert again == record
    assert again.scores["infection"]["dice_slice"].value == 0.1 + 0.2


def test_an_undefined_score_comes_back_as_none() -> None:
    again = RunRecord.from_text(make_record(dice=None).to_text())
    assert again.scores["infection"]["dice_slice"].value is None


def test_the_text_says_its_schema_and_its_hash() -> None:
    payload = json.loads(make_record().to_text())
    assert payload["schema"] == 1
    expected = payload.pop("payload_sha256")
    assert sha256(canonical_json(payload)) == expected


def test_a_changed_digit_is_found() -> None:
    text = make_record(dice=0.7).to_text()
    changed = text.replace('"value": 0.7', '"value": 0.9', 1)
    assert changed != text
    with pytest.raises(ValueError, match="SHA-256"):
        RunRecord.from_text(changed)


def test_white_space_is_no_damage() -> None:
    record = make_record()
    assert RunRecord.from_text(json.dumps(json.loads(record.to_text()))) == record


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting"),
        ("[]", "not a JSON object"),
        ("{}", "schema None"),
        ('{"schema": 2}', "schema 2"),
        ('{"schema": 1}', "SHA-256"),
    ],
)
def test_other_texts_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        RunRecord.from_text(text)


def test_half_a_record_is_refused() -> None:
    text = make_record().to_text()
    for length in range(0, len(text), 97):
        with pytest.raises(ValueError):
            RunRecord.from_text(text[:length])


def test_a_whole_but_incomplete_record_is_refused() -> None:
    payload = json.loads(make_record().to_text())
    del payload["payload_sha256"], payload["scores"]
    text = json.dumps({**payload, "payload_sha256": sha256(canonical_json(payload))})
    with pytest.raises(ValueError, match="scores"):
        RunRecord.from_text(text)


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        make_scores(float("nan"))


def test_a_loss_that_is_not_finite_cannot_be_written() -> None:
    record = make_record()
    assert record.training is not None
    training = record.training.model_copy(update={"curve": (float("nan"),)})
    with pytest.raises(ValueError, match="JSON"):
        record.model_copy(update={"training": training}).to_text()


def test_a_failure_comes_back_as_it_was() -> None:
    failure = make_failure(status="killed")
    assert Failure.model_validate_json(failure.model_dump_json()) == failure


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="status"):
        make_failure(status="bored")


def test_what_came_later_is_not_written_where_there_is_none() -> None:
    record = make_record()
    payload = json.loads(record.to_text())
    assert "n_validation" not in payload["data"]
    assert not {"validation_curve", "chosen_epoch"} & set(payload["training"])
    given = json.loads(record.model_copy(update={"training": None}).to_text())
    assert given["training"] is None


def test_a_validation_curve_comes_back() -> None:
    record = make_record(data={"n_validation": 4})
    assert record.training is not None
    found = {"validation_curve": (0.5, 0.25, 0.75), "chosen_epoch": 2}
    changed = record.model_copy(update={"training": record.training.model_copy(update=found)})
    again = RunRecord.from_text(changed.to_text())
    assert again == changed
    assert again.training is not None and again.training.validation_curve == (0.5, 0.25, 0.75)
    assert again.data.n_validation == 4


def test_several_classes_are_named_in_a_block_that_the_hash_covers() -> None:
    names = {1: "ground glass", 2: "consolidation"}
    record = make_record(data={"classes": names})
    scores = dict.fromkeys(("consolidation", "ground glass", ALL), make_scores(0.5))
    # As a database that sorts keys would write it: the hash is the same.
    payload = json.loads(record.model_copy(update={"scores": scores}).to_text())
    again = RunRecord.from_text(json.dumps(payload, sort_keys=True))
    assert next(iter(again.scores)) == ALL
    assert again.data.classes == names
    payload["data"]["classes"]["1"] = "consolidation"
    with pytest.raises(ValueError, match="SHA-256"):
        RunRecord.from_text(json.dumps(payload))
    assert "classes" not in json.loads(make_record().to_text())["data"]


@pytest.mark.parametrize("labels", [(0, 1), (1, 3), (2, 3), range(1, 256)])
def test_classes_that_no_mask_can_hold_are_refused(labels: Sequence[int]) -> None:
    with pytest.raises(ValueError, match="fewer than 255"):
        make_record(data={"classes": {label: f"kind {label}" for label in labels}})
