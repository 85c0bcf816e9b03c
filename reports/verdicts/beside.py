"""What is said under a published table that stands beside measured numbers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.metrics import METRICS, Metric
from benchmark.statistics import Interval, kendall_tau
from reports.boards.caption import title
from reports.boards.standings import HEADINGS
from reports.sentences import UNITS
from reports.verdicts.verdict import TARGET, Judged, Line
from results.record import RunRecord

if TYPE_CHECKING:
    from reports.analysis import Analysis

FEWEST = 4
"""Networks below which a rank correlation says nothing."""

_SHARE = 0.05
"""Difference of the shares trained on that is worth a sentence."""


def heading(metric: Metric) -> str:
    """The short name of a score in a table's head."""
    return HEADINGS.get(metric.key, metric.title)


def caption(found: Judged) -> str:
    """What stands beside what."""
    comparison, published = found.comparison, found.published
    keys = [METRICS[key] for key in published.scores.values()]
    how = ", ".join(f"{metric.title} ({metric.aggregation})" for metric in keys)
    means = "one run a row" if len(comparison.wanted) == 1 else "means over runs"
    text = (
        f"Published digits; here: {means} ({title(comparison, TARGET)}); diff.: here minus "
        f"published. {len(found.lines)} of the table's {len(published.rows)} rows have runs "
        f"here. Measured are: {how}."
    )
    resampled = next(
        (each for metric in keys if (each := found.subject.analysis.resampled(metric))), None
    )
    if resampled is None:
        return f"{text} There are no per-image scores to make intervals of."
    text += (
        f" 95 % intervals are of the score over all images, by a bootstrap over {resampled.n} "
        f"{UNITS[resampled.unit]}."
    )
    if resampled.unit == "slice":
        text += " Where several slices are of one patient, the intervals are too narrow."
    return text


def order_sentences(found: Judged) -> list[str]:
    """Whether the networks stand in the same order, score by score, in a sentence."""
    first: dict[int, Line] = {}
    for line in found.lines:  # of two rows that stand for one printed line, the first
        first.setdefault(id(line.printed), line)
    told, n = [], set()
    for place, (name, key) in enumerate(found.published.scores.items()):
        measured = {
            line.entry.label: value
            for line in first.values()
            if (value := line.scores[place].measured.number) is not None
        }
        printed = {line.entry.label: float(line.printed[name]) for line in first.values()}
        each = order(printed, measured, METRICS[key], found.subject.analysis)
        if each is not None:
            told.append(order_words(heading(METRICS[key]), each))
            n.add(each.n)
    if not told:
        return []
    networks = " to ".join(map(str, dict.fromkeys((min(n), max(n)))))
    return [
        f"Order of the {networks} networks in print and here, Kendall's tau (and Spearman's rho): "
        f"{'; '.join(told)}. The intervals are between percentiles of the resamples, whose noise "
        "pulls tau towards 0."
    ]


def why_not_comparable(found: Judged) -> list[str]:
    """What differs between the published and the measured numbers, where something does."""
    reasons = dict.fromkeys(each.sentence for each in found.reasons)
    by_row: dict[str, list[str]] = {}
    for line in found.lines:
        for each in line.reasons:
            by_row.setdefault(each.sentence, []).append(line.entry.label)
    for sentence, rows in by_row.items():
        whole = len(rows) == len(found.lines)
        reasons[sentence if whole else f"{sentence} ({', '.join(rows)})"] = None
    if not reasons:
        return []
    return [f"The scores are not comparable with the published ones: {'; '.join(reasons)}."]


def remarks(found: Judged) -> list[str]:
    """What forbids no verdict, and a reader should know: runs, shares, empty masks, rows left."""
    published, records = found.published, [r for line in found.lines for r in line.entry.records]
    notes = []
    few = [line.entry.label for line in found.lines if len(line.entry.records) < published.runs]
    if few:
        whom = "every row" if len(few) == len(found.lines) else ", ".join(few)
        notes.append(f"Fewer than the paper's {published.runs} runs stand behind {whom}.")
    if published.runs == 1:
        notes.append(
            f"Behind each published number stands one training on {published.split}: how much "
            "another draw or seed would change it is not known."
        )
    shares = [r.data.n_train / (r.data.n_train + r.data.n_test) for r in records]
    share = published.train_share
    if share is not None and max(abs(each - share) for each in shares) > _SHARE:
        here = "–".join(dict.fromkeys(f"{each:.0%}"[:-1] for each in (min(shares), max(shares))))
        notes.append(f"The paper trained on {100 * share:.0f} % of the slices; here {here} %.")
    penalised = sum(_penalised(record) for record in records)
    if penalised:
        rule = found.comparison.spec.settings.get("score", {}).get("pred_empty", "worst")
        notes.append(
            f"{penalised} times only one of an image's two masks is empty, which is scored by "
            f"pred_empty = {rule}; the paper does not say how it scores that."
        )
    return [*notes, *found.subject.analysis.skipped]


def _penalised(record: RunRecord) -> int:
    score = record.scores.get(TARGET, {}).get("dice_slice")
    return score.penalised if score else 0


@dataclass(frozen=True)
class Order:
    """Whether networks stand in the same order in print and here, by one metric.

    Attributes:
        n: Number of networks.
        tau: Kendall's tau-b; without an interval both ends are nan. The estimate is nan where all
            networks are equal on one side.
        rho: Spearman's rank correlation.
    """

    n: int
    tau: Interval
    rho: float


def order(
    published: Mapping[str, float],
    measured: Mapping[str, float],
    metric: Metric,
    analysis: Analysis,
) -> Order | None:
    """The rank correlation of printed and measured numbers.

    Args:
        published: The printed number of each row.
        measured: The rows' mean over runs.
        metric: The score.
        analysis: Its resamples give the interval. Where there are some, rows that they lack,
            which miss runs, are left out.

    Returns:
        The correlation over the rows that have both numbers; None for fewer than `FEWEST`.
    """
    import numpy as np

    resampled = analysis.resampled(metric)
    rows = [
        row for row in published if row in measured and (not resampled or row in resampled.rows)
    ]
    if len(rows) < FEWEST:
        return None
    theirs = np.array([[published[row]] for row in rows])
    ours = np.array([[measured[row]] for row in rows]).round(12)
    tau = float(kendall_tau(ours, theirs)[0])
    rho = _spearman(ours[:, 0].tolist(), theirs[:, 0].tolist())
    ends = (float("nan"), float("nan"))
    if resampled is not None:
        places = [resampled.rows.index(row) for row in rows]
        with warnings.catch_warnings():  # every network is equal in every resample
            warnings.simplefilter("ignore", RuntimeWarning)
            taus = kendall_tau(resampled.means[places].round(12), theirs)
            ends = tuple(map(float, np.nanquantile(taus, resampled.ends)))  # type: ignore[assignment]
    return Order(len(rows), Interval(tau, *ends), rho)


def _spearman(first: Sequence[float], second: Sequence[float]) -> float:
    from scipy.stats import spearmanr

    if len(set(first)) == 1 or len(set(second)) == 1:
        return float("nan")
    return float(spearmanr(first, second).statistic)


def order_words(title: str, found: Order) -> str:
    """A rank correlation in words: `Dice 0.62 (95 % 0.31 to 0.80; rho 0.75)`."""
    tau = found.tau
    if tau.estimate != tau.estimate:
        return f"{title}: undefined, since all are equal"
    span = f"95 % {tau.low:.2f} to {tau.high:.2f}; " if tau.low == tau.low else ""
    return f"{title} {tau.estimate:.2f} ({span}rho {found.rho:.2f})"
