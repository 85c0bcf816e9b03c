"""`covbench evaluate --from`: trained runs on a dataset that they never saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.datasets import PreparedDataset, open_dataset, prepare_dataset
from benchmark.datasets.inside import Cascade
from benchmark.protocols import load_protocol
from results.cases import CASES
from results.record import RunRecord
from results.spec import RunSpec
from results.store import Store, load_records
from results.untrusted import WEIGHTS
from runners.cli import run_cli
from runners.evaluate import cases_csv, evaluate
from runners.job import Job
from runners.plan import Resources
from runners.train import InputScale
from runners.trained import Wanted
from runners.transfer import Transfers, plan_transfers
from runners.weights import load_weights
from tests.factory import make_record
from tests.runners.drawn import phantom_folder
from zoo.errors import CovbenchError
from zoo.registry import create_model, get_card

SETTINGS = ["--protocol", "smoke", "--set", "max_steps=2", "--set", "size=32"]


@pytest.fixture(scope="module")
def other(data_root: Path) -> PreparedDataset:
    """A second phantom under a name of its own: other seed, one patient of the first's names."""
    options = {"seed": 7, "size": 48, "patients": 2, "slices": 2}
    return prepare_dataset("phantom", as_name="other-phantom", root=data_root, **options)


@pytest.fixture(scope="module")
def strangers(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Four slices of two patients whose names are no patient's of the phantom."""
    source = phantom_folder(tmp_path_factory.mktemp("strangers"), "clinic")
    return prepare_dataset(
        "folder", source, as_name="strangers", root=data_root, groups=r"(clinic\d)"
    )


@pytest.fixture(scope="module")
def trained(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one short training of miniseg that kept its weights."""
    out = tmp_path_factory.mktemp("trained")
    arguments = ["run", "--models", "miniseg", *SETTINGS, "--set", "keep=both", "--out", str(out)]
    assert run_cli(arguments) == 0
    return out


def direct(record: RunRecord, store: Path, dataset: PreparedDataset) -> tuple[str, object]:
    """What the run's weights give on all slices of a dataset, by hand."""
    network = create_model("miniseg", 3, 2)
    load_weights(network, Store(store).folder(record.spec) / WEIGHTS, get_card("miniseg"))
    found = evaluate(
        network,
        get_card("miniseg"),
        dataset,
        range(len(dataset)),
        load_protocol("smoke", ["max_steps=2", "size=32"]),
        InputScale(record.data.mean, record.data.std),
        torch.device("cpu"),
    )
    (outcome,) = found.targets.values()
    return cases_csv(outcome.rows), outcome.scores


def test_a_trained_run_is_tested_on_all_slices_of_another_dataset(
    trained: Path, strangers: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["evaluate", "--from", str(trained), "--data", "strangers", "--out", str(out)]
    assert run_cli([*command, "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    (source,), (made,) = load_records(trained), load_records(out)

    lines, scores = direct(source, trained, strangers)
    assert made.scores["infection"] == scores
    assert (Store(out).folder(made.spec) / CASES).read_text() == lines
    assert shown["scores"]["dice_slice"] == made.scores["infection"]["dice_slice"].value
    assert (shown["trained_on"], shown["dataset"], shown["trained_run"]) == (
        "phantom",
        "strangers",
        source.spec.id,
    )
    spec = made.spec
    assert spec.trained is not None
    assert (spec.trained.run, spec.trained.fold) == (source.spec.id, source.spec.fold)
    assert (spec.fold, spec.seed, spec.row) == (0, source.spec.seed, "miniseg")
    assert spec.weights == source.files[WEIGHTS]
    assert spec.settings == source.spec.settings
    assert spec.data_hash == strangers.manifest_hash != source.spec.data_hash
    assert (made.data.mean, made.data.std) == (source.data.mean, source.data.std)
    assert (made.data.n_train, made.data.n_test) == (source.data.n_train, 4)
    assert made.data.groups_disjoint and made.data.shared_groups == ()
    assert made.training is None
    assert WEIGHTS not in made.files

    # A second call does nothing, and says the same.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("record.json")}
    assert run_cli([*command, "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == [shown]
    assert "1 test: 1 done, 0 to do" in output.err
    assert {path: path.stat().st_mtime_ns for path in out.rglob("record.json")} == before


def plan(store: Path, data: Path, *names: str, **wanted: object) -> Transfers:
    resources = Resources(store, data)
    return plan_transfers(store, names, resources, Wanted(**wanted))  # type: ignore[arg-type]


def only(transfers: Transfers) -> Job:
    (job,) = transfers.plan.jobs
    return job


@pytest.mark.usefixtures("other")
def test_patients_of_both_are_named(trained: Path, data_root: Path) -> None:
    (source,) = load_records(trained)
    phantom = open_dataset("phantom", data_root)
    (fold, *_) = phantom.folds(load_protocol("smoke").split)
    both = {"patient-01", "patient-02"} & {phantom.cases[i].group for i in fold.train}
    assert both and source.spec.fold == 1
    found = plan(trained, data_root, "other-phantom")
    inherited = only(found).inherited
    assert inherited is not None
    assert inherited.shared_groups == tuple(sorted(both))
    assert not inherited.groups_disjoint
    assert any(name in note for note in found.notes for name in both)


@pytest.mark.usefixtures("strangers")
def test_patients_of_data_that_are_not_here_are_not_known(
    trained: Path, data_root: Path, tmp_path: Path
) -> None:
    (data_root / "strangers").rename(tmp_path / "strangers")
    try:
        # The phantom under its name is another one there.
        prepare_dataset("phantom", root=tmp_path, size=32, patients=2)
        inherited = only(plan(trained, tmp_path, "strangers")).inherited
    finally:
        (tmp_path / "strangers").rename(data_root / "strangers")
    assert inherited is not None
    assert not inherited.groups_disjoint and inherited.shared_groups == ()


@pytest.mark.usefixtures("other", "strangers")
def test_what_is_tested_is_chosen(trained: Path, data_root: Path) -> None:
    (source,) = load_records(trained)
    both = plan(trained, data_root, "other-phantom", "strangers", "phantom")
    assert [job.spec.dataset for job in both.plan.jobs] == ["other-phantom", "strangers"]
    assert any("trained on phantom itself" in note for note in both.notes)
    for chosen in ({"folds": (1,)}, {"seeds": (0,)}, {"protocol": "smoke"}):
        assert only(plan(trained, data_root, "strangers", **chosen))
    assert only(plan(trained, data_root, "strangers", runs=(source.spec.id[:12],)))
    for missing in ({"folds": (2,)}, {"seeds": (1,)}, {"protocol": "identical"}):
        with pytest.raises(CovbenchError, match="None of the 1 trained runs") as error:
            plan(trained, data_root, "strangers", **missing)
        assert "miniseg" in error.value.remedy
    with pytest.raises(CovbenchError, match="begins with 'zz'"):
        plan(trained, data_root, "strangers", runs=("zz",))
    with pytest.raises(CovbenchError, match="trained on phantom itself"):
        plan(trained, data_root, "phantom")


def kept(store: Path, trained: Path, **changes: object) -> RunRecord:
    """The trained run as another one, in another store, with its weights."""
    (source,) = load_records(trained)
    spec = RunSpec.model_validate({**source.spec.model_dump(), **changes})
    record = source.model_copy(update={"spec": spec})
    folder = Store(store).folder(spec)
    folder.mkdir(parents=True)
    weights = Store(trained).folder(source.spec) / WEIGHTS
    (folder / WEIGHTS).write_bytes(weights.read_bytes())
    Store(store).write(record)
    return record


@pytest.mark.usefixtures("strangers")
def test_what_cannot_be_tested_is_left_out_with_its_reason(
    trained: Path, data_root: Path, tmp_path: Path
) -> None:
    store = tmp_path / "runs"
    kept(store, trained)
    bare = make_record("unet")
    Store(store).write(bare)
    gone, damaged = kept(store, trained, seed=1), kept(store, trained, seed=2)
    (Store(store).folder(gone.spec) / WEIGHTS).unlink()
    (Store(store).folder(damaged.spec) / WEIGHTS).write_bytes(b"other")
    kept(store, trained, seed=3, source="0" * 64)
    kept(store, trained, seed=4, model="nobodys-net")
    kept(store, trained, seed=5, task="hierarchical")
    kept(store, trained, seed=6, task="hierarchical", cascade=Cascade(), needs=(bare.spec.id,))
    found = plan(store, data_root, "strangers")
    assert only(found).spec.seed == 0
    said = "\n".join(found.notes)
    for reason in (
        "2 runs of miniseg and unet: the network's source changed",
        "seed 1: its weights.safetensors is gone",
        "seed 2: its weights.safetensors is not the one of its record",
        "no network nobodys-net here",
        "seed 5: its record says of a cascade one thing and another",
        "seed 6: its lung run is not in the store",
    ):
        assert reason in said


@pytest.mark.usefixtures("strangers")
def test_a_run_without_weights_is_refused_in_two_lines(
    trained: Path, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = load_records(trained)
    files = {name: sha for name, sha in source.files.items() if name != WEIGHTS}
    store = Store(tmp_path / "runs")
    store.write(source.model_copy(update={"files": files}))
    assert run_cli(["evaluate", "--from", str(store.root), "--data", "strangers"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "miniseg · phantom fold 1 seed 0: no weights were kept" in first
    assert "--set keep=both" in second

    kept(store.root, trained, seed=1)
    assert only(plan(store.root, data_root, "strangers")).spec.seed == 1
    with pytest.raises(CovbenchError, match="no weights were kept"):
        plan(store.root, data_root, "strangers", runs=(source.spec.id,))


def test_a_lung_run_is_tested_on_the_lungs(
    trained: Path, other: PreparedDataset, data_root: Path, tmp_path: Path
) -> None:
    lungs = open_dataset("phantom", data_root, task="lung")
    store = tmp_path / "runs"
    source = kept(store, trained, task="lung", data_hash=lungs.data_hash)
    arguments = ["evaluate", "--from", str(store), "--data", "other-phantom"]
    assert run_cli(arguments) == 0
    made = next(each for each in load_records(store) if each.spec.trained)
    lines, scores = direct(source, store, other.of_task("lung"))
    assert made.scores == {"lung": scores}
    assert (Store(store).folder(made.spec) / CASES).read_text() == lines
    assert made.counts["lung"].tp + made.counts["lung"].fn == sum(
        int(np.count_nonzero(other.lung(place))) for place in range(len(other))
    )
    assert made.spec.data_hash == other.of_task("lung").data_hash


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "What is to be scored?"),
        (["--from", "x", "--weights", "y"], "are two things"),
        (["--from", "x"], "on which dataset"),
        (["--from", "x", "--data", "phantom", "--set", "size=8"], "settings"),
        (["--from", "x", "--data", "phantom"], "x"),
        (["--weights", "x", "--runs", "y"], "--runs goes with trained runs"),
    ],
)
@pytest.mark.usefixtures("data_root")
def test_wrong_use_is_told_in_two_lines(
    words: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(["evaluate", *words]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and problem in lines[0]
    assert list(tmp_path.iterdir()) == []
