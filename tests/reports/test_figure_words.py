from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.metrics import METRICS
from reports.figures.words import basis, cautions, score_label, unit_word
from reports.subject import Subject, read_holdings
from results.store import Store
from tests.stores import write_run

DICE = METRICS["dice_patient"]


def two_networks(root: Path, *, empty: str = "", **data: Any) -> Subject:
    """Two networks on four images; one of them has no score of an image."""
    for model in ("a", "b"):
        images: dict[str, float | None] = {"p-1": 0.5, "p-2": 0.6, "q-1": 0.7, "r-1": 0.8}
        if model == "b" and empty:
            images[empty] = None
        write_run(Store(root), images, model=model, data=data)
    (subject,) = read_holdings(root).subjects
    return subject


def test_what_the_numbers_are_made_of(tmp_path: Path) -> None:
    subject = two_networks(tmp_path)
    assert basis(subject, DICE) == "3 patients with 4 test images (fold 1; seed 0)"
    assert unit_word(subject, DICE) == "patients"
    assert cautions(subject, DICE) == []


def test_unknown_patients_are_named_groups(tmp_path: Path) -> None:
    subject = two_networks(tmp_path, groups_disjoint=False)
    assert basis(subject, DICE).startswith("3 groups (patients where they are known, else single")
    assert unit_word(subject, DICE) == "groups"


def test_left_out_and_shared_patients_are_told(tmp_path: Path) -> None:
    subject = two_networks(tmp_path, empty="q-1", shared_groups=("p", "r"))
    left_out, shared = cautions(subject, DICE)
    assert left_out.startswith("Left out are 1 of 3 patients")
    assert shared.startswith("2 known patients stand on both sides of a fold")


def test_names_of_scores() -> None:
    keys = "dice_patient", "dice_slice", "miou_pooled", "hd95_patient_mm"
    assert [score_label(METRICS[key]) for key in keys] == [
        "Dice (%), mean over patients",
        "Dice (%), mean over images",
        "mIoU (%), all pixels pooled",
        "HD95 (mm), mean over patients",
    ]
