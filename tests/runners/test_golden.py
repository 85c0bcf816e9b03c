"""Golden numbers: who changes what training or scoring computes has to say so by a revision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.metrics import aggregate, score_case
from benchmark.metrics.aggregate import pooled_counts
from benchmark.protocols import Protocol, load_protocol
from runners.evaluate import evaluate
from runners.plan import Resources, make_plan
from runners.train import fit
from tests.factory import make_spec
from tests.runners import known
from tests.runners.toy import CARD, SCALE, ToyNet, toy_bank, toy_protocol
from zoo.selection import select

# The mean loss of each epoch of 12 steps; the same to six digits on one and two threads, without
# vector instructions, and on PyTorch 2.6 and 2.15.
TRAININGS = {
    "batch=4 weight_decay=0.1": [0.623225, 0.283760, 0.239895, 0.213842],
    "batch=5 augment.mode=sizes sizes=1.5,1.0 passes=sequential border_crop=0.5 "
    "border_crop_px=4,2 class_weights=miniseg": [0.629451, 0.252574, 0.160202],
    "batch=5 drop_last=false outputs=sigmoid loss.name=bce-dice aux_weight=0.2": [
        1.175976, 0.906217, 0.710775, 0.602918
    ],
}  # fmt: skip

QUIRKS = "score.size=24 pred_empty=zero-all surface_points=foreground both_empty=perfect"
"""How the released MiniSeg code scores, and the other answer to two empty masks."""

METRICS = {
    "": {
        "tp": 79, "fp": 61, "fn": 115, "tn": 3315, "dice_pooled": 0.473054,
        "miou_pooled": 0.629694, "dice_slice": 0.241356, "specificity_slice": 0.979815,
        "sensitivity_patient": 0.210850, "hausdorff_slice_px": 27.101877,
        "hd95_slice_mm": 31.918756, "assd_patient_mm": 25.646419,
    },
    QUIRKS: {
        "tp": 79, "fp": 61, "fn": 115, "tn": 3315, "dice_pooled": 0.473054,
        "miou_pooled": 0.629694, "dice_slice": 0.393085, "specificity_slice": 0.779815,
        "sensitivity_patient": 0.210850, "hausdorff_slice_px": 13.997753,
        "hd95_slice_mm": 16.487928, "assd_patient_mm": 9.558382,
    },
}  # fmt: skip

EVALUATIONS = {
    "": {
        "tp": 63, "fp": 1112, "fn": 57, "tn": 1136, "dice_slice": 0.093830,
        "hd95_slice_px": 31.443411, "assd_slice_mm": 14.161952,
    },
    QUIRKS: {
        "tp": 44, "fp": 821, "fn": 43, "tn": 820, "dice_slice": 0.087942,
        "hd95_slice_px": 22.688500, "assd_slice_mm": 14.337021,
    },
}  # fmt: skip

IDS = {
    "smoke": "45b5de5b1815d2d305fbe49066fb283bb8d07334a5ce575ad4b2b6ec69fdb3a0",
    "identical": "0179721bf0adb2d9c0130b9a77a187bd730260c31cf4d9df93ca3433068dab4b",
    "miniseg-code": "ff90a020b1c04b0804528cec44b355a6e183f65195ac2b4391091ba40dc01596",
    "chsnet-paper": "fd6cdc3773561fb19fe5fddeab98f3e7bee47fe28b34786157f6d81c484f0ac5",
    "miniseg-paper": "ad37c1b4cdc5725e985665d97f029c57cafe3f42605e1231844eda36a0a6fc49",
}


def agree(found: Mapping[str, object], stored: Mapping[str, object], revision: str) -> None:
    """Compare with what is stored: whole numbers exactly, others as far as CPUs agree."""
    wrong = {
        key: f"stored {value}, found {found.get(key)}"
        for key, value in stored.items()
        if found.get(key) != (value if isinstance(value, int) else pytest.approx(value, rel=1e-3))
    }
    assert not wrong, (
        f"The numbers have changed: {wrong}. If that was meant, raise {revision} in "
        "results/spec.py, so that what is recorded is run again, and store the new numbers here."
    )


# --- training and scoring ----------------------------------------------------------------------


def fixed_network(classes: int) -> ToyNet:
    """Without anything that PyTorch draws, since that differs between its versions."""
    network, numbers = ToyNet(num_classes=classes), np.random.default_rng(1)
    network.body[3] = torch.nn.Identity()
    with torch.no_grad():
        for parameter in network.parameters():
            drawn = numbers.uniform(-0.3, 0.3, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(drawn + (parameter.ndim == 1)))
    return network


@pytest.mark.parametrize("settings", TRAININGS)
def test_training(settings: str) -> None:
    protocol = toy_protocol("max_steps=12", *settings.split())
    network = fixed_network(1 if protocol.input.outputs == "sigmoid" else 2)
    state = fit(network, CARD, toy_bank(), protocol, SCALE, seed=3, num_classes=2)
    assert len(state.curve) == len(TRAININGS[settings])
    stored = dict(enumerate(TRAININGS[settings], start=1))
    agree(
        {f"epoch {epoch}": loss for epoch, loss in enumerate(state.curve, start=1)},
        {f"epoch {epoch}": loss for epoch, loss in stored.items()},
        "TRAINING_REVISION",
    )


def fixed_masks() -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truths: both, one in parts, no prediction, no truth, and neither."""
    truths = np.zeros((5, 24, 30), np.uint8)
    guesses = np.zeros_like(truths)
    truths[0, 4:12, 5:17], guesses[0, 6:15, 3:14] = 1, 1
    truths[0, 0:6, 25:], guesses[0, 2:4, 20:] = 255, 1
    truths[1, 2:9, 2:9], truths[1, 15:20, 20:28], guesses[1, 3:8, 3:8] = 1, 1, 1
    truths[2, 10:13, 10:13] = 1
    guesses[3, 20:22, 1:4] = 1
    return guesses, truths


