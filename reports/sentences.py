"""What a comparison found, in sentences that a paper can quote, and what to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.labels import ALL
from benchmark.metrics import Metric
from benchmark.statistics import Bootstrap, Interval, PairTest, Scores, Unit
from reports.sides import Side, left_out_of, named
from reports.tables.table import Column
from results.spec import RunSpec

UNITS: dict[Unit, str] = {
    "patient": "patients",
    "group": "groups (patients where they are known, else single slices)",
    "slice": "slices",
}
_WILCOXON_LEAST = 6
"""Of fewer units, even if all agree, the test's two-sided p is above 0.05."""


@dataclass(frozen=True)
class Shown:
    """How a metric's numbers are shown: fractions in percent, their differences in points."""

    metric: Metric

    @property
    def scale(self) -> float:
        """What a number is multiplied by."""
        return 100.0 if self.metric.unit == "fraction" else 1.0

    @property
    def unit(self) -> str:
        """Unit of a score."""
        return "%" if self.metric.unit == "fraction" else self.metric.unit

    @property
    def step(self) -> str:
        """Unit of a difference."""
        return "points" if self.metric.unit == "fraction" else self.metric.unit

    def column(self, key: str, title: str, difference: bool = False, brief: bool = True) -> Column:
        """A column of scores, or of differences."""
        unit = self.step if difference else self.unit
        return Column(key, title, unit=unit, scale=self.scale, brief=brief)

    def end(self, key: str, title: str, brief: bool = True) -> Column:
        """A column of one end of an interval; the unit stands in the column before."""
        return Column(key, title, scale=self.scale, brief=brief)

    def span(self, interval: Interval) -> str:
        """Both ends: `95 % interval 10.10 to 19.50`."""
        low, high = interval.low * self.scale, interval.high * self.scale
        return f"95 % interval {low + 0.0:.2f} to {high + 0.0:.2f}"

    def number(self, value: float) -> str:
        """A number without its unit."""
        return f"{value * self.scale + 0.0:.2f}"


def notes(
    sides: Sequence[Side],
    scores: Scores,
    drawn: Bootstrap,
    resample_seeds: bool = False,
) -> list[str]:
    """What a reader must know of the numbers: units, seeds, what is missing."""
    found = []
    if scores.unit == "slice":
        found.append(
            "No patients are known: slices are the units. Where several are of one patient, the "
            "intervals are too narrow and p is too small."
        )
    elif scores.unit == "group":
        found.append(
            "Not all patients are surely known: known groups are kept together, every other slice "
            "stands for itself, so that intervals may be too narrow and p too small."
        )
    if drawn.left_out:
        names = ", ".join(drawn.left_out[:3]) + (", ..." if len(drawn.left_out) > 3 else "")
        found.append(
            f"Left out, since a row has no defined score of them: {len(drawn.left_out)} "
            f"{UNITS[scores.unit]} ({names})."
        )
    if drawn.n < _WILCOXON_LEAST:
        found.append(f"Of {drawn.n} {UNITS[scores.unit]} no Wilcoxon test can give p below 0.05.")
    if scores.seeds == 1:
        found.append("One training each: how much another seed changes is not in these numbers.")
    elif not resample_seeds:
        found.append(
            "Intervals and p are about new patients, for the networks as they were trained: a new "
            "training may change the order. --resample-seeds gives intervals that hold that."
        )
    else:
        found.append(
            "The intervals are about new trainings on new patients (seeds are drawn as well); p is "
            "about new patients alone."
        )
    shared = {g for s in sides for record in s.records for g in record.data.shared_groups}
    if shared:
        found.append(
            f"{len(shared)} known patients stand on both sides of a fold: the scores are too high "
            "for new patients."
        )
    return found + left_out_of(sides)


def differences(first: Side, second: Side) -> list[str]:
    """In which settings, sources and versions two sides differ, beyond the network itself."""
    one, other = (side.records[0].spec for side in (first, second))
    before, after = flat_settings(one), flat_settings(other)
    found = [
        f"{key} ({before.get(key, 'none')} and {after.get(key, 'none')})"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
    if one.model == other.model:
        found += ["the network's source"] if one.source != other.source else []
        found += ["the scored weights"] if one.weights != other.weights else []
    text = f"{first.label} and {second.label} differ in: {', '.join(found)}."
    return [text] if found else []


def flat_settings(spec: RunSpec) -> dict[str, Any]:
    """The settings as `optim.epochs`, and the revisions."""
    found: dict[str, Any] = {
        "training_revision": spec.training_revision,
        "scoring_revision": spec.scoring_revision,
    }
    for section, fields in spec.settings.items():
        own = fields if isinstance(fields, dict) else {"": fields}
        found |= {f"{section}.{name}".rstrip("."): value for name, value in own.items()}
    return found


def p_text(p: float) -> str:
    """A p-value with its sign: `= 0.013`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def means_sentence(
    first: Side, second: Side, scores: Scores, drawn: Bootstrap, shown: Shown
) -> str:
    """What was measured on how much, and both means with their intervals."""
    images = scores.values.shape[2]
    seeds = f"{named('seed', first.seeds)}, averaged" if scores.seeds > 1 else "one seed"
    over = "images" if scores.average == "slice" else UNITS[scores.unit].partition(" ")[0]
    one, other = (drawn.mean(side.label) for side in (first, second))
    return (
        f"Over {drawn.n} {UNITS[scores.unit]} with {images} test images "
        f"({named('fold', first.folds)}; {seeds}) the mean {shown.metric.title} over {over} is "
        f"{shown.number(one.estimate)} {shown.unit} for {first.label} ({shown.span(one)}) and "
        f"{shown.number(other.estimate)} {shown.unit} for {second.label} ({shown.span(other)})."
    )


def difference_sentences(test: PairTest, shown: Shown, resample_seeds: bool) -> list[str]:
    """The difference, whether it can be told from none, the test and its effect sizes."""
    difference, median = test.difference, test.median
    units = UNITS[test.unit]
    drawn = f"{test.n} {units}" + (" and over seeds" if resample_seeds else "")
    method = f"{shown.span(difference)}; paired bootstrap over {drawn}, 10,000 resamples"
    size = f"{shown.number(abs(difference.estimate))} {shown.step}"
    if difference.excludes_zero:
        positive = difference.estimate > 0
        how = "higher" if positive else "lower"
        verdict = "better" if positive == shown.metric.higher_is_better else "worse"
        told = (
            f"{test.first} has a mean {shown.metric.title} {size} {how} than {test.second}, which "
            f"is {verdict} (difference {shown.number(difference.estimate)} {shown.step}, {method})."
        )
    else:
        told = (
            f"The mean {shown.metric.title} of {test.first} minus that of {test.second} is "
            f"{shown.number(difference.estimate)} {shown.step} ({method}): the interval holds 0, "
            "so these data don't tell which is better."
        )
    return [
        told,
        f"Wilcoxon signed-rank test on the means of these {units.partition(' ')[0]}: p "
        f"{p_text(test.p)}; median difference {shown.number(median.estimate)} {shown.step} "
        f"({shown.span(median)}); matched-pairs rank-biserial correlation {test.biserial:.2f}.",
    ]


def scored(spec: RunSpec) -> str:
    """What per-image scores and stored predictions are of, after a comma; nothing for infection."""
    what = {"infection": "", "multiclass": f", {ALL}"}
    return what.get(spec.truth, f", {spec.truth}")
