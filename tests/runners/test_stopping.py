"""Early stopping: what is held out, when a training ends, which weights it ends with, resuming."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.bank import ImageBank, normalise
from benchmark.datasets import open_dataset
from benchmark.losses import make_loss
from benchmark.protocols import Protocol, load_protocol
from results.record import RunRecord
from results.store import load_records
from runners.checkpoint import load_checkpoint, save_checkpoint
from runners.cli import run_cli
from runners.run_one import sums_colours
from runners.stopping import EarlyStopping, training_parts
from runners.train import Diverged, Hooks, Interrupted, TrainingState, fit
from tests.runners.toy import CARD, SCALE, toy_bank, toy_model, toy_protocol

# Two steps an epoch, and rates so high that the loss soon rises again.
EARLY = ("early=true", "patience=1", "max_steps=none", "epochs=6", "batch=6", "lr=3")
BEST = (*EARLY, "select=best-on-validation")
SGD = (*BEST, "optim.name=sgd", "nesterov=true", "lr=1", "patience=2", "min_delta=0.03")


def held_out(count: int = 6, size: int = 32) -> ImageBank:
    """Other images than those that train."""
    whole = toy_bank(12 + count, size)
    images, masks = whole.batch(range(12, 12 + count))
    return ImageBank(images.numpy(), masks.numpy())


def watching(protocol: Protocol) -> EarlyStopping:
    return EarlyStopping(held_out(), CARD, protocol, SCALE)


def train(
    model: nn.Module,
    protocol: Protocol,
    watch: EarlyStopping | None,
    folder: Path | None = None,
    stop_at: int | None = None,
) -> TrainingState:
    """One training, from the folder's checkpoint if it has one; stopped after a given step."""
    resume = load_checkpoint(folder)[0] if folder else None
    reached = 0

    def note(done: int, total: int, loss: float | None) -> None:
        nonlocal reached
        reached = done

    def keep(step: int, state: dict[str, Any]) -> None:
        assert folder is not None
        save_checkpoint(folder, step, state)

    hooks = Hooks(progress=note, checkpoint=keep, should_stop=lambda: reached == stop_at)
    return fit(
        model,
        CARD,
        toy_bank(),
        protocol,
        SCALE,
        seed=0,
        num_classes=2,
        resume=resume,
        hooks=hooks,
        watch=watch,
    )


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


# --- when it ends ------------------------------------------------------------------------------


class Scripted(EarlyStopping):
    """Sees the losses that it is told."""

    def __init__(self, losses: list[float], protocol: Protocol) -> None:
        super().__init__(held_out(), CARD, protocol, SCALE)
        self.losses = losses

    def _measure(self, network: nn.Module, loss: object) -> float:
        return self.losses[len(self.curve)]


@pytest.mark.parametrize(
    ("losses", "min_delta", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1, 0.5, 0.4, 0.3], 0, 8, 8),
        ([5, 4, 4, 4, 0, 0, 0, 0], 0, 4, 2),  # as low is not lower
        ([5, 4, 4.5, 3, 3.5, 3.2, 0, 0], 0, 6, 4),
        ([5, 4, 3.6, 3.2, 2.6, 2.5, 0, 0], 1, 5, 3),  # 4 is not lower by more than 1, 3.6 is
        ([5, 3.9, 3.5, 3, 0, 0, 0, 0], 1, 4, 2),
    ],
)
def test_it_ends_after_the_patience(
    losses: list[float], min_delta: float, epochs: int, best: int
) -> None:
    changes = ("early=true", "patience=2", f"min_delta={min_delta}", "select=best-on-validation")
    protocol = toy_protocol(*changes, "max_steps=none", "epochs=8")
    ends: list[dict[str, Tensor]] = []
    model = toy_model()

    class Noting(Scripted):
        def ends(self, network: nn.Module, loss: Any) -> bool:
            ends.append(weights_of(network))
            return super().ends(network, loss)

    watch = Noting(losses, protocol)
    state = train(model, protocol, watch)
    assert (len(state.curve), state.step) == (epochs, 3 * epochs)
    assert watch.curve == losses[:epochs]
    assert watch.best_epoch == watch.chosen_epoch == best
    assert same(weights_of(model), ends[best - 1])


def test_the_last_weights_stay_where_those_are_scored() -> None:
    protocol = toy_protocol("early=true", "patience=2", "max_steps=none", "epochs=8")
    at_end: dict[str, Tensor] = {}

    class Noting(Scripted):
        def ends(self, network: nn.Module, loss: Any) -> bool:
            at_end.update(weights_of(network))
            return super().ends(network, loss)

    model, watch = toy_model(), Noting([1, 2, 3], protocol)
    state = train(model, protocol, watch)
    assert (state.step, watch.best_epoch, watch.chosen_epoch) == (9, 1, None)
    assert same(weights_of(model), at_end)


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    protocol = toy_protocol(*BEST)
    with pytest.raises(Diverged, match="validation loss is nan after epoch 2"):
        train(toy_model(), protocol, Scripted([1, math.nan], protocol))


