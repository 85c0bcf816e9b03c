"""What the figures' captions share: what was scored, on how much, and what to beware of."""

from __future__ import annotations

from benchmark.metrics import METRICS, Metric
from reports.boards.caption import title
from reports.sentences import UNITS, Shown
from reports.sides import named
from reports.subject import Subject

_OVER = {
    "pooled": "all pixels pooled",
    "slice": "mean over images",
    "patient": "mean over patients",
}


def score_label(metric: Metric) -> str:
    """A score's name on an axis: `Dice (%), mean over patients`."""
    return f"{metric.title} ({Shown(metric).unit}), {_OVER[metric.aggregation]}"


def score_words(metric: Metric) -> str:
    """A score's name in a sentence: `Dice (mean over patients)`."""
    return f"{metric.title} ({_OVER[metric.aggregation]})"


def where(subject: Subject) -> str:
    """The data, the protocol, and what was segmented: `phantom, protocol smoke, lung`."""
    return title(subject.comparison, subject.comparison.targets[0])


def unit_word(subject: Subject, metric: Metric) -> str:
    """What is resampled, in one word: `patients`, `groups`, `slices`."""
    resampled = subject.analysis.resampled(metric)
    return UNITS[resampled.unit].partition(" ")[0] if resampled else "patients"


def basis(subject: Subject, metric: Metric) -> str:
    """What the numbers are made of: `10 patients with 50 test images (folds 1–3; seed 0)`.

    It may be asked for where the metric could be resampled.
    """
    analysis = subject.analysis
    resampled = analysis.resampled(metric)
    assert resampled is not None, "without resamples there is no such figure"
    images = len(analysis.scores(METRICS["dice_slice"]).units)
    side = analysis.sides[0]
    seeds = named("seed", side.seeds) + (", averaged" if len(side.seeds) > 1 else "")
    return (
        f"{resampled.n} {UNITS[resampled.unit]} with {images} test images "
        f"({named('fold', side.folds)}; {seeds})"
    )


def cautions(subject: Subject, metric: Metric) -> list[str]:
    """What a reader must know before trusting the numbers, in sentences."""
    analysis = subject.analysis
    resampled = analysis.resampled(metric)
    assert resampled is not None, "without resamples there is no such figure"
    found = []
    if resampled.unit == "slice":
        found.append("No patients are known, so that slices are the units.")
    if resampled.left_out:
        whole = resampled.n + len(resampled.left_out)
        found.append(
            f"Left out are {len(resampled.left_out)} of {whole} {unit_word(subject, metric)}, "
            "of which some network has no defined score."
        )
    shared = {
        group
        for side in analysis.sides
        for record in side.records
        for group in record.data.shared_groups
    }
    if shared:
        found.append(
            f"{len(shared)} known patients stand on both sides of a fold: the scores are too high "
            "for new patients."
        )
    return found + list(analysis.skipped)
