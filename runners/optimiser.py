"""The optimiser of a protocol and its learning rate."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from benchmark.protocols import OptimRule


def make_optimiser(rule: OptimRule, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """PyTorch's Adam or SGD; weight decay is an L2 term in both."""
    if rule.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=rule.lr,
            momentum=rule.momentum,
            nesterov=rule.nesterov,
            weight_decay=rule.weight_decay,
        )
    return torch.optim.Adam(
        parameters, lr=rule.lr, betas=rule.betas, weight_decay=rule.weight_decay
    )


def learning_rate(rule: OptimRule, step: int, total: int) -> float:
    """The rate of a step, counted from 0, in a training of so many."""
    if rule.schedule == "constant":
        return rule.lr
    return rule.lr * (1 - step / total) ** rule.power
