"""Statistics against scipy, by hand, and by their properties."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics import (
    Scores,
    agreement,
    bootstrap,
    friedman,
    holm,
    kendall_tau,
    pair_tests,
    pooled_bootstrap,
    rank_biserial,
    standings,
    unit_scores,
)
from benchmark.statistics.ranks import weighted_median


def draw(
    rows: int = 4, patients: int = 12, images: int = 3, seeds: int = 1, seed: int = 0, **more: Any
) -> Scores:
    """Scores with an effect of row, of patient, and of both together."""
    random = np.random.default_rng(seed)
    values = (
        0.6
        + 0.05 * np.arange(rows)[:, None, None, None]
        + random.normal(scale=0.1, size=(1, 1, patients, 1))
        + random.normal(scale=0.05, size=(rows, 1, patients, 1))
        + random.normal(scale=0.03, size=(rows, seeds, patients, images))
    )
    units = tuple(f"p{number:02}" for number in range(patients) for _ in range(images))
    names = tuple("abcdefgh"[:rows])
    return Scores(names, values.reshape(rows, seeds, -1), units, **more)


def patient_means(scores: Scores) -> Any:
    return scores.values.mean(axis=1).reshape(len(scores.rows), len(set(scores.units)), -1).mean(2)


def test_friedman_and_wilcoxon_are_scipys_on_patient_means() -> None:
    scores = draw()
    means = patient_means(scores)
    found = friedman(scores)
    expected = stats.friedmanchisquare(*means)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.n == 12
    assert found.mean_ranks[3] < found.mean_ranks[0]  # the last is the best: near rank 1
    tests = pair_tests(scores, baseline="a")
    assert [(test.first, test.second) for test in tests] == [("b", "a"), ("c", "a"), ("d", "a")]
    for place, test in enumerate(tests, 1):
        difference = means[place] - means[0]
        reference = stats.wilcoxon(difference, zero_method="zsplit")
        assert (test.statistic, test.p) == pytest.approx((reference.statistic, reference.pvalue))
        assert test.median.estimate == pytest.approx(np.median(difference))
        assert test.difference.estimate == pytest.approx(difference.mean())
        assert test.median.low <= test.median.estimate <= test.median.high
    assert [test.p_holm for test in tests] == pytest.approx(holm([test.p for test in tests]))


def test_intervals_are_scipys_percentiles_widened() -> None:
    scores = draw(rows=2, patients=30)
    means = patient_means(scores)
    widening = math.sqrt(30 / 29) * stats.t.ppf(0.975, 29) / stats.norm.ppf(0.975)
    found = bootstrap(scores)
    for values, interval in [
        (means[0], found.mean("a")),
        (means[1] - means[0], found.difference("b", "a")),
    ]:
        reference = stats.bootstrap(
            (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
        )
        ends = np.array(reference.confidence_interval)
        expected = values.mean() + widening * (ends - values.mean())
        width = expected[1] - expected[0]
        assert interval.estimate == pytest.approx(values.mean())
        assert [interval.low, interval.high] == pytest.approx(expected, abs=0.03 * width)


def test_the_median_of_resamples_is_that_of_the_repeated_values() -> None:
    random = np.random.default_rng(3)
    for n in (4, 5):
        counts = random.multinomial(n, np.full(n, 1 / n), size=50).astype(float)
        lines = random.normal(size=(50, n))
        for values in (lines[:1], lines):
            every = np.broadcast_to(values, counts.shape)
            expected = [
                np.median(np.repeat(own, many.astype(int)))
                for own, many in zip(every, counts, strict=True)
            ]
            assert weighted_median(values, counts) == pytest.approx(expected)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_rank_biserial_by_hand() -> None:
    # Ranks of the sizes: 1, 2, 3, 4; (2 + 3 + 4 - 1) / 10.
    assert rank_biserial(np.array([-0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.8)
    assert rank_biserial(np.array([-1.0, -2.0])) == -1
    assert rank_biserial(np.zeros(3)) == 0
    assert rank_biserial(np.array([0.0, 1.0])) == pytest.approx(2 / 3)


def test_kendalls_tau_is_scipys() -> None:
    random = np.random.default_rng(5)
    first, second = random.integers(0, 5, size=(2, 7, 20)).astype(float)
    expected = [stats.kendalltau(a, b).statistic for a, b in zip(first.T, second.T, strict=True)]
    assert kendall_tau(first, second) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(kendall_tau(np.ones((3, 1)), first[:3, :1])).all()


def test_two_rankings_agree_or_are_reversed() -> None:
    one = draw(rows=4, patients=40)
    values = np.concatenate([one.values, 1 - one.values])
    both = Scores(tuple("abcdwxyz"), values, one.units)
    drawn = bootstrap(both, resamples=200)
    names, first, second = ("k", "l", "m", "n"), tuple("abcd"), tuple("wxyz")
    reverse = agreement(drawn, first, second, names)
    assert (reverse.first, reverse.second) == ((4, 3, 2, 1), (1, 2, 3, 4))
    assert reverse.tau.estimate == reverse.tau.low == reverse.tau.high == -1
    assert agreement(drawn, first, first, names).tau.estimate == 1


def test_standings_by_hand() -> None:
    values = np.array([[[0.5, 0.6, 0.7]], [[0.7, 0.8, 0.9]], [[0.7, 0.8, 0.9]]])
    scores = Scores(("low", "one", "other"), values, ("p", "q", "r"))
    one, other, low = standings(bootstrap(scores, resamples=500), baseline="low")
    assert [each.row for each in (one, other, low)] == ["one", "other", "low"]
    assert [each.rank.estimate for each in (one, other, low)] == [1, 1, 3]
    assert (one.first, other.first, low.first) == (0.5, 0.5, 0.0)  # equal ones share
    assert one.to_best is None
    assert low.to_baseline is None
    assert one.to_baseline is not None
    assert low.to_best is not None
    ends = (one.to_baseline.low, one.to_baseline.high, -low.to_best.low, -low.to_best.high)
    assert ends == pytest.approx((0.2, 0.2, 0.2, 0.2))
    falling = standings(bootstrap(replace(scores, higher_is_better=False), resamples=500))
    assert [each.row for each in falling] == ["low", "one", "other"]
    assert [each.first for each in falling] == [1.0, 0.0, 0.0]


def test_undefined_scores_are_left_out_by_the_stated_rule() -> None:
    nan = math.nan
    values = np.array(
        [
            [[0.2, nan, 0.4, 0.6, nan], [0.4, nan, 0.6, nan, nan]],
            [[0.1, 0.0, 0.3, 0.5, 0.9], [0.3, 0.2, 0.5, 0.7, 0.9]],
        ]
    )
    scores = Scores(("a", "b"), values, ("p", "p", "q", "r", "s"))
    found = unit_scores(scores)
    assert (found.names, found.left_out) == (("p", "q", "r"), ("s",))
    # r has one seed in a; p one image in a and two in b.
    assert found.values == pytest.approx(np.array([[0.3, 0.5, 0.6], [0.15, 0.4, 0.6]]))
    # The mean over seeds of each seed's mean over the units that it has, as over runs.
    assert found.seed_means == pytest.approx(np.array([[0.4, 0.5], [0.85 / 3, 1.45 / 3]]))
    assert found.means == pytest.approx([0.45, 1.15 / 3])
    by_image = unit_scores(replace(scores, average="slice"))
    third, half, fifth = 1 / 3, 1 / 2, 1 / 5
    weights = [
        [[third, third, third], [half, half, 0]],
        [[2 * fifth, fifth, fifth], [2 * fifth, fifth, fifth]],
    ]
    assert by_image.weights == pytest.approx(np.array(weights))
    # s is left out, so that b's mean is over its other four images.
    assert by_image.means == pytest.approx([0.45, (0.9 / 4 + 1.7 / 4) / 2])
    assert bootstrap(scores).left_out == ("s",)
    assert bootstrap(scores).n == pair_tests(scores, [("a", "b")])[0].n == 3


def test_a_mean_is_over_folds_of_each_folds_mean() -> None:
    values = np.array([[[0.9, 0.7, 0.1, 0.2, 0.3]]])
    scores = Scores(("a",), values, ("p", "p", "q", "r", "s"), folds=("1", "1", "1", "2", "2"))
    # Fold 1 has p (0.8) and q (0.1), fold 2 has r and s.
    assert unit_scores(scores).means == pytest.approx([(0.45 + 0.25) / 2])
    by_image = unit_scores(replace(scores, average="slice"))
    assert by_image.means == pytest.approx([(1.7 / 3 + 0.25) / 2])
    # A patient of two folds counts in both, by its mean in each.
    split = replace(scores, units=("p", "q", "q", "p", "s"))
    assert unit_scores(split).means == pytest.approx([((0.9 + 0.4) / 2 + 0.25) / 2])


def test_pooled_scores_are_resampled_by_patient() -> None:
    # tp, fp, fn, tn of four images; patient p has the first two, fold 1 the first three.
    images = np.array([[1, 1, 0, 8], [3, 0, 1, 6], [0, 2, 2, 6], [5, 0, 0, 5]], dtype=float)
    counts = np.stack([images[None], images[::-1][None]])
    found = pooled_bootstrap(
        ("a", "b"),
        counts,
        ("p", "p", "q", "r"),
        "dice",
        folds=("1", "1", "1", "2"),
        resamples=4000,
    )
    first = 2 * 4 / (2 * 4 + 3 + 3), 1.0  # pooled over fold 1, and fold 2 alone
    second = 2 * 8 / (2 * 8 + 2 + 3), 2 * 1 / (2 * 1 + 1)
    assert found.estimates == pytest.approx([sum(first) / 2, sum(second) / 2])
    # Without folds, every resample of three patients has one of 10 contents; the plain mean of
    # resamples is that of their multinomial probabilities.
    plain = pooled_bootstrap(("a",), counts[:1], ("p", "p", "q", "r"), "dice", resamples=50_000)
    by_patient = np.array([images[:2].sum(axis=0), images[2], images[3]])
    expected = 0.0
    for p, q in itertools.product(range(4), repeat=2):
        if p + q <= 3:
            n = (p, q, 3 - p - q)
            tp, fp, fn, _ = np.array(n) @ by_patient
            ways = 6 / math.prod(math.factorial(each) for each in n)
            expected += ways / 27 * 2 * tp / (2 * tp + fp + fn)
    shrunk = plain.estimates[0] + (plain.means[0] - plain.estimates[0]) / plain.widening
    assert shrunk.mean() == pytest.approx(expected, abs=0.003)


def test_means_over_images_weigh_patients_by_their_images() -> None:
    scores = Scores(("a",), np.array([[[1.0, 1.0, 1.0, 0.0]]]), ("p", "p", "p", "q"))
    assert unit_scores(scores).means == pytest.approx([0.5])
    by_image = replace(scores, average="slice")
    assert unit_scores(by_image).means == pytest.approx([0.75])
    # A resample holds p twice, q twice, or both once.
    drawn = bootstrap(by_image, resamples=200)
    plain = 0.75 + (drawn.means - 0.75) / drawn.widening
    assert {round(float(each), 9) for each in plain.ravel()} == {0.0, 0.75, 1.0}


def test_resampled_seeds_give_wider_intervals() -> None:
    random = np.random.default_rng(2)
    scores = draw(rows=2, patients=20, seeds=3)
    noisy = replace(scores, values=scores.values + random.normal(scale=0.2, size=(2, 3, 1)))
    fixed = bootstrap(noisy).difference("b", "a")
    free = bootstrap(noisy, resample_seeds=True).difference("b", "a")
    assert free.estimate == fixed.estimate
    assert free.high - free.low > 2 * (fixed.high - fixed.low)
    with pytest.raises(ValueError, match="two or more"):
        bootstrap(draw(), resample_seeds=True)


def test_the_spread_of_seeds_is_unbiased() -> None:
    """Patients all alike: what is left is the standard error of the mean over seeds."""
    seeds = np.array([0.1, 0.5, 0.9])
    scores = Scores(("a",), np.repeat(seeds[None, :, None], 50, axis=2), tuple(map(str, range(50))))
    drawn = bootstrap(scores, resample_seeds=True)
    expected = seeds.std(ddof=1) / math.sqrt(3) * drawn.widening
    assert drawn.means.std() == pytest.approx(expected, rel=0.03)


def test_a_mean_stays_within_the_bounds_of_its_score() -> None:
    values = np.array([[[0.0, 0.0, 0.0, 0.01]]])
    scores = Scores(("a",), values, tuple("pqrs"))
    assert bootstrap(scores).mean("a").low < 0
    assert bootstrap(replace(scores, bounds=(0.0, 1.0))).mean("a").low == 0


def test_equal_networks_differ_by_nothing() -> None:
    scores = draw(rows=1)
    values = np.concatenate([scores.values] * 3)
    same = Scores(("a", "b", "c"), values, scores.units)
    assert (friedman(same).statistic, friedman(same).p) == (0.0, 1.0)
    (test,) = pair_tests(same, [("a", "b")])
    assert (test.p, test.p_holm, test.biserial) == (1.0, 1.0, 0.0)
    assert (test.difference.low, test.difference.high) == (0.0, 0.0)
    assert not test.difference.excludes_zero


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": np.zeros((2, 3))}, "rows, seeds, images"),
        ({"rows": ("a",)}, "1 rows"),
        ({"rows": ("a", "a")}, "name of its own"),
        ({"values": np.full((2, 1, 36), np.inf)}, "finite"),
    ],
)
def test_scores_that_are_none_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(draw(rows=2), **change)


def test_what_can_not_be_tested_is_refused() -> None:
    scores = draw(rows=2)
    for pairs, baseline in ((None, None), ([("a", "b")], "a"), ([("a", "z")], None), (None, "z")):
        with pytest.raises(ValueError, match=r"baseline|no row"):
            pair_tests(scores, pairs, baseline=baseline)
    with pytest.raises(ValueError, match="no row"):
        standings(bootstrap(scores), baseline="z")
    with pytest.raises(ValueError, match="three rows"):
        friedman(scores)
    with pytest.raises(ValueError, match="intervals need two"):
        bootstrap(draw(patients=1))


few = settings(max_examples=25, deadline=None)


@few
@given(st.integers(0, 10**6), st.permutations(range(4)), st.booleans())
def test_permuted_rows_give_permuted_results(seed: int, order: list[int], free: bool) -> None:
    scores = draw(seeds=2, seed=seed)
    moved = replace(
        scores, rows=tuple(scores.rows[place] for place in order), values=scores.values[order]
    )
    one, other = (bootstrap(each, resamples=200, resample_seeds=free) for each in (scores, moved))
    assert standings(one, "b") == standings(other, "b")
    tests = {test.first: test for test in pair_tests(scores, baseline="b", resampled=one)}
    again = {test.first: test for test in pair_tests(moved, baseline="b", resampled=other)}
    assert tests == again
    assert friedman(scores).statistic == pytest.approx(friedman(moved).statistic)


@few
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(seed: int, random: Any) -> None:
    scores = draw(seed=seed)
    order = list(range(len(scores.units)))
    random.shuffle(order)
    moved = replace(
        scores,
        values=scores.values[:, :, order],
        units=tuple(scores.units[place] for place in order),
    )
    one, other = (bootstrap(each, resamples=200) for each in (scores, moved))
    assert one.means == pytest.approx(other.means)


@few
@given(st.integers(0, 10**6), st.floats(-2, 2))
def test_a_constant_shifts_a_mean_and_keeps_its_width(seed: int, constant: float) -> None:
    scores = draw(seed=seed)
    values = scores.values.copy()
    values[1] += constant
    before, after = (
        bootstrap(each, resamples=200) for each in (scores, replace(scores, values=values))
    )
    for row in scores.rows:
        old, new = before.mean(row), after.mean(row)
        shift = constant if row == "b" else 0.0
        assert new.estimate == pytest.approx(old.estimate + shift)
        assert new.high - new.low == pytest.approx(old.high - old.low)
    old, new = (each.difference("b", "a") for each in (before, after))
    assert (new.low, new.high) == pytest.approx((old.low + constant, old.high + constant))
