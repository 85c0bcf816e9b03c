"""Networks that start from given weights: `--weights imagenet`, or a file of their encoder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from results.store import load_records
from runners.cli import run_cli
from runners.selecting import choose_rows
from zoo.errors import CovbenchError

STARTED = """
import torch
from torch import nn
from covbench import register_model


class Started(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.encoder = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.head = nn.Conv2d(4, num_classes, 1)

    def forward(self, x):
        return self.head(torch.relu(self.encoder(x)))


@register_model("started", encoder="encoder", weights="none published")
def started(in_channels, num_classes, *, weights=None):
    if weights is not None:
        from zoo.pretrained import unpublished
        raise unpublished(weights, "started")
    return Started(in_channels, num_classes)


@register_model("from-scratch")
def scratch(in_channels, num_classes):
    return Started(in_channels, num_classes)
"""

SMOKE = ["--protocol", "smoke", "--set", "max_steps=1", "--set", "keep=both", "--set", "lr=1e-9"]


@pytest.fixture(scope="module")  # names are taken once a process
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "nets.py"
    path.write_text(STARTED)
    return path


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    path = tmp_path / "encoder.safetensors"
    save_file({"weight": torch.full((4, 3, 3, 3), 0.25), "bias": torch.zeros(4)}, path)
    return path


def run(*arguments: object) -> int:
    return run_cli(["run", *(str(argument) for argument in arguments), *SMOKE])


@pytest.mark.usefixtures("data_root")
def test_an_encoder_file_starts_the_training_and_is_known_by_its_contents(
    nets: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    assert run("--models", nets, "--weights", encoder, "--out", out) == 0
    said = capsys.readouterr().err
    assert "Start from random weights, since they take none: from-scratch" in said
    records = {record.spec.model: record for record in load_records(out)}
    name = str(records["started"].spec.options["weights"])
    assert name.endswith(".safetensors") and len(name) == 28
    assert records["from-scratch"].spec.options == {}
    trained = load_file(next(out.glob("started*/*/weights.safetensors")))
    torch.testing.assert_close(trained["encoder.weight"], torch.full((4, 3, 3, 3), 0.25))

    # The same bytes elsewhere are the same run; other bytes another one.
    copy = Path(shutil.copy(encoder, tmp_path / "copy.safetensors"))
    assert run("--models", nets, "--weights", copy, "--out", out) == 0
    assert "nothing is missing" in capsys.readouterr().err
    save_file({"weight": torch.zeros(4, 3, 3, 3), "bias": torch.zeros(4)}, copy)
    assert run("--models", nets, "--weights", copy, "--out", out, "--dry-run") == 0
    assert "1 to do" in capsys.readouterr().err


@pytest.mark.usefixtures("data_root")
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"weight": torch.zeros(4, 3, 3, 3)}, "1 entries are missing"),
        ({"weight": torch.zeros(4, 1, 3, 3), "bias": torch.zeros(4)}, "another shape"),
        ({"weight": torch.full((4, 3, 3, 3), torch.nan), "bias": torch.zeros(4)}, "not finite"),
    ],
)
def test_a_file_that_does_not_fit_fails_before_training(
    state: dict[str, torch.Tensor],
    words: str,
    nets: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "other.safetensors"
    save_file(state, path)
    assert (
        run("--models", f"{nets},!from-scratch", "--weights", path, "--out", tmp_path / "runs") == 2
    )
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("data_root")
def test_weights_that_nobody_has_are_never_replaced_by_random_ones(
    nets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    assert run("--models", f"{nets},!from-scratch", "--weights", "imagenet", "--out", out) == 2
    shown = capsys.readouterr()
    assert "Nobody has published ImageNet weights" in shown.err
    assert "weights=FILE.safetensors" in shown.err
    assert "needs weights" in shown.out
    assert load_records(out) == []


def test_what_can_not_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match="There is no weights file"):
        choose_rows(["deeplabv3"], None, str(tmp_path / "none.safetensors"))
    with pytest.raises(CovbenchError, match="Did you mean imagenet"):
        choose_rows(["deeplabv3"], None, "imagnet")
    with pytest.raises(CovbenchError, match="None of the networks takes pretrained weights: enet"):
        choose_rows(["enet"], None, "imagenet")
    with pytest.raises(CovbenchError, match="exclude each other"):
        choose_rows(None, "miniseg-table3", "imagenet")


def test_brackets_say_more_than_the_flag() -> None:
    rows = choose_rows(["deeplabv3,deeplabv3[weights=a.safetensors]"], None, "imagenet").rows
    assert [row.label for row in rows] == [
        "deeplabv3[weights=imagenet]", "deeplabv3[weights=a.safetensors]"
    ]  # fmt: skip
