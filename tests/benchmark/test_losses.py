"""Losses against values worked out by hand; ignored pixels; deep supervision; gradients."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from benchmark.losses import bce_dice, class_weights_miniseg, cross_entropy, make_loss
from benchmark.protocols.sections import LossRule
from zoo.errors import CovbenchError

LN3, LN4 = math.log(3), math.log(4)
# Two classes, four pixels; softmax probabilities of class 1: 3/4, 1/4, 1/2, 4/5.
LOGITS = torch.tensor([[[[0.0, 0.0], [0.0, 0.0]], [[LN3, -LN3], [0.0, LN4]]]])
SINGLE = LOGITS[:, 1:]  # the same probabilities from one sigmoid logit
TARGET = torch.tensor([[[1, 1], [0, 255]]])
LOSSES = (-math.log(3 / 4), -math.log(1 / 4), -math.log(1 / 2))  # of the three that count
MEAN = sum(LOSSES) / 3
# 2 (3/4 + 1/4) + 1 over 9/16 + 1/16 + 1/4 + 2 + 1
DICE = 1 - 3 / 3.875


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("logits", [LOGITS, SINGLE], ids=["softmax", "sigmoid"])
def test_cross_entropy_by_hand(logits: Tensor) -> None:
    loss = make_loss(LossRule())(logits, TARGET)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(MEAN, abs=1e-6)


@pytest.mark.parametrize("logits", [LOGITS, SINGLE], ids=["softmax", "sigmoid"])
def test_class_weights_by_hand(logits: Tensor) -> None:
    weigh = make_loss(LossRule(class_weights="miniseg"), torch.tensor([1.0, 5.0]))
    expected = (5 * LOSSES[0] + 5 * LOSSES[1] + LOSSES[2]) / 11
    assert weigh(logits, TARGET).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("logits", [LOGITS, SINGLE], ids=["softmax", "sigmoid"])
def test_bce_dice_by_hand(logits: Tensor) -> None:
    loss = make_loss(LossRule(name="bce-dice"))(logits, TARGET)
    assert loss.item() == pytest.approx(0.5 * MEAN + 0.5 * DICE, abs=1e-6)


# A second image: probabilities 1/2 everywhere, no foreground, one pixel ignored.
PAIR = torch.cat((SINGLE, torch.zeros_like(SINGLE)))
TARGETS = torch.cat((TARGET, torch.tensor([[[0, 0], [255, 0]]])))
DICE_EMPTY = 1 - 1 / (3 / 4 + 1)


@pytest.mark.parametrize(
    ("fields", "bce", "dice"),
    [
        ({}, (sum(LOSSES) + 3 * math.log(2)) / 6, 1 - 3 / (3.875 + 3 / 4)),
        ({"bce": "sum"}, (sum(LOSSES) + 3 * math.log(2)) / 2, 1 - 3 / (3.875 + 3 / 4)),
        ({"dice": "image"}, (sum(LOSSES) + 3 * math.log(2)) / 6, (DICE + DICE_EMPTY) / 2),
    ],
)
def test_the_readings_of_bce_and_dice_by_hand(
    fields: dict[str, str], bce: float, dice: float
) -> None:
    loss = make_loss(LossRule(name="bce-dice", **fields))(PAIR, TARGETS)  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(0.5 * bce + 0.5 * dice, abs=1e-6)


def test_no_reading_counts_an_image_of_ignored_pixels_alone_as_wrong() -> None:
    target = torch.full((2, 3, 3), 255)
    logits = torch.randn(2, 1, 3, 3, requires_grad=True)
    loss = make_loss(LossRule(name="bce-dice", bce="sum", dice="image"))(logits, target)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.any()


def test_dice_of_a_perfect_and_of_an_empty_answer() -> None:
    target = torch.tensor([[[1, 0], [0, 1]]])
    right = torch.where(target == 1, 50.0, -50.0)[:, None]
    assert bce_dice(right, target).item() == pytest.approx(0, abs=1e-6)
    nothing = torch.zeros_like(target)
    assert bce_dice(torch.full((1, 1, 2, 2), -50.0), nothing).item() == pytest.approx(0, abs=1e-6)


def test_cross_entropy_of_several_classes_is_the_one_of_torch() -> None:
    logits = torch.randn(2, 4, 5, 6)
    target = torch.randint(0, 4, (2, 5, 6))
    target[0, :2] = 255
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    expected = torch.nn.functional.cross_entropy(logits, target, weights, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, target, weights), expected)


def test_bce_dice_of_several_classes() -> None:
    with pytest.raises(CovbenchError, match="3 classes"):
        make_loss(LossRule(name="bce-dice"))(torch.randn(1, 3, 4, 4), torch.zeros(1, 4, 4).long())


NAMES = ("cross-entropy", "bce-dice")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [1, 2])
def test_ignored_pixels_change_nothing(name: str, classes: int) -> None:
    loss = make_loss(LossRule(name=name))
    logits = torch.randn(2, classes, 8, 8)
    target = torch.randint(0, 2, (2, 8, 8))
    ignored = torch.rand(2, 8, 8) < 0.3
    target[ignored] = 255
    other = torch.where(ignored[:, None], 7.0, logits).requires_grad_()
    value = loss(other, target)
    torch.testing.assert_close(value, loss(logits, target))
    value.backward()
    assert other.grad is not None
    assert not other.grad.masked_select(ignored[:, None]).any()
    assert other.grad.masked_select(~ignored[:, None]).all()


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        (LossRule(), None),
        (LossRule(class_weights="miniseg"), torch.tensor([1.0, 5.0])),
        (LossRule(name="bce-dice"), None),
    ],
    ids=["cross-entropy", "weighted", "bce-dice"],
)
def test_a_batch_of_ignored_pixels_alone_gives_zero(
    classes: int, rule: LossRule, weights: Tensor | None
) -> None:
    loss = make_loss(rule, weights)
    logits = torch.randn(2, classes, 4, 4, requires_grad=True)
    value = loss((logits, logits), torch.full((2, 4, 4), 255))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert logits.grad.eq(0).all()


@pytest.mark.parametrize("name", NAMES)
def test_auxiliary_outputs_add_their_share(name: str) -> None:
    target = torch.randint(0, 2, (2, 4, 4))
    main, first, second = (torch.randn(2, 2, 4, 4) for _ in range(3))
    alone = make_loss(LossRule(name=name))
    a, b, c = (alone(each, target) for each in (main, first, second))
    weighed = make_loss(LossRule(name=name, aux_weight=0.25))
    torch.testing.assert_close(weighed((main, first, second), target), a + 0.25 * (b + c))
    torch.testing.assert_close(weighed((main,), target), a)


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_gradients_of_cross_entropy(classes: int) -> None:
    logits = torch.randn(2, classes, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, max(classes, 2), (2, 3, 3))
    target[0, 0] = 255
    weights = torch.rand(max(classes, 2), dtype=torch.float64) + 0.5
    loss = partial(cross_entropy, target=target, class_weights=weights)
    assert torch.autograd.gradcheck(loss, logits)


@pytest.mark.parametrize("classes", [1, 2])
def test_gradients_of_bce_dice(classes: int) -> None:
    logits = torch.randn(2, classes, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 2, (2, 3, 3))
    target[0, 0] = 255
    assert torch.autograd.gradcheck(partial(bce_dice, target=target), logits)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_logits_lose_nothing_more(name: str) -> None:
    loss = make_loss(LossRule(name=name))
    logits = torch.randn(2, 2, 64, 64).bfloat16()
    target = torch.randint(0, 2, (2, 64, 64))
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(logits, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), target))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_deterministic_algorithms_suffice(name: str) -> None:
    logits = torch.randn(1, 2, 8, 8, device="cuda", requires_grad=True)
    target = torch.zeros(1, 8, 8, dtype=torch.int64, device="cuda")
    torch.use_deterministic_algorithms(True)
    try:
        make_loss(LossRule(name=name))(logits, target).backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert logits.grad is not None


def test_weights_of_miniseg_by_hand() -> None:
    weights = class_weights_miniseg([910, 90])
    expected = torch.tensor([1 / math.log(2.01), 1 / math.log(1.19)])
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(class_weights_miniseg(torch.tensor([910, 90])), expected)
    assert class_weights_miniseg([10, 0])[1].item() == pytest.approx(1 / math.log(1.1))


def test_weights_of_no_pixels() -> None:
    with pytest.raises(CovbenchError, match="no labelled pixel"):
        class_weights_miniseg([0, 0])


def test_weights_must_agree_with_the_protocol() -> None:
    with pytest.raises(ValueError, match="class weights"):
        make_loss(LossRule(class_weights="miniseg"))
    with pytest.raises(ValueError, match="class weights"):
        make_loss(LossRule(), torch.ones(2))
    with pytest.raises(CovbenchError, match="bce-dice"):
        make_loss(LossRule(name="bce-dice", class_weights="miniseg"), torch.ones(2))
