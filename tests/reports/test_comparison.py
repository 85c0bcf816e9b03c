from __future__ import annotations

from benchmark.protocols import load_protocol
from reports.comparison import compare
from tests.factory import SMOKE, make_failure, make_record


def test_data_settings_task_and_revisions_separate() -> None:
    longer = load_protocol("smoke", ["epochs=30"])
    records = [
        make_record(),
        make_record(data_hash="e" * 64),
        make_record(settings=longer.canonical()),
        make_record(task="lung"),
        make_record(training_revision=99),
        make_record(scoring_revision=99),
    ]
    assert [len(each.records) for each in compare(records)] == [1] * 6


def test_names_do_not_separate() -> None:
    records = [make_record(), make_record("enet", dataset="copy", protocol="mine")]
    (found,) = compare(records)
    assert [entry.label for entry in found.entries] == ["enet", "unet"]


def test_changes_of_the_protocol_are_named() -> None:
    longer = load_protocol("smoke", ["epochs=30", "lr=0.01"])
    (found,) = compare([make_record(settings=longer.canonical())])
    assert found.changes == ["optim.lr=0.01", "optim.epochs=30"]
    assert found.protocol is not None
    assert found.protocol.optim == longer.optim


def test_settings_of_another_version_have_no_protocol() -> None:
    (found,) = compare([make_record(settings={"optim": {"sharpness": 3}})])
    assert found.protocol is None
    assert found.changes == []


def test_copies_of_a_record_count_once() -> None:
    (found,) = compare([make_record(), make_record()])
    assert len(found.records) == 1


def test_a_failure_of_a_recorded_run_does_not_count() -> None:
    (found,) = compare([make_record("unet")], [make_failure("unet"), make_failure("enet")])
    assert [(entry.label, len(entry.failures)) for entry in found.entries] == [
        ("enet", 1),
        ("unet", 0),
    ]


def test_one_label_with_two_sources_is_two_rows() -> None:
    (found,) = compare([make_record(), make_record(source="6" * 64), make_record("enet")])
    labels = [entry.label for entry in found.entries]
    assert labels[0] == "enet"
    assert len(labels) == 3
    assert all(label.startswith("unet (variant ") for label in labels[1:])


def test_wanted_is_every_fold_and_seed_of_any_row() -> None:
    records = [make_record(fold=1), make_record(fold=2), make_record("enet", fold=1, seed=4)]
    (found,) = compare(records, [make_failure("enet", fold=3)])
    assert [(fold, seed) for fold, _, seed in found.wanted] == [(1, 0), (1, 4), (2, 0), (3, 0)]


def test_targets_come_from_the_records() -> None:
    (done,) = compare([make_record()])
    (failed,) = compare([], [make_failure(task="lung")])
    assert done.targets == ["infection"]
    assert failed.targets == ["lung"]


def test_idle_settings_do_not_matter_to_the_protocol() -> None:
    (found,) = compare([make_record()])
    assert found.protocol is not None
    assert found.protocol.score == SMOKE.score
