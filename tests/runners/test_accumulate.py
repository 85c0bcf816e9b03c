"""Batches that don't fit on the GPU: taken in parts where the protocol says so, and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.losses import Loss, make_loss
from benchmark.protocols import load_protocol
from runners.accumulate import Backward
from runners.checkpoint import load_checkpoint, save_checkpoint
from runners.train import Hooks, Interrupted, TrainingState, fit
from tests.runners.toy import CARD, SCALE, ToyNet, toy_bank, toy_protocol


class Narrow(ToyNet):
    """Finds no room for more than `most` images; without batch norm and dropout if `plain`."""

    def __init__(self, most: int, *, plain: bool = False, classes: int = 2) -> None:
        super().__init__(num_classes=classes)
        self.most = most
        self.seen: list[int] = []
        if plain:
            self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        outputs = super().forward(x)  # as on a GPU, some of the work is done before memory ends
        if self.training and len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.seen.append(len(x))
        return outputs


def batch(count: int) -> tuple[Tensor, Tensor]:
    """Images and labels, of which each image ignores another share."""
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(count, 1, 16, 16, generator=generator)
    target = (images[:, 0] > 0.6).long()
    for place in range(count):
        target[place, : 3 * place] = 255
    return images, target


def gradients(most: int, loss_of: Loss, classes: int, count: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    model = Narrow(most, plain=True, classes=classes).double()
    images, target = batch(count)
    loss = Backward(model, model, loss_of, True, lambda line: None)(images.double(), target)
    found = [each.grad for each in model.parameters() if each.grad is not None]
    assert len(found) == len(list(model.parameters()))
    return loss, torch.cat([each.flatten() for each in found])


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("change", ["", "name=bce-dice", "class_weights=miniseg"])
def test_the_gradient_is_that_of_the_whole_batch(change: str, most: int) -> None:
    section = load_protocol("identical", [f"loss.{change}"] if change else []).loss
    weights = torch.tensor([1.0, 4.0]) if "weights" in change else None
    loss_of = make_loss(section, weights)
    whole, parts = gradients(99, loss_of, 2), gradients(most, loss_of, 2)
    assert parts[0].item() == pytest.approx(whole[0].item(), rel=1e-12)
    assert torch.allclose(parts[1], whole[1], rtol=0, atol=1e-12)


def test_in_single_precision_it_is_within_a_millionth() -> None:
    torch.manual_seed(1)
    models = [Narrow(most, plain=True) for most in (99, 2)]
    models[1].load_state_dict(models[0].state_dict())
    loss_of = make_loss(load_protocol("identical").loss)
    for model in models:
        Backward(model, model, loss_of, True, lambda line: None)(*batch(5))
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert one.grad is not None and other.grad is not None
        assert torch.allclose(one.grad, other.grad, rtol=0, atol=1e-6)


def test_parts_are_halved_until_they_fit_and_stay_so() -> None:
    model, said = Narrow(2), []
    backward = Backward(model, model, make_loss(load_protocol("identical").loss), True, said.append)
    for _ in range(2):
        model.seen.clear()
        backward(*batch(5))
        assert model.seen == [2, 2, 1] * 2  # once for the outputs, once for the gradients
    assert backward.most == 2
    assert ["5 images" in said[0], "3 images" in said[1], len(said)] == [True, True, 2]


def test_statistics_count_every_part_once_and_dropout_is_the_same_in_both_passes() -> None:
    model = Narrow(2)
    norm = model.body[1]
    assert isinstance(norm, nn.BatchNorm2d) and norm.num_batches_tracked is not None
    Backward(model, model, make_loss(load_protocol("identical").loss), True, print)(*batch(4))
    assert int(norm.num_batches_tracked) == 2


@pytest.mark.parametrize("allowed", [False, True])
def test_it_fails_where_parts_are_not_allowed_or_one_image_is_too_much(allowed: bool) -> None:
    model = Narrow(0 if allowed else 2)
    backward = Backward(model, model, make_loss(load_protocol("identical").loss), allowed, print)
    with pytest.raises(torch.OutOfMemoryError):
        backward(*batch(4))


def train(most: int, mode: str, stop_at: int | None = None, **options: Any) -> TrainingState:
    torch.manual_seed(0)
    model = options.pop("model", None) or Narrow(most)
    hooks = Hooks(
        checkpoint=options.pop("checkpoint", lambda step, state: None),
        should_stop=lambda: stop_at is not None and len(model.seen) >= stop_at,
        say=lambda line: None,
    )
    protocol = toy_protocol(f"out_of_memory={mode}", "max_steps=9")
    bank = toy_bank()
    return fit(model, CARD, bank, protocol, SCALE, seed=0, num_classes=2, hooks=hooks, **options)


def test_a_training_that_fits_is_the_same_either_way() -> None:
    fail, accumulate = train(99, "fail"), train(99, "accumulate")
    assert fail.curve == accumulate.curve
    assert fail.micro_batch is None and accumulate.micro_batch is None


def test_a_training_in_parts_learns_and_says_so() -> None:
    state = train(3, "accumulate")
    assert state.micro_batch == 2
    assert state.curve[-1] < state.curve[0]
    with pytest.raises(torch.OutOfMemoryError):
        train(3, "fail")


def test_a_training_in_parts_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    whole = Narrow(2)
    torch.manual_seed(3)
    whole = Narrow(2)
    start = {name: value.clone() for name, value in whole.state_dict().items()}
    expected = train(2, "accumulate", model=whole)

    stopped = Narrow(2)
    stopped.load_state_dict(start)
    with pytest.raises(Interrupted):
        keep = lambda step, state: save_checkpoint(tmp_path, step, state)  # noqa: E731
        train(2, "accumulate", 12, model=stopped, checkpoint=keep)
    again = Narrow(2)
    resume, _ = load_checkpoint(tmp_path)
    assert resume is not None and resume["progress"]["micro_batch"] == 2
    state = train(2, "accumulate", model=again, resume=resume)
    assert state.curve == expected.curve
    for name, value in again.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name