@pytest.mark.parametrize("settings", METRICS)
def test_metrics(settings: str) -> None:
    rule = load_protocol("smoke", settings.split()).score
    pairs = zip(*fixed_masks(), strict=True)
    rows = [score_case(guess, truth, None, (0.7, 1.4), rule) for guess, truth in pairs]
    scores = aggregate(rows, ["a", "a", "b", "b", "c"], rule)
    found = {key: score.value for key, score in scores.items()}
    agree({**vars(pooled_counts(rows)), **found}, METRICS[settings], "SCORING_REVISION")


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("settings", EVALUATIONS)
def test_evaluation(settings: str, classes: int, tmp_path: Path) -> None:
    dataset = known.slices(tmp_path, spaced=True)
    changes = [f"size={known.SIZE}", "normalise=unit", "batch=2", *settings.split()]
    protocol = load_protocol("smoke", changes)
    # No resized grey value comes near 0.497 * 255, so no rounding decides a pixel.
    network, device = known.Known(classes, centre=0.497), torch.device("cpu")
    found = evaluate(network, known.CARD, dataset, range(3), protocol, known.SCALE, device)
    outcome = found.targets["infection"]
    values = {key: score.value for key, score in outcome.scores.items()}
    agree({**outcome.counts.model_dump(), **values}, EVALUATIONS[settings], "SCORING_REVISION")


# --- the identity of a run ---------------------------------------------------------------------


def id_of(protocol: Protocol) -> str:
    spec = make_spec(
        "miniseg",
        protocol=protocol.name,
        settings=protocol.canonical(),
        training_revision=1,
        scoring_revision=1,
    )
    return spec.id


@pytest.mark.parametrize("name", IDS)
def test_the_id_of_a_run_under_a_shipped_protocol_stays(name: str) -> None:
    assert id_of(load_protocol(name)) == IDS[name], (
        f"Every run that is recorded under {name} now looks missing. A new field of a protocol "
        "must be left out of Protocol.canonical() where it has the value that all had before; "
        "only if the numbers do change, store the new id here."
    )


