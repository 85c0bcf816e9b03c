"""Accuracy against cost: a score over parameters, multiply-adds, images per second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.metrics import METRICS, Metric
from reports.figures.drawing import (
    BLUE,
    COLUMN,
    PAGE,
    SMALL,
    VERMILION,
    Drawn,
    figure_writer,
    new_figure,
    renderer_of,
    set_title,
    style_axes,
)
from reports.figures.key import add_key
from reports.figures.labels import place_labels
from reports.figures.panels import (
    FRONT,
    RING,
    TRIVIAL,
    Cost,
    Network,
    Scores,
    draw_front,
    draw_points,
    draw_rings,
    networks_of,
    score_axis,
)
from reports.figures.words import basis, cautions, score_label, score_words, where
from reports.profiles.caption import how_timed, image, where_and_when
from reports.subject import Subject
from reports.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

_TITLES: dict[Cost, str] = {
    "params": "Parameters",
    "macs": "MACs of one image",
    "fps": "Images per second",
}
"""The costs, and their names on an axis."""

_NAMED = {1: 6, 2: 6, 3: 3}
"""Networks whose names fit beside their points, by the number of panels; more are numbered."""


def draw(
    subject: Subject,
    table: Table,
    *costs: Cost,
    metric: Metric = METRICS["dice_patient"],
    own: str | None = None,
) -> Drawn | None:
    """Draw a score against what the networks cost, a panel for each cost, with Pareto fronts.

    Bars are 95 % intervals over patients. With `metric=METRICS["miou_pooled"]` and all three costs
    it sets accuracy beside parameters, operations and speed as the MiniSeg paper does.

    Args:
        subject: The comparison.
        table: Its leaderboard, for parameters, multiply-adds and the trivial predictors, and for
            the scores of rows that the analysis leaves out.
        costs: `params`, `macs` of one image, or `fps` at batch size 1, which needs the subject's
            machine; where none is named, all three. One that no network has makes no panel.
        metric: The score.
        own: Label of a row that gets a ring around its points.

    Returns:
        The figure; None where no network has the score and one of the costs.
    """
    networks = networks_of(subject, table, metric)
    panels = _panels(networks, costs)
    if not panels:
        return None
    networks = _drawn(networks, panels)
    numbered = len(networks) > _NAMED[len(panels)]
    short = {each.label: str(i) if numbered else each.label for i, each in enumerate(networks, 1)}
    figure = new_figure(COLUMN if len(panels) == 1 else PAGE, 2.8)
    scores = score_axis(networks, metric, table)
    add_key(figure, _legend(networks, scores, own), list(short) if numbered else ())
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    placed = []
    for axis, (cost, drawn) in zip(axes, panels, strict=True):
        best, curve = draw_front(axis, drawn, cost, metric)
        draw_points(axis, drawn, cost, best, most=8 if len(panels) == 1 else 5)
        draw_rings(axis, [each for each in drawn if each.label == own], cost)
        scores.apply(axis)
        axis.set_xlabel(_axis_label(cost, subject, "\n" if len(panels) > 1 else " "))
        style_axes(axis)
        points = [each.point(cost, short[each.label], bold=each.label in best) for each in drawn]
        placed.append((axis, points, curve))
    axes[0].set_ylabel(score_label(metric))
    set_title(figure, f"{metric.title} against cost: {where(subject)}")
    figure.canvas.draw()  # fixes the layout, so that the labels can be placed by their size
    for axis, points, curve in placed:
        place_labels(axis, points, renderer_of(figure), SMALL, curve, marker=2.5)
    return figure_writer(figure)


def _panels(networks: Sequence[Network], costs: Sequence[Cost]) -> list[tuple[Cost, list[Network]]]:
    found = [(cost, [each for each in networks if cost in each.costs]) for cost in costs or _TITLES]
    return [(cost, own) for cost, own in found if own]


def _drawn(
    networks: Sequence[Network], panels: Sequence[tuple[Cost, list[Network]]]
) -> list[Network]:
    """The networks that some panel holds."""
    return [each for each in networks if any(cost in each.costs for cost, _ in panels)]


def _axis_label(cost: Cost, subject: Subject, gap: str) -> str:
    on = f"{gap}({subject.machine.machine})" if cost == "fps" and subject.machine else ""
    return _TITLES[cost] + on


def _legend(
    networks: Sequence[Network], scores: Scores, own: str | None = None
) -> dict[str, Line2D]:
    """The legend: what is said of each handle. A line that is off the axis is not shown."""
    from matplotlib.lines import Line2D

    square: dict[str, Any] = {"marker": "s", "markersize": 4, "mfc": VERMILION, "mec": VERMILION}
    hollow: dict[str, Any] = {"marker": "o", "markersize": 4, "mfc": "white", "mec": BLUE}
    legend = {"Pareto front": Line2D([], [], **FRONT, **square)}
    if not all(each.full for each in networks):
        legend["runs or scores missing"] = Line2D([], [], linestyle="none", **hollow)
    if own in [each.label for each in networks]:
        legend[str(own)] = Line2D([], [], linestyle="none", **RING)
    if scores.words:
        gone = {"linestyle": "none"} if scores.line is None else {}
        legend[scores.words] = Line2D([], [], **TRIVIAL | gone)
    return legend


def caption(
    subject: Subject,
    table: Table,
    *costs: Cost,
    metric: Metric = METRICS["dice_patient"],
) -> str:
    """What `draw` draws of the same arguments, in sentences; empty where there is no figure."""
    networks = networks_of(subject, table, metric)
    panels = _panels(networks, costs)
    if not panels:
        return ""
    costs = tuple(cost for cost, _ in panels)
    drawn = _drawn(networks, panels)
    better = "higher" if metric.higher_is_better else "lower"
    sentences = [
        f"{score_words(metric)} of {len(drawn)} networks on {where(subject)} against "
        f"{_joined([_cost_words(cost, subject) for cost in costs])}.",
        "On the Pareto front (squares, line) are networks to which no other is at once at least as "
        f"good in cost and score and better in one ({better} scores are better); it goes by the "
        "means alone.",
    ]
    if subject.analysis.resampled(metric) is None:
        sentences.append("Scores are means over runs; there are no intervals.")
    else:
        sentences.append(
            "Bars are 95 % intervals by paired bootstrap with 10,000 resamples of "
            f"{basis(subject, metric)}."
        )
        sentences += cautions(subject, metric)
    if not all(each.full for each in drawn):
        sentences.append(
            "Hollow points are means over the runs that there are; they are not on the front."
        )
    if score_axis(drawn, metric, table).line is not None:
        sentences.append("The dashed line is the best trivial predictor.")
    if "fps" in costs and subject.machine is not None:
        timings = [found for each in subject.machine.networks if (found := each.timing("latency"))]
        sentences += [where_and_when(subject.machine), *how_timed(subject.machine, timings)]
    return " ".join(sentences)


def _cost_words(cost: Cost, subject: Subject) -> str:
    if cost == "params":
        return "parameters"
    if cost == "macs":
        sizes = sorted({record.cost.input_size for record in subject.comparison.records})
        images = " or ".join("×".join(map(str, size)) for size in sizes)
        return f"multiply-adds (MACs) of one image of {images}"
    assert subject.machine is not None, "without a machine there is no speed"
    return f"images of {image(subject.machine)} per second, one a pass"


def _joined(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))
