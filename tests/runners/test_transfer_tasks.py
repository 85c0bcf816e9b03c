"""`covbench evaluate --from` of cascades, and of runs on several classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.bank import ImageBank
from benchmark.datasets import PreparedDataset, prepare_dataset
from benchmark.datasets.inside import InsideLungs
from benchmark.protocols import load_protocol
from results.record import RunRecord
from results.store import Store, load_records
from results.untrusted import WEIGHTS
from runners.cli import run_cli
from runners.evaluate import evaluate, predict
from runners.plan import Resources
from runners.run_one import run_one
from runners.train import InputScale
from runners.trained import Wanted
from runners.transfer import Transfers, plan_transfers
from runners.weights import load_weights
from tests.runners.drawn import KINDS, kinds_folder, phantom_folder
from zoo.errors import CovbenchError
from zoo.registry import create_model, get_card

CHANGES = ["max_steps=2", "size=32", "keep=both"]
SMOKE = ["--protocol", "smoke", *(word for each in CHANGES for word in ("--set", each))]
CPU = torch.device("cpu")
NETWORK = "shufflenet-miniseg"


def drawn(root: Path, name: str, *, lungs: bool) -> PreparedDataset:
    """Four slices of two patients that no other dataset has."""
    source = phantom_folder(root.parent / f"{name}-source", name, lungs=lungs)
    return prepare_dataset("folder", source, as_name=name, root=root, groups=rf"({name}\d)")


@pytest.fixture(scope="module")
def bare(data_root: Path) -> PreparedDataset:
    """A dataset whose lungs nobody outlined."""
    return drawn(data_root, "bare", lungs=False)


@pytest.fixture(scope="module")
def outlined(data_root: Path) -> PreparedDataset:
    """A dataset with lungs."""
    return drawn(data_root, "outlined", lungs=True)


@pytest.fixture(scope="module")
def cascades(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three cascades of one fold: a hard mask, a channel, and true lungs."""
    out = tmp_path_factory.mktemp("cascades")
    asked = ["run", "--models", NETWORK, "--task", "hierarchical", "--inner-folds", "2", *SMOKE]
    for more in (["--lung-mask", "hard"], ["--lung-mask", "channel"], ["--lungs", "truth"]):
        assert run_cli([*asked, *more, "--out", str(out)]) == 0
    return out


def plan(store: Path, out: Path, data: Path, *names: str, **wanted: object) -> Transfers:
    resources = Resources(out, data)
    return plan_transfers(store, names, resources, Wanted(**wanted))  # type: ignore[arg-type]


def of_cascade(records: list[RunRecord], *, lungs: str, mask: str) -> RunRecord:
    (found,) = (
        each
        for each in records
        if each.spec.cascade and (each.spec.cascade.lungs, each.spec.cascade.mask) == (lungs, mask)
    )
    return found


def network_of(
    store: Path, record: RunRecord, channels: int = 3, classes: int = 2
) -> torch.nn.Module:
    network = create_model(NETWORK, channels, classes)
    load_weights(network, Store(store).folder(record.spec) / WEIGHTS, get_card(NETWORK))
    return network


def by_hand(store: Path, record: RunRecord, dataset: PreparedDataset) -> dict[str, object]:
    """The scores of a cascade's two networks on all slices of a dataset."""
    protocol, card, every = load_protocol("smoke", CHANGES), get_card(NETWORK), range(len(dataset))
    cascade = record.spec.cascade
    assert cascade is not None
    if cascade.lungs == "truth":
        lungs = {case.id: dataset.lung(i) * np.uint8(255) for i, case in enumerate(dataset.cases)}
    else:
        first = next(e for e in load_records(store) if e.spec.id == record.spec.needs[0])
        bank = ImageBank.of(dataset, protocol.input.size, every, device=CPU)
        shapes = [(case.height, case.width) for case in dataset.cases]
        scale = InputScale(first.data.mean, first.data.std)
        found = predict(network_of(store, first), card, bank, shapes, protocol, scale)
        lungs = {dataset.cases[one.position].id: one.probability for one in found}
    inside = InsideLungs(dataset, lungs, cascade)
    network = network_of(store, record, 4 if cascade.mask == "channel" else 3)
    scale = InputScale(record.data.mean, record.data.std)
    outcome = evaluate(network, card, inside, every, protocol, scale, CPU)
    return {name: each.scores for name, each in outcome.targets.items()}


@pytest.mark.parametrize("mask", ["hard", "channel"])
def test_a_cascade_brings_its_lung_network_to_a_dataset_without_lungs(
    cascades: Path, bare: PreparedDataset, tmp_path: Path, mask: str
) -> None:
    source = of_cascade(load_records(cascades), lungs="predicted", mask=mask)
    out = tmp_path / "out"
    command = ["evaluate", "--from", str(cascades), "--data", "bare", "--out", str(out)]
    assert run_cli([*command, "--runs", source.spec.id]) == 0
    (made,) = load_records(out)
    assert made.scores == by_hand(cascades, source, bare)
    assert made.scores["infection"]["inside_lung_pooled"].value is not None
    lung = next(e for e in load_records(cascades) if e.spec.id == source.spec.needs[0])
    assert made.spec.trained is not None
    assert made.spec.trained.lungs == lung.files[WEIGHTS]
    assert (made.spec.row, made.spec.needs) == (source.spec.row, ())
    assert made.cost.params == source.cost.params > lung.cost.params
    assert made.data.n_test == 4


