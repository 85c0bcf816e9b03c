from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.inside import Cascade
from results.spec import RunSpec, canonical_json, sha256
from results.store import Store

FIELDS: dict[str, Any] = {
    "model": "unet",
    "options": {"width": 4, "act": "relu"},
    "dataset": "phantom",
    "data_hash": "d",
    "fold": 1,
    "fold_hash": "f",
    "protocol": "smoke",
    "settings": {"optim": {"lr": 0.001, "epochs": 2}, "run": {"precision": "fp32"}},
    "seed": 0,
    "source": "s",
    "training_revision": 1,
    "scoring_revision": 1,
}


TRAINED: dict[str, Any] = {
    "run": "r",
    "dataset": "ct100",
    "data_hash": "c",
    "fold": 2,
    "fold_hash": "h",
}


def spec(**changes: Any) -> RunSpec:
    return RunSpec(**{**FIELDS, **changes})


def test_the_id_never_changes() -> None:
    # Whoever changes this makes every recorded run look missing.
    assert spec().id == "e89a5a8abb11743002d714121480864cd98606bd00d5123ba4ec6bc47d90f6d7"


@pytest.mark.parametrize("change", [{"dataset": "x"}, {"protocol": "x"}, {"fold": 3}])
def test_names_are_not_part_of_the_id(change: dict[str, Any]) -> None:
    assert spec(**change).id == spec().id


@pytest.mark.parametrize(
    "change",
    [
        {"model": "enet"},
        {"options": {"width": 5, "act": "relu"}},
        {"options": {}},
        {"task": "lung"},
        {"data_hash": "e"},
        {"fold_hash": "g"},
        {"settings": {"optim": {"lr": 0.002, "epochs": 2}, "run": {"precision": "fp32"}}},
        {"seed": 1},
        {"source": "t"},
        {"weights": "w"},
        {"cascade": Cascade()},
        {"cascade": Cascade(dilation=1)},
        {"needs": ("n",)},
        {"inner": (1, 3)},
        {"trained": TRAINED},
        {"training_revision": 2},
        {"scoring_revision": 2},
    ],
)
def test_what_changes_the_number_changes_the_id(change: dict[str, Any]) -> None:
    assert spec(**change).id != spec().id


@pytest.mark.parametrize("change", [{"run": "s"}, {"data_hash": "e"}, {"fold_hash": "g"}])
def test_what_trained_the_weights_changes_the_id(change: dict[str, Any]) -> None:
    assert spec(trained={**TRAINED, **change}).id != spec(trained=TRAINED).id


@pytest.mark.parametrize("change", [{"dataset": "x"}, {"fold": 3}])
def test_names_of_what_was_trained_on_are_not_part_of_the_id(change: dict[str, Any]) -> None:
    assert spec(trained={**TRAINED, **change}).id == spec(trained=TRAINED).id


def test_what_earlier_versions_lack_is_not_written_where_it_is_not_used() -> None:
    assert "trained" not in spec().model_dump()
    assert "trained" not in spec().model_dump_json()
    assert spec(trained=TRAINED).model_dump()["trained"] == TRAINED
    again = RunSpec.model_validate_json(spec(trained=TRAINED).model_dump_json())
    assert again == spec(trained=TRAINED)
    assert again.id == spec(trained=TRAINED).id


def test_a_run_on_another_dataset_is_called_by_both() -> None:
    made = spec(trained=TRAINED, options={}, weights="0123456789", fold=0)
    assert made.row == "unet"
    assert made.title == "unet · ct100 fold 2 on phantom seed 0"
    assert made.folder == f"unet/ct100-fold2-on-phantom-seed0-{made.id[:12]}"


def test_every_field_is_covered_by_the_two_tests_above() -> None:
    tested = {"dataset", "protocol", "fold", "model", "options", "task", "data_hash", "fold_hash"}
    tested |= {"settings", "seed", "source", "weights", "training_revision", "scoring_revision"}
    tested |= {"cascade", "needs", "inner", "trained"}
    assert set(RunSpec.model_fields) == tested


def test_the_order_of_keys_does_not_matter() -> None:
    turned = {"run": {"precision": "fp32"}, "optim": {"epochs": 2, "lr": 0.001}}
    assert spec(settings=turned, options={"act": "relu", "width": 4}).id == spec().id


def test_a_changed_copy_has_an_id_of_its_own() -> None:
    first = spec()
    assert first.id != first.model_copy(update={"seed": 7}).id


def test_json_gives_the_same_spec_back() -> None:
    again = RunSpec.model_validate_json(spec().model_dump_json())
    assert again == spec()
    assert again.id == spec().id


def test_types_of_options_survive_json() -> None:
    options: dict[str, Any] = {"a": True, "b": 1, "c": 1.5, "d": "1"}
    again = RunSpec.model_validate_json(spec(options=options).model_dump_json())
    assert [type(value) for value in again.options.values()] == [bool, int, float, str]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_lacks_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"lr": value})


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="extra"):
        spec(gpu=0)


def test_canonical_json_is_one_text() -> None:
    assert canonical_json({"b": 1, "a": ["é", None]}) == '{"a":["\\u00e9",null],"b":1}'
    assert sha256("é") == sha256("é".encode())


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"options": {}}, "unet"),
        ({"options": {"strict": True, "n": 3}}, "unet[n=3,strict=true]"),
        ({"options": {}, "task": "lung"}, "unet (lung)"),
        ({"options": {}, "weights": "0123456789"}, "unet (weights 01234567)"),
    ],
)
def test_row_labels(changes: dict[str, Any], label: str) -> None:
    assert spec(**changes).row == label


@given(model=st.text(max_size=100), dataset=st.text(max_size=60))
def test_folders_stay_in_the_store(model: str, dataset: str) -> None:
    made = spec(model=model, dataset=dataset, options={})
    root = Path("/store")
    folder = Store(root).folder(made)
    assert folder.parent.parent == root
    assert ".." not in folder.parts
    assert folder.name.endswith(made.id[:12])


def test_different_runs_with_similar_names_have_different_folders() -> None:
    assert spec(model="a b").folder != spec(model="a-b").folder


def test_a_cascade_names_its_row_and_its_truth() -> None:
    plain = spec(task="hierarchical", cascade=Cascade(), needs=("n",))
    assert plain.row.endswith("(hierarchical)")
    assert plain.truth == spec().truth == "infection"
    oracle = spec(task="hierarchical", cascade=Cascade(lungs="truth"))
    assert oracle.row.endswith("(hierarchical, true lungs)")
    assert spec(task="lung").truth == "lung"


def test_the_parts_of_a_fold_have_folders_of_their_own() -> None:
    lung = spec(task="lung", inner=(2, 3))
    assert "fold 1 part 2 of 3" in lung.title
    assert "-fold1-part2of3-seed0-" in lung.folder


def test_a_part_counts_from_one() -> None:
    with pytest.raises(ValueError, match="inner"):
        spec(inner=(0, 0))
