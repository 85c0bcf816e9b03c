"""A small network trained by the real loop finds on unseen patients what a threshold can't."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark.bank import ImageBank, input_statistics
from benchmark.datasets import open_dataset
from benchmark.protocols import load_protocol
from benchmark.trivial import TRIVIAL, trivial_rows
from runners.evaluate import evaluate
from runners.train import InputScale, fit
from zoo.registry import create_model, get_card


@pytest.mark.slow
def test_miniseg_learns_the_phantom(data_root: Path) -> None:
    protocol = load_protocol("smoke", ["max_steps=300", "batch=8", "lr=3e-3"])
    dataset = open_dataset("phantom", data_root)
    fold = dataset.folds(protocol.split)[0]
    assert fold.groups_disjoint
    bank = ImageBank.of(dataset, protocol.input.size, fold.train)
    scale = InputScale(*input_statistics(bank, protocol, 3))
    torch.manual_seed(0)
    network, card = create_model("miniseg"), get_card("miniseg")
    fit(network, card, bank, protocol, scale, seed=0, num_classes=2)
    found = evaluate(network, card, dataset, fold.test, protocol, scale, torch.device("cpu"))
    dice = found.targets["infection"].scores["dice_pooled"].value
    trivial = trivial_rows(dataset, fold, protocol.score)
    best = max(trivial[name][1]["dice_pooled"].value or 0.0 for name in TRIVIAL)
    # Measured: 0.714 after 70 s on one core; the threshold 0.223, all foreground 0.110.
    assert dice is not None
    assert dice >= 0.6
    assert dice > 2 * best
