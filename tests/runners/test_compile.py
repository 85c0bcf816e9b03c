"""torch.compile as a field of the protocol: the same training, by compiled kernels."""

from __future__ import annotations

import shutil

import pytest
import torch

from benchmark.augment import total_steps
from runners.train import fit
from tests.runners.toy import CARD, SCALE, toy_bank, toy_model, toy_protocol


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler of torch needs g++")
def test_a_compiled_training_learns_the_same() -> None:
    curves = {}
    for compiled in ("true", "false"):
        torch.manual_seed(0)
        # Dropout draws in another order in compiled kernels.
        model = toy_model()
        model.body[3].p = 0.0
        protocol = toy_protocol(f"compile={compiled}")
        state = fit(model, CARD, toy_bank(), protocol, SCALE, seed=0, num_classes=2)
        assert state.step == total_steps(protocol, 12)
        curves[compiled] = state.curve
    assert curves["true"] == pytest.approx(curves["false"], rel=1e-3)
