from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from runners.checkpoint import load_checkpoint, save_checkpoint
from runners.optimiser import learning_rate, make_optimiser
from runners.train import Diverged, Hooks, Interrupted, TrainingState, fit
from tests.runners.toy import CARD, SCALE, toy_bank, toy_model, toy_protocol

STEPS = 30


def train(
    model: nn.Module, folder: Path | None = None, stop_at: int | None = None
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
    protocol = toy_protocol()
    return fit(
        model, CARD, toy_bank(), protocol, SCALE, seed=0, num_classes=2, resume=resume, hooks=hooks
    )


@pytest.fixture(scope="module")
def undisturbed() -> tuple[dict[str, torch.Tensor], TrainingState]:
    model = toy_model()
    state = train(model)
    return model.state_dict(), state


def test_training_learns(undisturbed: tuple[Any, TrainingState]) -> None:
    state = undisturbed[1]
    assert state.step == STEPS
    assert len(state.curve) == 10  # 12 images in batches of 4: 3 steps an epoch
    assert state.curve[-1] < 0.6 * state.curve[0]


@pytest.mark.parametrize("stop_at", range(1, STEPS))
def test_resuming_gives_the_same_weights_bit_for_bit(
    stop_at: int, undisturbed: tuple[dict[str, torch.Tensor], TrainingState], tmp_path: Path
) -> None:
    model = toy_model()
    with pytest.raises(Interrupted):
        train(model, tmp_path, stop_at)
    torch.manual_seed(12345)  # another process has other random states
    other = toy_model(seed=99)
    state = train(other, tmp_path)
    weights, expected = undisturbed
    assert state.curve == expected.curve
    assert state.resumed == 1
    for name, value in other.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_another_seed_gives_other_weights(undisturbed: tuple[Any, TrainingState]) -> None:
    model = toy_model()
    fit(model, CARD, toy_bank(), toy_protocol(), SCALE, seed=1, num_classes=2)
    assert not torch.equal(model.state_dict()["head.weight"], undisturbed[0]["head.weight"])


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    model = toy_model()
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    with pytest.raises(Diverged, match="epoch 1"):
        train(model)


@pytest.mark.parametrize(
    "change",
    [
        "precision=bf16",
        "channels_last=true",
        "outputs=sigmoid",
        "class_weights=miniseg",
        "optim.name=sgd",
    ],
)
def test_every_way_of_computing_learns(change: str) -> None:
    from tests.runners.toy import ToyNet

    torch.manual_seed(0)
    model = ToyNet(num_classes=1 if "sigmoid" in change else 2)
    state = fit(model, CARD, toy_bank(), toy_protocol(change), SCALE, seed=0, num_classes=2)
    assert state.curve[-1] < 0.75 * state.curve[0]


def test_the_rate_falls_to_zero_by_the_poly_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.Adam.step

    def noting(self: torch.optim.Adam, *arguments: Any, **named: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.Adam, "step", noting)
    train(toy_model())
    assert rates == pytest.approx([0.03 * (1 - i / STEPS) ** 0.9 for i in range(STEPS)])


def test_a_constant_rate_stays() -> None:
    rule = toy_protocol("schedule=constant").optim
    assert [learning_rate(rule, step, STEPS) for step in range(STEPS)] == [0.03] * STEPS


@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_of_sgd_by_hand(nesterov: bool) -> None:
    words = ("optim.name=sgd", "lr=0.5", "momentum=0.5", "weight_decay=0.1")
    rule = toy_protocol(*words, f"nesterov={str(nesterov).lower()}").optim
    weight = nn.Parameter(torch.tensor([2.0]))
    optimiser = make_optimiser(rule, [weight])
    found = []
    for gradient in (1.0, 3.0):
        weight.grad = torch.tensor([gradient])
        optimiser.step()
        found.append(weight.item())
    # The gradient with its decay goes into the buffer, which keeps half of what it had.
    first = 1.0 + 0.1 * 2.0
    one = 2.0 - 0.5 * (first + 0.5 * first if nesterov else first)
    second = 3.0 + 0.1 * one
    buffer = 0.5 * first + second
    two = one - 0.5 * (second + 0.5 * buffer if nesterov else buffer)
    assert found == pytest.approx([one, two])


def test_a_diverged_training_keeps_the_curve_until_then() -> None:
    model = toy_model()

    def spoil(done: int, total: int, loss: float | None) -> None:
        if done == 7:  # in the third epoch of 3 steps
            with torch.no_grad():
                next(iter(model.parameters())).fill_(float("inf"))

    with pytest.raises(Diverged, match="epoch 3, step 8") as caught:
        fit(
            model, CARD, toy_bank(), toy_protocol(), SCALE,
            seed=0, num_classes=2, hooks=Hooks(progress=spoil),
        )  # fmt: skip
    assert len(caught.value.curve) == 2


@pytest.mark.parametrize(
    ("every", "steps"),
    [("1 epoch", [3, 6]), ("2 epochs", [6]), ("0 min", list(range(1, 9))), ("60 min", [])],
)
def test_checkpoints_come_after_so_many_epochs_or_minutes(every: str, steps: list[int]) -> None:
    kept: list[int] = []
    hooks = Hooks(checkpoint=lambda step, state: kept.append(step))
    protocol = toy_protocol("max_steps=9", f"checkpoint_every={every}")
    fit(toy_model(), CARD, toy_bank(), protocol, SCALE, seed=0, num_classes=2, hooks=hooks)
    assert kept == steps  # none after the last step: the record comes next
