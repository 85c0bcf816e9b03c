"""Each network's rank with its interval, and its chance of being first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.metrics import METRICS, Metric
from benchmark.statistics import Standing
from reports.figures.drawing import (
    BLUE,
    COLUMN,
    GREY,
    PAGE,
    SMALL,
    Drawn,
    figure_writer,
    name_rows,
    new_figure,
    rank_ticks,
    set_title,
    style_axes,
    text_width,
)
from reports.figures.words import basis, cautions, score_words, where
from reports.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_ROW = 0.155
"""Height of a row in inches."""
_NAMES = 1.7
"""Inches of names beside which a column of a paper still has room for the ranks."""


def draw(subject: Subject, metric: Metric = METRICS["dice_patient"]) -> Drawn | None:
    """Draw each row's rank with its 95 % interval, the best at the top, and how often it is first.

    Args:
        subject: The comparison.
        metric: What the rows are ranked by.

    Returns:
        The figure; None where fewer than two rows, or too few patients, can be ranked.
    """
    standings = subject.analysis.standings(metric)
    if len(standings) < 2:
        return None
    figure = new_figure(COLUMN, 0.75 + _ROW * len(standings))
    names = [each.row for each in standings]
    if max(text_width(figure, name, SMALL) for name in names) > _NAMES:
        figure.set_figwidth(PAGE)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1.1))
    _ranks(left, standings)
    _chances(right, standings)
    name_rows(left, names)
    right.tick_params(axis="y", length=0, labelleft=False)
    set_title(figure, f"Ranks by {metric.title}: {where(subject)}")
    return figure_writer(figure)


def _ranks(axis: Axes, standings: Sequence[Standing]) -> None:
    for place, each in enumerate(standings):
        rank = each.rank
        axis.plot([rank.low, rank.high], [place, place], color=BLUE, linewidth=1.6, zorder=2)
        for end in (rank.low, rank.high):
            axis.plot(end, place, marker="|", markersize=5, color=BLUE, zorder=2)
        axis.plot(rank.estimate, place, marker="o", markersize=4, color=BLUE, zorder=3)
    edge = max(0.5, 0.035 * len(standings))  # no marker is cut
    axis.set_xlim(1 - edge, len(standings) + edge)
    axis.set_xticks(rank_ticks(len(standings)))
    axis.set_xlabel("Rank, 95 % interval")
    style_axes(axis)


def _chances(axis: Axes, standings: Sequence[Standing]) -> None:
    for place, each in enumerate(standings):
        axis.barh(place, each.first, height=0.62, color="#bbbbbb", zorder=2)
        axis.annotate(
            _percent(each.first),
            (each.first, place),
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color="black" if each.first else GREY,
        )
    # A bar of 100 % leaves room for its number.
    axis.set_xlim(0, 1.5)
    axis.set_xticks([0, 1], ["0", "100"])
    axis.set_xlabel("First (%)")
    style_axes(axis, grid="x")


def _percent(share: float) -> str:
    """A share of the resamples: a small one is not none, a large one not all."""
    if 0 < share < 0.01:
        return "<1"
    if 0.99 < share < 1:
        return ">99"
    return f"{100 * share:.0f}"


def caption(subject: Subject, metric: Metric = METRICS["dice_patient"]) -> str:
    """What is drawn, in sentences; empty where there is no figure."""
    standings = subject.analysis.standings(metric)
    if len(standings) < 2:
        return ""
    resampled = subject.analysis.resampled(metric)
    assert resampled is not None, "there are standings"
    resamples = resampled.means.shape[1]
    sentences = [
        f"Ranks of {len(standings)} networks by {score_words(metric)} on {where(subject)}: a point "
        "is the rank by the mean over all data, its line holds 95 % of the ranks in "
        f"{resamples:,} resamples.",
        "At the right, the share of the resamples in which a network is the best.",
        f"Resampled were {basis(subject, metric)}, the same for all networks, which are as they "
        "were trained: a new training may change the order.",
    ]
    return " ".join(sentences + cautions(subject, metric))
