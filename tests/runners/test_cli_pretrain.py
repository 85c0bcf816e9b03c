"""`covbench pretrain` as a user gives it: the result, its use, going on, and mistakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from results.files import sha256_file
from results.store import load_records
from runners.cli import run_cli
from runners.pretraining.result import ENCODER, RESULT, read_begun, read_result
from runners.selecting import choose_rows
from tests.runners.photos import photo_folder
from tests.runners.slow import is_alive, wait_until
from zoo.errors import CovbenchError
from zoo.registry import create_model

COMMAND = [sys.executable, "-c", "from runners.cli import main; main()"]

SMALL = [
    word
    for setting in ("size=32", "resize=36", "batch=8", "epochs=2", "warmup_epochs=0", "lr=0.02")
    for word in ("--set", setting)
]

ENCODERS = """
import os, time
import torch
from torch import nn
from covbench import register_model


class Net(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(in_channels, 8, 3, stride=4, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Dropout2d(0.1), nn.Conv2d(8, 8, 3, padding=1),
        )
        self.backbone.register_forward_pre_hook(self.wait)
        self.head = nn.Conv2d(8, num_classes, 1)

    def wait(self, module, inputs):
        if module.training and inputs[0].device.type != "meta":
            time.sleep(float(os.environ.get("PACE", "0")))

    def forward(self, x):
        maps = self.head(self.backbone(x))
        return nn.functional.interpolate(maps, x.shape[2:], mode="bilinear")


@register_model("own", encoder="backbone")
def own(in_channels, num_classes, *, weights=None):
    return Net(in_channels, num_classes)


class Blown(nn.Module):
    def forward(self, x):
        return x * 1e38 * 1e38 if self.training and x.device.type != "meta" else x


@register_model("blown", encoder="backbone")
def blown(in_channels, num_classes, *, weights=None):
    net = Net(in_channels, num_classes)
    net.backbone.append(Blown())
    return net
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo_folder(tmp_path_factory.mktemp("photos") / "small")


@pytest.fixture(scope="module")  # names are taken once a process
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "own_net.py"
    path.write_text(ENCODERS)
    return path


def pretrain(photos: Path, out: Path, *words: object) -> int:
    arguments = ["pretrain", "--data", str(photos), "--out", str(out), "--gpus", "none", *SMALL]
    return run_cli([*arguments, *(str(word) for word in words)])


@pytest.mark.usefixtures("data_root")
def test_from_images_to_a_network_that_starts_from_them(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, runs = tmp_path / "pretrained", tmp_path / "runs"
    assert pretrain(photos, out, "--models", "miniseg") == 0
    shown = capsys.readouterr()
    encoder = out / "miniseg" / ENCODER
    assert "24 images of 3 classes to train on, 12 to validate on" in shown.err
    assert f"covbench run --models miniseg --weights {encoder}" in shown.out
    result = read_result(out / "miniseg")
    assert result is not None
    assert (result.spec.model, result.spec.recipe, result.spec.encoder) == (
        "miniseg", "imagenet", "encoder"
    )  # fmt: skip
    assert (result.epochs, result.steps, result.data.classes) == (2, 6, 3)
    assert (result.data.n_train, result.data.n_val, result.top5) == (24, 12, None)
    assert result.data.mean == (0.485, 0.456, 0.406)
    assert result.files == {ENCODER: sha256_file(encoder)}
    assert len(result.curve) == len(result.top1_curve) == 2 and 0 <= result.top1 <= 1
    assert not list((out / "miniseg").glob("checkpoint-*"))

    # The entries are those of the network's encoder, and a run really begins with them.
    network = create_model("miniseg", weights=str(encoder))
    tensors = load_file(encoder)
    assert all(torch.equal(tensors[k], v) for k, v in network.encoder.state_dict().items())
    smoke = ["--protocol", "smoke", "--set", "max_steps=1", "--set", "keep=both", "--set"]
    words = ["--models", "miniseg", "--weights", str(encoder), "--out", str(runs)]
    assert run_cli(["run", *words, *smoke, "lr=1e-9"]) == 0
    trained = load_file(next(runs.glob("miniseg*/*/weights.safetensors")))
    kernels = [key for key, value in tensors.items() if value.ndim == 4]
    assert kernels
    for key in kernels:
        torch.testing.assert_close(trained[f"encoder.{key}"], tensors[key])

    # What is there is not trained again; another recipe is refused.
    capsys.readouterr()
    assert pretrain(photos, out, "--models", "miniseg", "--json") == 0
    shown = capsys.readouterr()
    assert "nothing is missing" in shown.err
    assert [each["name"] for each in json.loads(shown.out)] == ["miniseg"]
    assert pretrain(photos, out, "--models", "miniseg", "--set", "seed=3") == 1
    told = capsys.readouterr().err.splitlines()[-2:]
    assert "holds another pretraining of miniseg; there it differs in: run.seed=0." in told[0]
    other = photo_folder(tmp_path / "other", 3, 2)
    assert pretrain(other, out, "--models", "miniseg") == 1
    assert "there it differs in: the images." in capsys.readouterr().err
    encoder.write_bytes(b"another")
    assert pretrain(photos, out, "--models", "miniseg") == 1
    assert f"can't be trusted: {ENCODER} is not the file" in capsys.readouterr().err
    encoder.unlink()
    assert pretrain(photos, out, "--models", "miniseg") == 1
    assert f"{ENCODER} is missing" in capsys.readouterr().err


def test_a_signal_stops_it_and_the_same_command_goes_on(
    photos: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--models", f"{own},!blown", "--set", "epochs=6"]
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    driver = subprocess.Popen(
        [*COMMAND, "pretrain", "--data", str(photos), "--out", str(stopped), *SMALL, *words],
        env={**os.environ, "PACE": "0.4", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    folder = stopped / "own"
    wait_until(lambda: bool(list(folder.glob("checkpoint-*.pt"))), "a first epoch")
    below = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait(60) == 130
    wait_until(lambda: not any(map(is_alive, below)), "its workers to end", 20)
    assert list(folder.glob("checkpoint-*.pt")) and not (folder / RESULT).exists()
    begun = read_begun(folder)
    assert begun is not None and begun.model == "own"

    # What was begun belongs to its recipe.
    assert pretrain(photos, stopped, *words, "--set", "lr=0.5") == 1
    assert "has begun another pretraining of own" in capsys.readouterr().err
    assert pretrain(photos, stopped, *words) == 0
    assert pretrain(photos, straight, *words) == 0
    results = [read_result(each / "own") for each in (stopped, straight)]
    assert [result.resumed for result in results if result] == [1, 0]
    assert (folder / ENCODER).read_bytes() == (straight / "own" / ENCODER).read_bytes()
    assert "done    own  top-1" in capsys.readouterr().err
    assert not list(folder.glob("checkpoint-*")) and read_begun(folder) is None


def test_a_failure_is_told_and_tried_again(
    photos: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert pretrain(photos, out, "--models", f"{own},!own") == 2
    told = capsys.readouterr().err.splitlines()
    assert any(line.startswith("failed  blown  diverged: ") for line in told)
    assert "a smaller optim.lr may help" in told[-1]


def test_dry_run_writes_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pretrain(photos, tmp_path / "out", "--models", "miniseg[strict=true]", "--dry-run") == 0
    assert capsys.readouterr().out == "miniseg[strict=true]\n"
    assert not (tmp_path / "out").exists()


def test_long_trainings_on_a_cpu_are_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--models", "miniseg", "--set", "epochs=99999"]
    assert pretrain(photos, tmp_path / "out", *words) == 1
    told = capsys.readouterr().err.splitlines()[-2:]
    assert "on this machine, which has no GPU" in told[0] and "--yes" in told[1]
    assert pretrain(photos, tmp_path / "out", *words, "--dry-run") == 0


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        (["--models", "unet"], "unet names no encoder", "miniseg"),
        (["--models", "minisek"], "Unknown model", "Did you mean miniseg"),
        (["--models", "miniseg", "--set", "epoch=3"], "Unknown recipe key", "epochs"),
        (["--models", "miniseg", "--protocol", "identical"], "Unknown recipe", "imagenet"),
        (["--models", "miniseg", "--data", "nowhere"], "no folder nowhere", "train/CLASS"),
        (["--models", "miniseg[weights=imagenet]"], "begins from random", "Leave weights out"),
        ([], "Which networks?", "--models"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    words: list[str],
    problem: str,
    remedy: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pretrain(photos, tmp_path / "out", *words) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and problem in told[0] and remedy in told[1]
    assert not (tmp_path / "out").exists()


def test_damaged_images_stop_it_before_training(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Path(shutil.copytree(photos, tmp_path / "photos"))
    (mine / "val" / "red" / "red_0.JPEG").write_text("no picture")
    assert pretrain(mine, tmp_path / "out", "--models", "miniseg-83k") == 1
    told = capsys.readouterr().err.splitlines()[-2:]
    assert "1 image of 36 can't be read" in told[0] and "Nothing was trained" in told[1]
    assert not (tmp_path / "out" / "miniseg-83k").exists()


@pytest.mark.usefixtures("data_root")
def test_the_row_of_the_table_without_published_weights_is_not_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [row.label for row in choose_rows(None, "miniseg-table3").rows]
    assert "miniseg[weights=imagenet]" in labels
    out = tmp_path / "runs"
    words = ["--models", "miniseg[weights=imagenet]", "--protocol", "smoke", "--out", str(out)]
    assert run_cli(["run", *words]) == 2
    shown = capsys.readouterr()
    assert "needs weights: Nobody has published ImageNet weights" in shown.err
    assert "miniseg[weights=FILE.safetensors]" in shown.err
    assert load_records(out) == [] and not list(out.rglob("checkpoint-*.pt"))
    assert len(list(out.rglob("failed-*.json"))) == 1


def test_a_damaged_result_is_not_believed(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    for text in ("[]", "{", "{}"):
        (tmp_path / RESULT).write_text(text)
        with pytest.raises(CovbenchError, match="can't be trusted"):
            read_result(tmp_path)
