"""Whether a published number was reproduced, and where that can't be asked: why.

A verdict needs the paper's data, kind of split, network, training, weights and score. How many
runs stand on either side does not forbid one; it is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.metrics import METRICS, Metric
from reports.comparison import Comparison, Entry
from reports.frame import summarise, tidy
from reports.subject import Subject
from reports.tables.table import Cell
from reports.verdicts.printed import doubtful
from results.published import PublishedTable, half_unit

Printed = Mapping[str, str]
Matched = Sequence[tuple[Entry, str, Printed]]
"""Rows with the method that each stands for and its printed line, in the table's order."""

TARGET = "infection"

REPRODUCED = "reproduced"
WITHIN_NOISE = "within noise"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NOT_MEASURED = "not measured"
NOT_COMPARABLE = "not comparable"

MEANING = (
    "Reproduced: the published number lies in the 95 % interval of the score here. Within noise: "
    "it lies within two standard deviations over runs of their mean. Not reproduced: in neither. "
    "Undecided: a single run without an interval. A number counts as whatever rounds to its "
    "printed digits."
)

_NO_MATTER = ("run.precision", "run.channels_last", "run.compile", "split.seed", "split.draws")
"""Changes of a protocol that leave the training and the kind of split what the paper says."""

_BASELINES = {"augment.sizes=[1.0]", "augment.border_crop_px=[16]"}
"""Changes by which `miniseg-code` trains its baselines, as the authors' code does."""


@dataclass(frozen=True)
class Reason:
    """Why numbers are not comparable: what differs, and the sentence that says how."""

    what: str
    sentence: str


def comparison_reasons(comparison: Comparison, published: PublishedTable) -> list[Reason]:
    """What differs between a paper's experiment and all runs of a comparison.

    Args:
        comparison: The runs.
        published: The published table.

    Returns:
        Data, split and score, where they are not the paper's; none where they are.
    """
    spec = comparison.spec
    found = []
    if spec.dataset != published.dataset:
        theirs = published.dataset or "of its own and not among the datasets here"
        found.append(Reason("data", f"the data are {spec.dataset}, the paper's are {theirs}"))
    records = comparison.records
    if records and all(record.data.groups_disjoint for record in records):
        found.append(
            Reason(
                "split",
                "no patient stands on both sides of a fold here, where the paper's split did not "
                f"keep patients whole ({published.split})",
            )
        )
    size = spec.settings.get("score", {}).get("size", "native")
    if size not in ("native", published.size):
        sentence = f"masks are scored at {size} pixels a side, the paper's at {published.size}"
        found.append(Reason("metric", sentence))
    return found


def row_reasons(
    comparison: Comparison, entry: Entry, line: Mapping[str, str], published: PublishedTable
) -> list[Reason]:
    """What differs between the training behind a printed line and a row's runs.

    Args:
        comparison: Where the row stands.
        entry: The row.
        line: The printed line.
        published: Its table.

    Returns:
        Protocol, network and weights, where they are not the paper's.
    """
    spec, found = comparison.spec, []
    if spec.protocol in published.protocols and comparison.protocol is None:
        sentence = "the settings are those of another version of covbench"
        found.append(Reason("protocol", sentence))
    elif spec.protocol not in published.protocols:
        which = " or ".join(published.protocols)
        found.append(Reason("protocol", f"the protocol is {spec.protocol}, not {which}"))
    else:
        changes = [
            change
            for change in comparison.changes
            if not change.startswith(_NO_MATTER)
            and not (change in _BASELINES and entry.records[0].spec.model != "miniseg")
        ]
        if changes:
            found.append(Reason("protocol", f"the protocol was changed ({', '.join(changes)})"))
    options = [name for name in entry.records[0].spec.options if name != "weights"]
    if options:
        sentence = f"it is another network than the paper's by its options ({', '.join(options)})"
        found.append(Reason("network", sentence))
    own, theirs = weights_of(entry), line.get("imagenet", "")
    if entry.records[0].spec.weights:
        found.append(Reason("weights", "its weights come from a file and were not trained here"))
    elif own == "other" and theirs:
        found.append(Reason("weights", "it starts from a file of weights"))
    elif theirs == "yes" and own == "no":
        found.append(Reason("weights", "published with ImageNet weights, measured from scratch"))
    elif theirs == "no" and own == "yes":
        found.append(Reason("weights", "published from scratch, measured with ImageNet weights"))
    return found


