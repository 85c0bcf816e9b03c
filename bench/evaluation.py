"""Evaluation with all metrics against the forward pass alone: `miniseg` at 512x512."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmark.bank import ImageBank, normalise
from benchmark.datasets import prepare_dataset
from benchmark.protocols import load_protocol
from runners.evaluate import evaluate
from runners.train import InputScale
from zoo.registry import create_model, get_card

TARGET = 1.25
"""How many times the forward pass's time an evaluation may take at most."""

_SIZE, _IMAGES = 512, 10


def run(rounds: int = 5) -> dict[str, float]:
    """Seconds of an evaluation divided by those of its forward passes.

    The network is untrained, so that its masks are ragged: the dear case for surface distances.

    Args:
        rounds: Alternating rounds of both; the median of their ratios counts.

    Returns:
        The ratio, milliseconds an image of both, and the target.
    """
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepare_dataset("phantom", root=Path(folder), size=_SIZE)
        protocol = load_protocol("identical", [f"size={_SIZE}"])
        scale = InputScale((0.5,) * 3, (0.3,) * 3)
        torch.manual_seed(0)
        network, card = create_model("miniseg").eval(), get_card("miniseg")
        indices, device = range(_IMAGES), torch.device("cpu")
        bank = ImageBank.of(dataset, _SIZE, indices)
        whole, forward = [], []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            evaluate(network, card, dataset, indices, protocol, scale, device)
            whole.append(time.perf_counter() - began)
            began = time.perf_counter()
            with torch.inference_mode():
                for start in range(0, _IMAGES, protocol.optim.batch):
                    images, _ = bank.batch(range(start, start + protocol.optim.batch))
                    network(normalise(images.unsqueeze(1), scale.mean, scale.std, 3))
            forward.append(time.perf_counter() - began)
    ratios = [a / b for a, b in zip(whole[1:], forward[1:], strict=True)]
    return {
        "ratio": statistics.median(ratios),
        "evaluation_ms": 1e3 * statistics.median(whole[1:]) / _IMAGES,
        "forward_ms": 1e3 * statistics.median(forward[1:]) / _IMAGES,
        "target": TARGET,
    }