# --- what it sees ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", ["", "outputs=sigmoid loss.name=bce-dice", "channels_last=true"]
)
def test_the_loss_is_the_main_outputs_on_plain_images(changes: str) -> None:
    from tests.runners.toy import ToyNet

    protocol = toy_protocol(*EARLY, "batch=4", *changes.split())
    network = ToyNet(num_classes=1 if "sigmoid" in changes else 2)
    watch = watching(protocol)
    before = torch.get_rng_state()
    network.train()
    watch.ends(network, make_loss(protocol.loss))
    assert network.training and torch.equal(torch.get_rng_state(), before)

    images, masks = held_out().batch(range(6))
    network.eval()
    logits = network(normalise(images.unsqueeze(1), SCALE.mean, SCALE.std, 1))
    single = make_loss(protocol.loss)
    # Batches of four and of two, each weighed by its images.
    parts = [single(logits[at], masks[at].long()) for at in (slice(0, 4), slice(4, 6))]
    expected = (4 * parts[0].item() + 2 * parts[1].item()) / 6
    assert watch.curve == [pytest.approx(expected, rel=1e-5)]


def test_watching_changes_no_step_of_the_training() -> None:
    settings = ("max_steps=none", "epochs=4")
    plain = toy_model()
    train(plain, toy_protocol(*settings), None)
    plain_weights = weights_of(plain)
    watched = toy_model()
    protocol = toy_protocol(*settings, "early=true", "patience=9")
    train(watched, protocol, watching(protocol))
    assert same(weights_of(watched), plain_weights)


# --- resuming ----------------------------------------------------------------------------------


Ending = tuple[dict[str, Tensor], TrainingState, EarlyStopping]


@pytest.fixture(scope="module", params=[BEST, EARLY, SGD], ids=["best", "last", "sgd"])
def undisturbed(request: pytest.FixtureRequest) -> tuple[Protocol, Ending]:
    protocol = toy_protocol(*request.param)
    model, watch = toy_model(), watching(protocol)
    state = train(model, protocol, watch)
    return protocol, (weights_of(model), state, watch)


def test_resuming_anywhere_ends_at_the_same_epoch_with_the_same_weights(
    undisturbed: tuple[Protocol, Ending], tmp_path: Path
) -> None:
    protocol, (weights, expected, seen) = undisturbed
    assert len(seen.curve) > seen.best_epoch > 0  # otherwise nothing is tested
    for stop_at in range(1, expected.step):
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        with pytest.raises(Interrupted):
            train(toy_model(), protocol, watching(protocol), folder, stop_at)
        torch.manual_seed(12345)  # another process has other random states
        model, watch = toy_model(seed=99), watching(protocol)
        state = train(model, protocol, watch, folder)
        assert (state.step, state.curve, state.resumed) == (expected.step, expected.curve, 1)
        assert (watch.curve, watch.best_epoch) == (seen.curve, seen.best_epoch)
        assert same(weights_of(model), weights), stop_at


# --- whole runs --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, data_root: Path) -> RunRecord:
    out = tmp_path / "runs"
    words = ["run", "--models", "miniseg-83k", "--protocol", "chsnet-paper", "--folds", "1"]
    words += ["--set", "size=32", "--set", "epochs=2", "--out", str(out), "--jobs", "1"]
    assert run_cli(words) == 0
    (record,) = load_records(out)
    return record


def test_a_run_under_chsnet_paper_records_what_was_held_out(
    small: RunRecord, data_root: Path
) -> None:
    protocol = load_protocol("chsnet-paper", ["size=32", "epochs=2"])
    dataset = open_dataset("phantom", data_root)
    fold = dataset.folds(protocol.split)[0]
    train, held = training_parts(dataset, fold, protocol)
    data, training = small.data, small.training
    assert training is not None
    assert (data.n_train, data.n_validation, data.n_test) == (len(train), len(held), len(fold.test))
    assert set(train) | set(held) == set(fold.train) and not set(held) & set(fold.test)
    assert (data.mean, data.std) == ((0.0,), (1.0,))  # one channel
    assert small.cost.input_size == (1, 512, 512)
    assert training.selection == "best-on-validation"
    assert len(training.validation_curve) == len(training.curve) == training.epochs == 2
    curve = training.validation_curve
    assert training.chosen_epoch == 1 + curve.index(min(curve))


def test_input_statistics_leave_out_what_is_held_out(data_root: Path) -> None:
    protocol = load_protocol("chsnet-paper", ["normalise=fold", "validation=0.5"])
    dataset = open_dataset("phantom", data_root)
    fold = dataset.folds(protocol.split)[0]
    train, held = training_parts(dataset, fold, protocol)
    assert len(held) == round(len(fold.train) / 2)
    assert training_parts(dataset, fold, load_protocol("identical")) == (fold.train, ())
    assert {*train, *held} == {*fold.train}


@pytest.mark.parametrize(
    ("protocol", "weights", "expected"),
    [
        ("chsnet-paper", "imagenet", True),
        ("chsnet-paper", None, False),
        ("chsnet-paper", "own.safetensors", False),
        ("identical", "imagenet", False),
    ],
)
def test_summed_colours_are_told(protocol: str, weights: str | None, expected: bool) -> None:
    assert sums_colours(load_protocol(protocol), {"weights": weights}) is expected


def test_the_command_line_tells_of_summed_colours(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--models", "unet,deeplabv3[weights=imagenet]", "--dry-run", "--set", "size=32"]
    for protocol, told in (("chsnet-paper", True), ("identical", False)):
        assert run_cli([*words, "--protocol", protocol, "--out", str(tmp_path / "runs")]) == 0
        err = capsys.readouterr().err
        assert ("summed for the protocol's one channel: deeplabv3." in err) is told
