"""What is looked at before a cascade, or a run on several classes, is tested on other data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.bank import ImageBank
from benchmark.datasets import PreparedDataset, prepare_dataset
from benchmark.datasets.folds import whole
from benchmark.datasets.inside import Cascade
from results.find import find_run
from results.record import RunRecord
from results.store import Store, load_records
from runners.cascade import lungs_of
from runners.cli import run_cli
from runners.evaluate import predict
from runners.plan import Resources
from runners.predicting.network import build_predictor
from runners.progress import ProgressWriter
from runners.run_one import run_one
from runners.train import InputScale
from runners.trained import Wanted
from runners.transfer import Transfers, plan_transfers
from tests.runners.conftest import TINY
from tests.runners.drawn import KINDS, kinds_folder, phantom_folder
from tests.trained import trained
from zoo.errors import CovbenchError

SMOKE = ["--protocol", "smoke", "--set", "max_steps=2", "--set", "size=32", "--set", "keep=both"]


@pytest.fixture
def clinic(data_root: Path, tmp_path: Path) -> PreparedDataset:
    """A dataset without lungs."""
    source = phantom_folder(tmp_path / "clinic", "clinic")
    return prepare_dataset("folder", source, as_name="clinic", root=data_root)


def cascade(root: Path, *changes: str, **lung: Any) -> RunRecord:
    """A cascade in a store; what is darker than a half is lung."""
    first = trained(root, 0.5, *changes, below=True, **{"task": "lung", **lung})
    needs = (first.spec.id,)
    return trained(root, 0.8, *changes, task="hierarchical", cascade=Cascade(), needs=needs)


def plan(root: Path, data: Path, *names: str, **wanted: Any) -> Transfers:
    return plan_transfers(root, names, Resources(root / "out", data), Wanted(**wanted))


@pytest.mark.parametrize("change", [(), ("score.size=24",)])
def test_lungs_elsewhere_go_through_the_size_that_is_scored_as_those_at_home(
    clinic: PreparedDataset, data_root: Path, tmp_path: Path, change: tuple[str, ...]
) -> None:
    root = tmp_path / "runs"
    source = cascade(root, *change)
    (job,) = plan(root, data_root, "clinic", runs=(source.spec.id,)).plan.jobs
    lungs = lungs_of(job, clinic, whole(clinic.cases, clinic.manifest.groups_known))

    lung = build_predictor(find_run(root, source.spec.needs[0]), torch.device("cpu"))
    bank = ImageBank.of(clinic, 32, range(4), device=torch.device("cpu"))
    side = 24 if change else 40
    scale = InputScale((0.0,) * 3, (1.0,) * 3)
    for one in predict(lung.network, lung.card, bank, [(side, side)] * 4, lung.protocol, scale):
        expected = cv2.resize(one.probability, (40, 40), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(lungs[clinic.cases[one.position].id], expected)


@pytest.mark.usefixtures("clinic")
def test_a_test_on_other_data_computes_in_the_precision_of_its_protocol(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    source = cascade(tmp_path / "runs")
    (job,) = plan(tmp_path / "runs", data_root, "clinic", runs=(source.spec.id,)).plan.jobs
    assert job.protocol.run.precision == "fp32"
    run_one(job, ProgressWriter(job.folder), lambda: False)
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.usefixtures("clinic")
@pytest.mark.parametrize(
    ("lung", "own", "reason"),
    [
        ({"settings": {"unknown": 1}}, {}, "its lung run: its protocol is that of another version"),
        ({"source": "7" * 64}, {}, "its lung run: the network's source changed"),
        ({"keep": False}, {}, "its lung run: no weights were kept"),
        ({"task": "infection"}, {}, "its lung run is not in the store"),
        ({"inner": (1, 3)}, {}, "its lung run is not in the store"),
        ({}, {"needs": ()}, "its lung run is not in the store"),
        ({}, {"cascade": None}, "its record says of a cascade one thing and another"),
        ({}, {"task": "infection"}, "its record says of a cascade one thing and another"),
    ],
)
def test_half_a_cascade_is_left_out_before_anything_is_computed(
    data_root: Path,
    tmp_path: Path,
    lung: dict[str, Any],
    own: dict[str, Any],
    reason: str,
) -> None:
    root = tmp_path / "runs"
    first = trained(root, 0.5, below=True, **{"task": "lung", **lung})
    fields = {"task": "hierarchical", "cascade": Cascade(), "needs": (first.spec.id,), **own}
    record = trained(root, 0.8, seed=3, **fields)
    with pytest.raises(CovbenchError, match=reason):
        plan(root, data_root, "clinic", runs=(record.spec.id,))


def test_ids_of_what_is_no_training_are_told_apart_from_unknown_ones(
    data_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    trained(root, 0.5, task="lung")
    part = trained(root, 0.5, task="lung", inner=(1, 3))
    with pytest.raises(CovbenchError, match="it is itself a test, or a part of a fold"):
        plan(root, data_root, "phantom", runs=(part.spec.id[:12],))


def test_classes_must_have_the_same_names(data_root: Path, tmp_path: Path) -> None:
    root, source = tmp_path / "runs", kinds_folder(tmp_path / "kinds", "k", 4)
    maps: dict[str, dict[str, Any]] = {
        "named": {"classes": KINDS},
        "turned": {"classes": {1: KINDS[2], 2: KINDS[1]}},
        "nameless": {},
    }
    for name, options in maps.items():
        label_map = {0: 0, 1: 1, 2: 2}
        prepare_dataset(
            "folder", source, as_name=name, root=data_root, label_map=label_map, **options
        )
    known = trained(root, 0.5, task="multiclass", kinds=KINDS)
    numbers = trained(root, 0.5, task="multiclass", kinds={1: "class-1", 2: "class-2"}, seed=1)
    found = plan(root, data_root, *maps)
    (job,) = found.plan.jobs
    assert job.spec.trained is not None
    assert (job.spec.trained.run, job.spec.dataset) == (known.spec.id, "named")
    said = "\n".join(found.notes)
    assert "turned has other classes: consolidation and ground glass; the run's: ground" in said
    with pytest.raises(CovbenchError, match="they have no names"):
        plan(root, data_root, "nameless", runs=(numbers.spec.id,))


NETWORK = """

