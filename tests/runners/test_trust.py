"""The same run twice gives the same numbers, and a store holds no secret."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.losses import make_loss
from benchmark.protocols import load_protocol
from results.provenance import VARIABLES, environment_variables
from results.store import Store, load_records
from runners.cli import run_cli
from runners.determinism import (
    operators_without,
    refuse_operators_without,
    set_seeds,
    use_deterministic,
)
from tests.runners.conftest import TINY
from tests.runners.toy import CARD, toy_model
from zoo.errors import CovbenchError

LOSS = make_loss(load_protocol("identical").loss)

DRAWS = """
import random
import numpy as np


@register_model("draws-at-birth")
def draws(in_channels, num_classes):
    network = Tiny(in_channels, num_classes)
    if next(network.parameters()).device.type != "meta":
        with open(NOTE, "a") as note:
            note.write(f"{random.random()} {np.random.rand()} {torch.rand(()).item()}\\n")
    return network
"""


@pytest.fixture
def deterministic() -> Iterator[None]:
    before = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    use_deterministic()
    yield
    torch.use_deterministic_algorithms(False)
    if before is None:
        del os.environ["CUBLAS_WORKSPACE_CONFIG"]


def test_every_generator_is_seeded() -> None:
    def draw(seed: int) -> tuple[float, float, float]:
        set_seeds(seed)
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draw(3) == draw(3)
    assert all(one != other for one, other in zip(draw(3), draw(4), strict=True))
    assert draw(2**40) == draw(2**40)  # NumPy takes 32 bits


def test_a_run_seeds_python_numpy_and_torch(tmp_path: Path, data_root: Path) -> None:
    nets, note = tmp_path / "drawing_nets.py", tmp_path / "note"
    nets.write_text(TINY + DRAWS.replace("NOTE", repr(str(note))))
    arguments = ["run", "--models", str(nets), "--protocol", "smoke", "--set", "max_steps=1"]
    arguments += ["--jobs", "1", "--seeds", "7"]
    for name in ("one", "other"):
        assert run_cli([*arguments, "--out", str(tmp_path / name)]) == 0
    set_seeds(7)
    expected_python, expected_numpy = random.random(), float(np.random.rand())
    drawn = {tuple(line.split()) for line in note.read_text().splitlines()}
    from_runs = [line for line in drawn if float(line[0]) == expected_python]
    assert [float(numpy) for _, numpy, _ in from_runs] == [expected_numpy]


class Net(nn.Module):
    """One convolution, and something that a test asks about."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Conv2d(1, 4, 3, padding=1), act, nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.last(self.act(self.first(x))), x.shape[-2:])


class Bicubic(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bicubic")


class Bilinear(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear")


class LooksAtValues(nn.Module):
    """Can't be traced without real numbers."""

    def forward(self, x: Tensor) -> Tensor:
        scale = 1.0 if float(x.detach().mean()) > 0 else 2.0
        return F.pad(scale * x, (1, 1, 1, 1), mode="reflect")


@pytest.mark.parametrize(
    ("act", "names"),
    [
        (nn.ReLU(), []),
        (nn.MaxPool2d(2), []),
        (nn.AdaptiveAvgPool2d(1), []),  # a plain mean
        (nn.AdaptiveAvgPool2d(3), ["gradient of AdaptiveAvgPool2d"]),
        (nn.ReflectionPad2d(1), ["gradient of ReflectionPad2d"]),
        (Bicubic(), ["gradient of interpolate (bicubic)"]),
        (Bilinear(), []),
        (LooksAtValues(), ["gradient of ReflectionPad2d"]),
    ],
)
@pytest.mark.usefixtures("deterministic")
def test_operators_without_a_deterministic_form_are_named(act: nn.Module, names: list[str]) -> None:
    assert operators_without(Net(act), CARD, LOSS, 1, 32) == names


@pytest.mark.usefixtures("deterministic")
def test_naming_them_changes_nothing_of_the_network_nor_the_random_states() -> None:
    model = toy_model().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert operators_without(model, CARD, LOSS, 1, 32) == []
    assert torch.equal(torch.rand(3), expected)
    assert not model.training
    assert all(each.grad is None for each in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_loss_that_is_summed_up_in_any_order_is_named() -> None:
    loss = lambda outputs, target: F.cross_entropy(outputs, target)  # noqa: E731
    assert operators_without(Net(nn.ReLU()), CARD, loss, 1, 32) == ["NLLLoss"]


def test_a_training_on_a_gpu_is_refused_with_their_names() -> None:
    refuse_operators_without([], "unet")
    with pytest.raises(CovbenchError, match="gradient of AdaptiveAvgPool2d"):
        refuse_operators_without(["gradient of AdaptiveAvgPool2d"], "unet")


def test_on_a_cpu_the_numbers_are_the_same_and_the_log_says_so(
    pair: Path, tmp_path: Path, data_root: Path
) -> None:
    arguments = ["run", "--models", f"{pair},!*02", *("--protocol", "smoke"), "--jobs", "1"]
    for name, more in (("plain", []), ("strict", ["--deterministic"])):
        assert run_cli([*arguments, "--out", str(tmp_path / name), *more]) == 0
    (plain,), (strict,) = load_records(tmp_path / "plain"), load_records(tmp_path / "strict")
    assert plain.spec.id == strict.spec.id
    assert plain.scores == strict.scores
    log = Store(tmp_path / "strict").folder(strict.spec) / "log.txt"
    assert "every operator of a step is deterministic" in log.read_text()
    assert strict.env.variables["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_only_variables_of_the_list_that_look_plain_are_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "/home/jane/secret")
    monkeypatch.setenv("API_TOKEN", "3")
    assert environment_variables() == {"OMP_NUM_THREADS": "3"}


def test_a_secret_in_the_environment_is_nowhere_in_a_store(
    misbehaving: Path, tmp_path: Path, data_root: Path
) -> None:
    secret = "hunter2-do-not-tell"
    out = tmp_path / "runs"
    command = [sys.executable, "-c", "from runners.cli import main; main()", "run"]
    chosen = f"{misbehaving},!is-killed,!exits,!overflows"
    settings = ["--protocol", "smoke", "--set", "max_steps=2", "--log", "tensorboard,mlflow"]
    ended = subprocess.run(
        [*command, "--models", chosen, "--out", str(out), *settings],
        env={
            **os.environ,
            "COVBENCH_DATA": str(data_root),
            "AWS_SECRET_ACCESS_KEY": secret,
            "WANDB_API_KEY": secret,
            "MLFLOW_TRACKING_PASSWORD": secret,
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2, ended.stderr  # one trains well, others fail
    (record,) = load_records(out)
    assert record.env.variables["OMP_NUM_THREADS"] == "1"
    written = [path for path in out.rglob("*") if path.is_file()]
    assert {"record.json", "log.txt", "failed-1.json"} <= {path.name for path in written}
    assert any("tfevents" in path.name for path in written)
    assert [path for path in written if secret.encode() in path.read_bytes()] == []
    assert secret not in ended.stdout + ended.stderr