CHANGES = {
    "identical": "input.size=128 normalise=unit statistics=per-image-average outputs=sigmoid "
    "augment.mode=none zoom=0.9,1.1 hflip=0.1 vflip=0.1 loss.name=bce-dice aux_weight=0.3 "
    "class_weights=miniseg lr=0.002 weight_decay=0 betas=0.8,0.999 power=1 epochs=3 max_steps=7 "
    "optim.batch=6 drop_last=false precision=bf16 channels_last=true compile=true "
    "split.kind=random split.folds=4 split.seed=1 score.size=64 both_empty=perfect "
    "pred_empty=zero-all surface_points=foreground channels=1 optim.name=sgd schedule=constant "
    "early=true balance=sources window=-1000,400",
    "chsnet-paper": "bce=sum dice=image validation=0.2 validation_by=group patience=3 "
    "min_delta=0.1 test_by=all select=last",
    "identical optim.name=sgd": "momentum=0.5 nesterov=true",
    "miniseg-paper": "sizes=0.5,0.75,1,1.25,1.4 passes=sequential train_fraction=0.7 draws=3 "
    "split.seed=1",
    "miniseg-code": "border_crop=0.25 border_crop_px=50,50,16,8",
}
SCIENCE = [(name, change) for name, changes in CHANGES.items() for change in changes.split()]
NEUTRAL = ["keep=none", "checkpoint_every=1 min", "run_folds=2", "seeds=3"]
NEUTRAL += ["out_of_memory=accumulate"]  # of a run that fits; another one says it in its record
ONLY_ONE = {"stop.metric"}
"""Fields with a single possible value."""


def based(name: str, *changes: str) -> Protocol:
    """A shipped protocol by its name, with what stands behind it changed first."""
    shipped, *first = name.split()
    return load_protocol(shipped, [*first, *changes])


def changed(name: str, change: str) -> set[str]:
    """The fields of a protocol that a setting changes."""
    before, after = based(name).model_dump(), based(name, change).model_dump()
    return {
        f"{section}.{field}"
        for section, fields in before.items()
        if isinstance(fields, dict)
        for field, value in fields.items()
        if after[section][field] != value
    }


@pytest.mark.parametrize(("name", "change"), SCIENCE)
def test_what_changes_a_number_changes_the_id(name: str, change: str) -> None:
    assert id_of(based(name, change)) != id_of(based(name))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("identical", change) for change in NEUTRAL),
        # Idle under these protocols.
        ("identical", "sizes=0.5,1.0"),
        ("identical", "border_crop_px=9"),
        ("identical", "train_fraction=0.7"),
        ("identical", "momentum=0.5"),
        ("identical", "bce=sum"),
        ("identical", "dice=image"),
        ("identical", "patience=3"),
        ("identical", "test_by=source"),
        ("identical optim.name=sgd", "betas=0.8,0.9"),
        ("chsnet-paper", "power=1"),
        ("chsnet-paper", "nesterov=true"),
        ("miniseg-paper", "zoom=0.9,1.1"),
        ("miniseg-paper", "split.folds=4"),
        # Said again, in other words.
        ("identical", "lr=0.001"),
        ("identical", "lr=1e-3"),
        ("identical", "batch=5"),
        ("identical", "zoom=[0.5,1.5]"),
        ("miniseg-paper", "sizes=[0.5,0.75,1,1.25,1.5]"),
    ],
)
def test_what_changes_no_number_leaves_the_id(name: str, change: str) -> None:
    assert id_of(based(name, change)) == id_of(based(name))


def test_every_field_of_a_protocol_is_named_above() -> None:
    tested = set().union(*(changed(*pair) for pair in SCIENCE))
    tested |= {field for change in NEUTRAL for field in changed("identical", change)}
    every = {
        f"{section}.{field}"
        for section, fields in load_protocol("identical").model_dump().items()
        if isinstance(fields, dict)
        for field in fields
    }
    assert tested | ONLY_ONE == every
    assert len(SCIENCE) == len(set(SCIENCE))


def test_names_and_descriptions_are_no_part_of_the_id() -> None:
    protocol = load_protocol("smoke")
    renamed = protocol.model_copy(update={"name": "mine", "description": "other words"})
    assert id_of(renamed) == id_of(protocol)


def test_neither_machine_nor_folders_nor_wording_change_the_ids(
    data_root: Path, tmp_path: Path
) -> None:
    protocol = load_protocol("smoke")
    here = Resources(tmp_path / "a", data_root)
    there = Resources(tmp_path / "b", data_root, ("x.py",), device="cuda", threads=7)

    def ids(words: str, resources: Resources) -> list[str]:
        plan = make_plan(select(words), ["phantom"], protocol, resources, folds=[1, 2])
        return [job.spec.id for job in plan.jobs]

    first = ids("miniseg,miniseg-83k", here)
    assert len(set(first)) == 4
    assert ids("miniseg,miniseg-83k", there) == first
    assert ids("miniseg[strict=false],miniseg-83k[aux=true]", here) == first  # their defaults
    assert set(ids("miniseg-83k,miniseg", here)) == set(first)
    assert not set(ids("miniseg[strict=true],miniseg-83k[aux=false]", here)) & set(first)
