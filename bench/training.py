"""Training steps through covbench against a bare PyTorch loop over tensors already in memory.

The bare loop does nothing but forward, loss, backward and optimiser step on one fixed batch; ours
also reads, augments and normalises every batch, follows the schedule and watches the loss.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.bank import ImageBank
from benchmark.protocols import Protocol, load_protocol
from runners.train import InputScale, fit
from zoo.registry import create_model, get_card

TARGET = 0.95
"""Share of the bare loop's steps a second that ours must reach."""

CASES = (("miniseg", 256, 5, 6), ("unet", 128, 4, 3))
"""Network, size, batch, and steps of one round."""


def run(rounds: int = 7) -> dict[str, float]:
    """Steps a second of ours divided by those of the bare loop, for each case.

    Args:
        rounds: Alternating rounds of both; the median of their ratios counts.

    Returns:
        The ratio by case, and the target.
    """
    ratios = {f"{name} {size}x{size} batch {batch}": _ratio(name, size, batch, steps, rounds)
              for name, size, batch, steps in CASES}  # fmt: skip
    return {**ratios, "target": TARGET}


def _ratio(name: str, size: int, batch: int, steps: int, rounds: int) -> float:
    noise = np.random.default_rng(0)
    images = noise.integers(0, 256, (40, size, size), dtype=np.uint8)
    masks = noise.integers(0, 2, (40, size, size), dtype=np.uint8)
    bank = ImageBank(images, masks)
    protocol = load_protocol("identical", [f"size={size}", f"batch={batch}", f"max_steps={steps}"])
    torch.manual_seed(0)
    network = create_model(name)
    ratios = []
    for number in range(rounds + 1):
        ours, bare = _ours(network, name, bank, protocol), _bare(network, size, batch, steps)
        if number:  # the first round warms up
            ratios.append(bare / ours)
    return statistics.median(ratios)


def _ours(network: nn.Module, name: str, bank: ImageBank, protocol: Protocol) -> float:
    scale = InputScale((0.5,) * 3, (0.3,) * 3)
    began = time.perf_counter()
    fit(network, get_card(name), bank, protocol, scale, seed=0, num_classes=2)
    return time.perf_counter() - began


def _bare(network: nn.Module, size: int, batch: int, steps: int) -> float:
    x = torch.randn(batch, 3, size, size)
    y = torch.randint(0, 2, (batch, size, size))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-4)
    network.train()
    began = time.perf_counter()
    for _ in range(steps):
        outputs = network(x)
        heads = (outputs,) if isinstance(outputs, Tensor) else outputs
        losses = [functional.cross_entropy(head, y, ignore_index=255) for head in heads]
        loss = losses[0] + 0.4 * sum(losses[1:], torch.zeros(()))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return time.perf_counter() - began
