"""How often two equal networks are told apart: patients resampled, and slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmark.statistics import Scores, bootstrap, pair_tests

REPEATS, PATIENTS, SLICES = 1000, 20, 5


def simulated(random: np.random.Generator) -> Scores:
    """Two networks that are equally good; each is better on some patients than on others."""
    patient = random.normal(scale=0.1, size=(1, PATIENTS, 1))
    own = random.normal(scale=0.1, size=(2, PATIENTS, 1))
    noise = random.normal(scale=0.1, size=(2, PATIENTS, SLICES))
    values = (0.7 + patient + own + noise).reshape(2, 1, -1)
    units = tuple(f"{patient:02}" for patient in range(PATIENTS) for _ in range(SLICES))
    return Scores(("a", "b"), values, units)


def test_the_patient_bootstrap_keeps_its_errors_and_that_of_slices_does_not() -> None:
    random = np.random.default_rng(20)
    by_patient = by_slice = by_test = 0
    for _ in range(REPEATS):
        scores = simulated(random)
        slices = replace(scores, units=tuple(map(str, range(len(scores.units)))), unit="slice")
        resampled = bootstrap(scores, resamples=1000)
        by_patient += resampled.difference("a", "b").excludes_zero
        by_slice += bootstrap(slices, resamples=300).difference("a", "b").excludes_zero
        (test,) = pair_tests(scores, [("a", "b")], resampled=resampled)
        by_test += test.p < 0.05
    # Nominal are 5 %; with 1000 repeats the standard error of a share is 0.7 points.
    assert 0.03 * REPEATS < by_patient < 0.09 * REPEATS
    assert 0.03 * REPEATS < by_test < 0.09 * REPEATS
    assert by_slice > 0.2 * REPEATS