@register_model("{name}")
def build(in_channels, num_classes):
    return Tiny(in_channels, num_classes, {width})
"""


@pytest.mark.usefixtures("clinic")
def test_networks_of_files_are_named_and_their_sources_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {}
    for name, width in (("outliner", 3), ("finder", 4)):
        files[name] = tmp_path / f"{name}_net.py"
        files[name].write_text(TINY + NETWORK.format(name=name, width=width))
    both = ",".join(map(str, files.values()))
    asked = ["run", "--models", f"{both},!outliner", "--task", "hierarchical", *SMOKE]
    asked += ["--inner-folds", "2", "--lung-model", "outliner", "--out", "runs"]
    assert run_cli(asked) == 0
    packed = ["export", "--from", "runs", "--weights", "--sources", "--to", "a.covbench"]
    assert run_cli(packed) == 0
    (source,) = (each for each in load_records("runs") if each.spec.task == "hierarchical")

    # Somebody else has the archive alone.
    def evaluated(store: str, *plugins: str) -> list[str]:
        words = ["evaluate", "--from", store, "--data", "clinic", "--out", "tests"]
        words += ["--runs", source.spec.id, *(w for each in plugins for w in ("--plugin", each))]
        command = [sys.executable, "-c", "from runners.cli import main; main()", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        return [str(done.returncode), *done.stderr.splitlines()]

    code, first, second = evaluated("a.covbench")
    assert code == "1" and "there is no network finder here" in first
    assert "covbench import a.covbench --to FOLDER" in second

    assert run_cli(["import", "a.covbench", "--to", "imported"]) == 0
    _, _, second = evaluated("imported")
    finder = second.rpartition(" ")[2]
    assert finder.startswith("imported") and finder.endswith("finder_net.py")
    _, first, second = evaluated("imported", finder)
    assert "its lung run: there is no network outliner here" in first
    outliner = second.rpartition(" ")[2]
    assert evaluated("imported", finder, outliner)[0] == "0"
    (made,) = load_records("tests")
    folder = Store(Path("tests")).folder(made.spec)
    assert {each.name for each in folder.glob("*.py")} == {"finder_net.py", "outliner_net.py"}

    capsys.readouterr()
    # Predicting with a test is turned back to the run that was trained.
    Image.fromarray(np.zeros((32, 32), np.uint8)).save("a.png")
    asked = ["predict", "--run", made.spec.id, "--from", "tests", "--input", "a.png"]
    assert run_cli([*asked, "--out", "masks"]) == 1
    second = capsys.readouterr().err.splitlines()[1]
    assert f"--run {source.spec.id[:12]}" in second
