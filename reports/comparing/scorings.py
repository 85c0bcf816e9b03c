"""Ways to score stored predictions: a protocol's own, and others that differ in one rule each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmark.metrics import METRICS, Metric
from benchmark.protocols import Protocol, ScoreRule
from reports.comparing.rescoring import HALF
from results.spec import RunSpec

THRESHOLDS = (0.3, 0.7)
"""Thresholds beside 0.5. They are fixed beforehand: one chosen by its score would be overfitted."""

RULES: dict[str, tuple[str, ...]] = {
    "both_empty": ("undefined", "perfect"),
    "pred_empty": ("worst", "zero-all"),
    "surface_points": ("border", "foreground"),
}
"""The rules that can be changed after the fact, and their values."""

AGGREGATIONS = {
    "slice": "mean over images",
    "patient": "mean over patients",
    "pooled": "pixels of a run's images pooled",
}
OWN = "as scored"


@dataclass(frozen=True)
class Setting:
    """One way to score stored predictions."""

    label: str
    rule: ScoreRule
    metric: Metric
    threshold: float = HALF


def settings_of(
    rule: ScoreRule, metric: Metric, thresholds: Sequence[float] = THRESHOLDS
) -> list[Setting]:
    """The protocol's own way of scoring, then every other value of each factor.

    Args:
        rule: The protocol's own rule.
        metric: What is ranked by.
        thresholds: Probabilities from which on a pixel is foreground, beside 0.5.
    """
    own = Setting(OWN, rule, metric)
    found = [own]
    for key, values in RULES.items():
        found += [_ruled(own, {key: value}) for value in values if value != getattr(rule, key)]
    for each in METRICS.values():
        same = (each.measure, each.unit) == (metric.measure, metric.unit)
        if same and each.aggregation != metric.aggregation:
            found.append(replace(own, label=AGGREGATIONS[each.aggregation], metric=each))
    found += [
        replace(own, label=f"threshold {threshold}", threshold=threshold)
        for threshold in dict.fromkeys(thresholds)
        if threshold != HALF
    ]
    return found


def settings_towards(rule: ScoreRule, other: ScoreRule, metric: Metric) -> list[Setting]:
    """The protocol's own way of scoring, then each rule in which another protocol differs.

    Where there are several, all together come last. `score.size` is not among them: predictions
    are stored at the size at which they were scored.
    """
    own = Setting(OWN, rule, metric)
    changed = {
        key: getattr(other, key) for key in RULES if getattr(other, key) != getattr(rule, key)
    }
    found = [own, *(_ruled(own, {key: value}) for key, value in changed.items())]
    if len(changed) > 1:
        found.append(replace(_ruled(own, changed), label="all of these together"))
    return found


def _ruled(own: Setting, changes: Mapping[str, str]) -> Setting:
    label = ", ".join(f"score.{key} = {value}" for key, value in changes.items())
    rule = ScoreRule.model_validate({**own.rule.model_dump(), **changes})
    return replace(own, label=label, rule=rule)


def out_of_reach(spec: RunSpec, towards: Protocol) -> list[str]:
    """A sentence on what differs between two protocols and needs new runs; none where nothing does.

    Args:
        spec: A run under the one.
        towards: The other.
    """
    before, after = (
        {f"{section}.{key}": value for section, own in each.items() for key, value in own.items()}
        for each in (spec.settings, towards.canonical())
    )
    told = [
        f"{key} ({before.get(key, 'none')} and {after.get(key, 'none')})"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and key not in {f"score.{rule}" for rule in RULES}
    ]
    if not told:
        return []
    return [
        f"{spec.protocol} and {towards.name} differ in more, which needs new runs and is not in "
        f"this table: {', '.join(told)}."
    ]
