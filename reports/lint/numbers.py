"""What can't be true of one record's numbers, by the record alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from benchmark.metrics import METRICS, Confusion, InconsistentScores, Metric, Score
from benchmark.metrics.aggregate import check_identities
from results.record import Counts, RunRecord

TOLERANCE = 1e-9
"""Of a fraction, or relative to a length: less is rounding."""

Scores = Mapping[str, Score]


def contradictions(record: RunRecord) -> Iterator[str]:
    """Where a record says two things of one run."""
    spec, data, training = record.spec, record.data, record.training
    if data.manifest_hash != spec.data_hash:
        yield "it was run on other data than it is recorded for"
    if data.fold_hash != spec.fold_hash:
        yield "it was run on another fold than it is recorded for"
    if data.groups_disjoint and data.shared_groups:
        yield "its patients are said to be disjoint and to be shared"
    if training is None and spec.weights is None:
        yield "it was neither trained nor given weights"
    rule = spec.settings.get("run")
    select = rule.get("select") if isinstance(rule, dict) else None
    if training is not None and select is not None and training.selection != select:
        yield f"the weights scored were chosen by {training.selection!r}, not by {select!r}"


def impossible_scores(record: RunRecord) -> Iterator[str]:
    """Scores that no confusion matrix has, or not the recorded one, for every target."""
    for target, scores in record.scores.items():
        known = {key: score for key, score in scores.items() if key in METRICS}
        yield from _out_of_range(known)
        yield from _miscounted(known, record.data.n_test)
        counts = record.counts.get(target)
        if counts is not None:
            yield from _not_of_counts(known, counts)
        yield from _identities(known)
        yield from _bounds(known)
        if _border(record):
            yield from _lengths(known)


def differ(value: float | None, expected: float | None) -> bool:
    """Whether two scores differ by more than rounding; None is undefined, and nan as well."""
    one, other = (math.nan if each is None else each for each in (value, expected))
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) != math.isnan(other)
    return abs(one - other) > TOLERANCE * max(1.0, abs(other))


def number(value: float | None) -> str:
    """A score in a sentence."""
    return "undefined" if value is None or math.isnan(value) else f"{value:.6g}"


def _out_of_range(scores: Scores) -> Iterator[str]:
    for key, score in scores.items():
        metric = METRICS[key]
        most = 1.0 if metric.unit == "fraction" else math.inf
        if score.value is not None and not -TOLERANCE <= score.value <= most + TOLERANCE:
            span = "0 to 1" if most == 1 else "what a distance can be"
            yield f"{metric.label} is {number(score.value)}, outside {span}"
        own = score.unit, score.higher_is_better, score.aggregation
        if own != (metric.unit, metric.higher_is_better, metric.aggregation):
            yield f"{metric.label} has another unit, direction or average than it is defined with"


def _miscounted(scores: Scores, images: int) -> Iterator[str]:
    """Numbers of images or patients that don't add up."""
    patients = {
        score.n + score.undefined for score in scores.values() if score.aggregation == "patient"
    }
    if len(patients) > 1 or any(not 0 < each <= images for each in patients):
        yield f"{' and '.join(map(str, sorted(patients)))} patients in {images} images"
    for key, score in scores.items():
        label = METRICS[key].label
        total = score.n + score.undefined
        if score.aggregation != "patient" and total != images:
            yield f"{label} is of {total} images, and {images} were tested"
        if score.penalised > score.n:
            yield f"{label} has more penalised than defined values"
        if (score.value is None) != (score.n == 0):
            yield f"{label} is {number(score.value)} with {score.n} defined values"


def _not_of_counts(scores: Scores, counts: Counts) -> Iterator[str]:
    """Pooled scores that don't follow from the pooled pixel counts."""
    if min(counts.tp, counts.fp, counts.fn, counts.tn) < 0:
        yield "it counts fewer than 0 pixels"
        return
    pooled = Confusion(counts.tp, counts.fp, counts.fn, counts.tn)
    for metric, score in _of(scores, "pooled"):
        expected = getattr(pooled, metric.measure)
        if differ(score.value, expected):
            yield (
                f"{metric.label} is {number(score.value)} where its pixel counts give "
                f"{number(expected)}"
            )


def _identities(scores: Scores) -> Iterator[str]:
    """Pooled scores that can't be of one confusion matrix."""
    values = {
        metric.measure: math.nan if score.value is None else score.value
        for metric, score in _of(scores, "pooled")
    }
    if {"dice", "jaccard", "sensitivity", "specificity", "accuracy"} <= values.keys():
        try:
            check_identities(values)
        except InconsistentScores as error:
            yield f"pooled {error}"


def _bounds(scores: Scores) -> Iterator[str]:
    """Means of Dice and Jaccard that no images can have.

    Of one image J = D / (2 - D) holds, which is convex and not above D: the mean of J lies between
    what the mean of D gives (Jensen's inequality) and the mean of D.
    """
    for how in ("slice", "patient"):
        dice, jaccard = scores.get(f"dice_{how}"), scores.get(f"jaccard_{how}")
        if (
            dice is None
            or jaccard is None
            or (dice.n, dice.undefined)
            != (
                jaccard.n,
                jaccard.undefined,
            )
        ):
            continue
        if dice.value is None or jaccard.value is None:
            continue
        least = dice.value / (2 - dice.value) if dice.value < 2 else math.inf
        if not least - TOLERANCE <= jaccard.value <= dice.value + TOLERANCE:
            yield (
                f"a mean Jaccard ({how}) of {number(jaccard.value)} does not go with a mean Dice "
                f"of {number(dice.value)}"
            )


def _lengths(scores: Scores) -> Iterator[str]:
    """Percentiles and means of distances that are above their largest."""
    for key, longest in scores.items():
        metric = METRICS[key]
        if metric.measure != "hausdorff" or longest.value is None:
            continue
        for measure in ("hd95", "assd"):
            other = scores.get(key.replace("hausdorff", measure))
            if other is None or other.value is None or other.n != longest.n:
                continue
            if other.value > longest.value * (1 + TOLERANCE):
                yield (
                    f"{METRICS[key.replace('hausdorff', measure)].label} is "
                    f"{number(other.value)}, above {metric.label} {number(longest.value)}"
                )


def _border(record: RunRecord) -> bool:
    """Whether all distances run over the same points, so that they can be ordered."""
    rule = record.spec.settings.get("score")
    return isinstance(rule, dict) and rule.get("surface_points") == "border"


def _of(scores: Scores, aggregation: str) -> Iterator[tuple[Metric, Score]]:
    for key, score in scores.items():
        if METRICS[key].aggregation == aggregation:
            yield METRICS[key], score