def weights_of(entry: Entry) -> str:
    """Whether a row starts from ImageNet weights: `yes`, `no`, or `other` for a file's."""
    weights = entry.records[0].spec.options.get("weights")
    return {None: "no", "imagenet": "yes"}.get(weights, "other")  # type: ignore[arg-type]


def verdict(
    printed: str,
    measured: Cell,
    interval: tuple[float, float] | None,
    differing: Sequence[str] = (),
) -> str:
    """What is to be said of a published number.

    Args:
        printed: The number, in its printed digits.
        measured: Mean and spread over runs, in the same unit.
        interval: The 95 % interval of the score, in the same unit.
        differing: What makes that the two can't be compared, such as `data`.

    Returns:
        One of the words of this module; where the two aren't comparable, with what differs.
    """
    if differing:
        return f"{NOT_COMPARABLE} ({', '.join(dict.fromkeys(differing))})"
    value = measured.number
    if value is None:
        return NOT_MEASURED
    if interval is not None and _holds(*interval, printed):
        return REPRODUCED
    spread = measured.spread
    if spread is not None and _holds(value - 2 * spread, value + 2 * spread, printed):
        return WITHIN_NOISE
    return NOT_REPRODUCED if interval is not None or spread is not None else UNDECIDED


def _holds(low: float, high: float, printed: str) -> bool:
    """Whether a span holds a number that rounds to the printed one."""
    half = half_unit(printed) + 1e-9
    return low - half <= float(printed) <= high + half


@dataclass(frozen=True)
class Score:
    """One score of one row, published and measured, in the published table's unit.

    Attributes:
        metric: The score that stands for the published one.
        printed: The published digits.
        measured: Mean and spread over runs, and the interval of the score over all images.
        verdict: What is to be said.
    """

    metric: Metric
    printed: str
    measured: Cell
    verdict: str

    @property
    def difference(self) -> Cell:
        """Measured minus published."""
        value = self.measured.number
        if value is None:
            return Cell()
        difference = value - float(self.printed)
        return Cell(difference, text=f"{round(difference, 2) + 0.0:+.2f}")


@dataclass(frozen=True)
class Line:
    """One row: what it is published as, its scores, and why some are not comparable."""

    entry: Entry
    method: str
    printed: Printed
    scores: tuple[Score, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Judged:
    """All rows of a comparison beside a published table."""

    subject: Subject
    published: PublishedTable
    lines: tuple[Line, ...]
    reasons: tuple[Reason, ...]

    @property
    def comparison(self) -> Comparison:
        """Its runs."""
        return self.subject.comparison

    def name(self, what: str) -> str:
        """The name of one of its tables."""
        spec = self.comparison.spec
        return f"{self.published.name}-{what}-{spec.dataset}-{spec.protocol}"


def judge(subject: Subject, published: PublishedTable, matched: Matched) -> Judged:
    """Set the rows of a comparison beside the printed lines that they stand for.

    Args:
        subject: The comparison, with its intervals.
        published: The published table.
        matched: Its rows and lines.

    Returns:
        Every score with its verdict, all in the published table's units.
    """
    shared = comparison_reasons(subject.comparison, published)
    lines = []
    for entry, method, line in matched:
        own = row_reasons(subject.comparison, entry, line, published)
        frame = tidy(entry.records)
        summary = summarise(frame[frame["target"] == TARGET])
        scores = []
        for name, key in published.scores.items():
            scale = _scale(METRICS[key], published)
            cell = summary.get(key, Cell())
            interval = subject.analysis.interval(entry.label, METRICS[key])
            ends = (interval.low * scale, interval.high * scale) if interval else None
            measured = Cell(
                None if cell.number is None else cell.number * scale,
                None if cell.spread is None else cell.spread * scale,
                cell.n,
                interval=ends,
            )
            differing = [each.what for each in (*shared, *own)]
            differing += ["metric"] if name in doubtful(published, line) else []
            word = verdict(line[name], measured, ends, differing)
            scores.append(Score(METRICS[key], line[name], measured, word))
        lines.append(Line(entry, method, line, tuple(scores), tuple(own)))
    return Judged(subject, published, tuple(lines), tuple(shared))


def _scale(metric: Metric, published: PublishedTable) -> float:
    return 100.0 if published.percent and metric.unit == "fraction" else 1.0


def unit_of(metric: Metric, published: PublishedTable) -> str:
    """The unit of a score as a published table prints it: `%`, none for a fraction, or `px`."""
    if metric.unit == "fraction":
        return "%" if published.percent else ""
    return metric.unit
