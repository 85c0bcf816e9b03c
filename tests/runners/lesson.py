"""A short training on four slices, and what it shows of a network's wiring."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from benchmark.losses import make_loss
from benchmark.protocols import LossRule
from zoo.cards import Card
from zoo.padding import forward_padded

ENOUGH = 0.6
"""Dice on the slices that it trains on."""

_FEWEST_STEPS = 10
_LARGE = 4_000_000


@dataclass
class Lesson:
    """What a network learned.

    Attributes:
        dice: Dice of the main output, in training mode, after every step.
        still: Parameters that never moved.
        deaf: Weights of which some input channels never had a gradient: what feeds them is cut off.
    """

    dice: list[float] = field(default_factory=list)
    still: list[str] = field(default_factory=list)
    deaf: list[str] = field(default_factory=list)


def teach(
    network: nn.Module, card: Card, images: Tensor, masks: Tensor, rate: float | None = None
) -> Lesson:
    """Train on a batch until it is known by heart, or for as many steps as the card says.

    Args:
        network: The network, in any mode; it is trained.
        card: Its card.
        images: `(N, 3, H, W)`.
        masks: `(N, H, W)`, 0 and 1.
        rate: Learning rate; None for the usual one of networks of this size.

    Returns:
        What it learned. Batch norms stay in training mode throughout.
    """
    large = (card.params or 0) > _LARGE
    optimiser = torch.optim.Adam(network.parameters(), lr=rate or (2e-3 if large else 3e-3))
    loss_of = make_loss(LossRule())
    before = {name: each.detach().clone() for name, each in network.named_parameters()}
    heard: dict[str, Tensor] = {}
    lesson = Lesson()
    network.train()
    while len(lesson.dice) < card.overfit_steps:
        outputs = forward_padded(network, images, card.divisor, card.min_size)
        main = outputs if isinstance(outputs, Tensor) else outputs[0]
        lesson.dice.append(_dice(main, masks))
        if len(lesson.dice) > _FEWEST_STEPS and min(lesson.dice[-2:]) >= ENOUGH:
            break
        optimiser.zero_grad()
        loss_of(outputs, masks).backward()
        for name, each in network.named_parameters():
            if each.grad is not None and each.ndim > 1:
                gradient = each.grad.abs().transpose(0, 1).flatten(1).sum(1)
                heard[name] = heard.get(name, torch.zeros(())) + gradient
        optimiser.step()
    lesson.still = [n for n, each in network.named_parameters() if torch.equal(each, before[n])]
    lesson.deaf = [name for name, gradient in heard.items() if not gradient.all()]
    return lesson


def _dice(logits: Tensor, masks: Tensor) -> float:
    found, there = logits.detach().argmax(1) == 1, masks == 1
    return float(2 * (found & there).sum() / (found.sum() + there.sum()))