def test_a_cascade_of_true_lungs_is_tested_where_they_are_known(
    cascades: Path, bare: PreparedDataset, outlined: PreparedDataset, data_root: Path
) -> None:
    found = plan(cascades, cascades, data_root, "bare", "outlined")
    both = {(job.spec.dataset, job.spec.row) for job in found.plan.jobs}
    label = f"{NETWORK} (hierarchical, true lungs, 2 inner folds)"
    assert ("outlined", label) in both and ("bare", label) not in both
    reason = "bare has masks for infection, not for lung"
    assert any(label in note and reason in note for note in found.notes)
    # Parts of a fold serve a cascade alone: they are neither tested nor spoken of.
    assert all("part" not in job.spec.title for job in found.plan.jobs)
    assert not any("part" in note for note in found.notes)
    source = of_cascade(load_records(cascades), lungs="truth", mask="hard")
    (job,) = plan(cascades, cascades, data_root, "outlined", runs=(source.spec.id,)).plan.jobs
    assert job.spec.cascade is not None
    assert job.spec.cascade.lung_source == outlined.hash_for("lung") != bare.manifest_hash


def test_weights_of_the_lung_network_that_changed_are_refused(
    cascades: Path, bare: PreparedDataset, data_root: Path, tmp_path: Path
) -> None:
    records = load_records(cascades)
    source = of_cascade(records, lungs="predicted", mask="hard")
    lung = next(each for each in records if each.spec.id == source.spec.needs[0])
    store = Store(tmp_path / "runs")
    for each in (source, lung):
        weights = Store(cascades).folder(each.spec) / WEIGHTS
        store.folder(each.spec).mkdir(parents=True)
        (store.folder(each.spec) / WEIGHTS).write_bytes(weights.read_bytes())
        store.write(each)
    wanted = {"runs": (source.spec.id,)}
    (job,) = plan(store.root, tmp_path / "out", data_root, bare.name, **wanted).plan.jobs
    store.set_aside(lung.spec)
    store.write(lung.model_copy(update={"files": {**lung.files, WEIGHTS: "0" * 64}}))
    with pytest.raises(CovbenchError, match="changed since the test was planned"):
        run_one(job, lambda *_, **__: None, lambda: False)  # type: ignore[arg-type]
    with pytest.raises(CovbenchError, match="its lung run: its weights"):
        plan(store.root, tmp_path / "out", data_root, bare.name, **wanted)


def test_the_matrix_keeps_cascades_apart(
    cascades: Path, outlined: PreparedDataset, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["evaluate", "--from", str(cascades), "--data", outlined.name, "--out", str(out)]
    assert run_cli(command) == 0
    assert run_cli(["report", "--from", str(out), "--to", str(tmp_path / "report")]) == 0
    text = (tmp_path / "report" / "transfer.md").read_text()
    for words in ("", " mask as a channel,", " true lungs,"):
        assert f"{NETWORK} (hierarchical,{words} 2 inner folds)" in text


def kinds(root: Path, name: str, second: str) -> PreparedDataset:
    """Eight slices of four patients with two kinds of lesion."""
    return prepare_dataset(
        "folder",
        kinds_folder(root.parent / f"{name}-source", name, 8, 44),
        as_name=name,
        root=root,
        groups=rf"^({name}\d)_",
        label_map={0: 0, 1: 1, 2: 2},
        classes={**KINDS, 2: second},
    )


def test_several_classes_are_tested_where_they_are_the_same(
    data_root: Path, tmp_path: Path
) -> None:
    kinds(data_root, "clinic", "consolidation")
    there = kinds(data_root, "hospital", "consolidation")
    kinds(data_root, "surgery", "effusion")
    store = tmp_path / "runs"
    asked = ["run", "--models", NETWORK, "--data", "clinic", "--task", "multiclass", *SMOKE]
    asked += ["--set", "split.folds=2"]
    assert run_cli([*asked, "--out", str(store)]) == 0
    (source,) = load_records(store)
    found = plan(store, store, data_root, "hospital", "surgery")
    (job,) = found.plan.jobs
    assert job.spec.dataset == "hospital"
    assert any("surgery has other classes: ground glass and effusion" in n for n in found.notes)
    assert run_cli(["evaluate", "--from", str(store), "--data", "hospital"]) == 0
    made = next(each for each in load_records(store) if each.spec.trained)
    outcome = evaluate(
        network_of(store, source, classes=3),
        get_card(NETWORK),
        there.of_task("multiclass"),
        range(len(there)),
        load_protocol("smoke", [*CHANGES, "split.folds=2"]),
        InputScale(source.data.mean, source.data.std),
        CPU,
    )
    assert made.scores == {name: each.scores for name, each in outcome.targets.items()}
    assert len(made.scores) == 3
