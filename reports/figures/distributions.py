"""Every patient's score by every network, with median and quartiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.metrics import METRICS, Metric
from benchmark.statistics import unit_scores
from reports.figures.drawing import (
    BLUE,
    COLUMN,
    PAGE,
    SMALL,
    VERMILION,
    Drawn,
    figure_writer,
    name_rows,
    new_figure,
    set_title,
    style_axes,
    text_width,
)
from reports.figures.words import basis, cautions, unit_word, where
from reports.sentences import Shown
from reports.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes

    Floats = npt.NDArray[np.float64]

_HALF = 0.36
"""How far points may stand above or below the middle of their row, in rows."""
_NAMES = 1.5
"""Inches of names beside which a column of a paper still has room for the points."""
_FEW = 40
"""Patients up to which a point is drawn large."""


def draw(subject: Subject, metric: Metric = METRICS["dice_patient"]) -> Drawn | None:
    """Draw every patient's score as a point, a row for each network, the best mean at the top.

    Args:
        subject: The comparison.
        metric: The score.

    Returns:
        The figure; None where there are too few patients, or where single patients have no such
        score.
    """
    rows = _rows(subject, metric)
    if not rows:
        return None
    n = len(rows[0][1])
    figure = new_figure(COLUMN, 0.7 + (0.2 if n <= _FEW else 0.26) * len(rows))
    names = [name for name, _ in rows]
    if n > _FEW or max(text_width(figure, name, SMALL) for name in names) > _NAMES:
        figure.set_figwidth(PAGE)
    axis = figure.subplots()
    _draw(axis, [values for _, values in rows], figure.get_figwidth())
    name_rows(axis, names)
    unit = unit_word(subject, metric).removesuffix("s")
    axis.set_xlabel(f"{metric.title} of each {unit} ({Shown(metric).unit})")
    style_axes(axis, grid="x")
    set_title(figure, f"{metric.title}: {where(subject)}")
    return figure_writer(figure)


def _rows(subject: Subject, metric: Metric) -> list[tuple[str, Floats]]:
    """The rows, best mean first, with the patients' scores as they are shown."""
    analysis = subject.analysis
    if metric.aggregation == "pooled" or analysis.resampled(metric) is None:
        return []
    values = unit_scores(analysis.scores(metric)).values * Shown(metric).scale
    by_name = dict(zip(analysis.rows, values, strict=True))
    return [(each.row, by_name[each.row]) for each in analysis.standings(metric)]


def _draw(axis: Axes, rows: Sequence[Floats], inches: float) -> None:
    import numpy as np

    n = len(rows[0])
    size = 2.6 if n <= _FEW else 1.8
    low, high = min(map(np.min, rows)), max(map(np.max, rows))
    span = float(high - low) or 1.0
    # As many columns of points as fit beside each other.
    width = inches * 0.6 * 72 / (size + 0.4)
    for place, values in enumerate(rows):
        heights = place + swarm(values, span / width, _HALF)
        axis.plot(
            values,
            heights,
            linestyle="none",
            marker="o",
            markersize=size,
            markerfacecolor=BLUE,
            markeredgecolor="none",
            alpha=0.65,
            zorder=2,
        )
        first, median, third = np.quantile(values, (0.25, 0.5, 0.75))
        axis.plot(
            [first, third, third, first, first],
            [place - 0.4, place - 0.4, place + 0.4, place + 0.4, place - 0.4],
            color="#333333",
            linewidth=0.7,
            zorder=3,
        )
        axis.plot(
            [median, median], [place - 0.4, place + 0.4], color=VERMILION, linewidth=1.8, zorder=4
        )
        axis.plot(
            values.mean(),
            place,
            marker="D",
            markersize=3.2,
            markerfacecolor="white",
            markeredgecolor="black",
            markeredgewidth=0.7,
            zorder=5,
        )
    axis.set_xlim(low - 0.03 * span, high + 0.03 * span)


def swarm(values: Floats, width: float, half: float) -> Floats:
    """How far each point is moved across its row so that near ones stand beside each other.

    Points that share a stretch of the axis stand at even steps, in the order of their values,
    alternately on either side of the middle.

    Args:
        values: Where the points are along the axis.
        width: Length of a stretch of the axis.
        half: The farthest move to either side.

    Returns:
        A move for each point; the same values give the same moves.
    """
    import numpy as np

    stretches = np.floor((values - values.min()) / width).astype(int)
    most = int(np.bincount(stretches).max())
    # A step that spreads the fullest stretch over the row, and lets others grow less wide.
    step = min(half / 3, 2 * half / max(most - 1, 1))
    moves = np.zeros(len(values))
    for stretch in np.unique(stretches):
        own = np.flatnonzero(stretches == stretch)
        own = own[np.argsort(values[own], kind="stable")]
        count = np.arange(len(own))
        # 0, 1, -1, 2, -2, ... steps; an even number is centred by half a step.
        steps = np.where(count % 2 == 1, (count + 1) // 2, -(count // 2)).astype(float)
        moves[own] = step * (steps - (0.5 if len(own) % 2 == 0 else 0.0))
    return moves


def caption(subject: Subject, metric: Metric = METRICS["dice_patient"]) -> str:
    """What is drawn, in sentences; empty where there is no figure."""
    rows = _rows(subject, metric)
    if not rows:
        return ""
    units = unit_word(subject, metric)
    sentences = [
        f"{metric.title} of single {units} by {len(rows)} networks on {where(subject)}: a point is "
        f"one of the {units}, the mean over its images and over seeds; in all "
        f"{basis(subject, metric)}.",
        "Boxes reach from the first to the third quartile, the line in a box is the median, the "
        f"diamond the mean over {units}; networks are sorted by their mean.",
    ]
    return " ".join(sentences + cautions(subject, metric))
