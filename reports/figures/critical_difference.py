"""Mean ranks and which of them differ: the critical difference diagram of Demšar.

Demšar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7; here the
blocks are patients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.metrics import METRICS, Metric
from benchmark.statistics import Friedman
from reports.figures.drawing import (
    BLUE,
    COLUMN,
    PAGE,
    SMALL,
    Drawn,
    figure_writer,
    new_figure,
    rank_ticks,
    set_title,
    text_width,
)
from reports.figures.words import basis, cautions, score_words, unit_word, where
from reports.sentences import p_text
from reports.subject import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL = 0.05
"""The p below which networks are said to differ."""

# In inches. From the top: Friedman's test, the critical difference, the scale.
_SAID, _LENGTH, _SCALE = 0.31, 0.47, 0.78
# From bar to bar, from name to name, from the paper's edge to a name, from a name to its line.
_BAR, _NAME, _EDGE, _GAP = 0.065, 0.145, 0.06, 0.05
_TICK, _OVERHANG = 0.05, 0.03
_LEAST_SCALE = 1.5
"""Inches of the scale below which a column of a paper is too narrow."""


def critical_difference(rows: int, n: int, level: float = LEVEL) -> float:
    """Nemenyi's: mean ranks that are so far apart, or farther, differ.

    Nemenyi 1963, Distribution-free multiple comparisons; q is the studentised range with infinite
    degrees of freedom over sqrt(2), as in Demšar's Table 5.

    Args:
        rows: How many rows are ranked.
        n: How many patients rank them.
        level: Probability that equal rows are found to differ somewhere.

    Returns:
        A difference of mean ranks.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - level, rows, math.inf)) / math.sqrt(2)
    return q * math.sqrt(rows * (rows + 1) / (6 * n))


def cliques(mean_ranks: Sequence[float], difference: float) -> list[tuple[int, ...]]:
    """The groups of rows of which no two differ; a group within another is left out.

    Args:
        mean_ranks: Each row's mean rank.
        difference: The critical difference.

    Returns:
        Indices, two or more in each group, by rank; the groups by their best rank.
    """
    order = sorted(range(len(mean_ranks)), key=lambda row: (mean_ranks[row], row))
    found: list[tuple[int, ...]] = []
    reached = 0
    for start, first in enumerate(order):
        end = start
        while end < len(order) and mean_ranks[order[end]] - mean_ranks[first] < difference:
            end += 1
        if end - start > 1 and end > reached:
            found.append(tuple(order[start:end]))
            reached = end
    return found


def draw(subject: Subject, metric: Metric = METRICS["dice_patient"]) -> Drawn | None:
    """Draw the mean ranks on a scale, and bars that join rows which can't be told apart.

    Where Friedman's test does not find that any row differs, one bar joins all.

    Args:
        subject: The comparison.
        metric: What each patient ranks the rows by.

    Returns:
        The figure; None where there are fewer than three rows or two patients, or where single
        patients have no such score.
    """
    test = _test(subject, metric)
    if test is None:
        return None
    diagram = _diagram(subject.analysis.rows, test)
    figure = new_figure(COLUMN, 1.0)
    figure.set_layout_engine("none")  # everything stands at its place in inches
    names = max(
        text_width(figure, text, SMALL, bold=True) for pair in diagram.texts for text in pair
    )
    margin = names + _EDGE + 2 * _GAP
    if figure.get_figwidth() - 2 * margin < _LEAST_SCALE:
        figure.set_figwidth(max(PAGE, 2 * margin + _LEAST_SCALE))
    lines = len(diagram.rows) / 2 + 0.5  # the right half stands half a line lower
    figure.set_figheight(_bottom(diagram) + _NAME * (lines + 0.3))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, figure.get_figwidth()), ylim=(figure.get_figheight(), 0))
    axis.axis("off")
    _draw(axis, diagram, margin, figure.get_figwidth() - margin)
    set_title(figure, f"Mean ranks by {metric.title}: {where(subject)}")
    said = "" if diagram.difference else ": no difference is shown"
    _text(
        axis,
        0.01 * figure.get_figwidth(),
        _SAID,
        f"Friedman's test: {_result(subject, metric, test)}{said}",
        "left",
    )
    return figure_writer(figure)


@dataclass(frozen=True)
class _Diagram:
    """What is drawn.

    Attributes:
        rows: The rows and their mean ranks, best first.
        difference: The critical difference; None where Friedman's test finds none.
        levels: First and last mean rank of each bar, by the height at which it is drawn.
    """

    rows: tuple[tuple[str, float], ...]
    difference: float | None
    levels: tuple[tuple[tuple[float, float], ...], ...]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Each row's name and number as drawn."""
        return [(f"{name}  {rank:.2f}", f"{rank:.2f}  {name}") for name, rank in self.rows]


def _test(subject: Subject, metric: Metric) -> Friedman | None:
    if subject.analysis.resampled(metric) is None:
        return None
    return subject.analysis.friedman(metric)


def _diagram(names: Sequence[str], test: Friedman) -> _Diagram:
    rows = sorted(zip(names, test.mean_ranks, strict=True), key=lambda row: (row[1], row[0]))
    ranks = [rank for _, rank in rows]
    if test.p >= LEVEL:
        return _Diagram(tuple(rows), None, (((ranks[0], ranks[-1]),),))
    difference = critical_difference(len(rows), test.n)
    levels: list[list[tuple[float, float]]] = []
    apart = (len(rows) - 1) / 20  # bars on one height don't touch
    for group in cliques(ranks, difference):
        bar = ranks[group[0]], ranks[group[-1]]
        free = next((level for level in levels if level[-1][1] + apart < bar[0]), None)
        if free is None:
            levels.append([bar])
        else:
            free.append(bar)
    return _Diagram(tuple(rows), difference, tuple(map(tuple, levels)))


def _bottom(diagram: _Diagram) -> float:
    """Where the bars end and the names begin, in inches from the top."""
    return _scale(diagram) + _BAR * (len(diagram.levels) + 1.5)


def _scale(diagram: _Diagram) -> float:
    """Where the scale is: higher where there is no critical difference above it."""
    return _SCALE if diagram.difference else _SCALE - (_LENGTH - _SAID)


def _draw(axis: Axes, diagram: _Diagram, left: float, right: float) -> None:
    rows, scale = len(diagram.rows), _scale(diagram)

    def at(rank: float) -> float:
        return left + (rank - 1) / (rows - 1) * (right - left)

    def line(x: Sequence[float], y: Sequence[float], width: float, color: str = "black") -> None:
        axis.plot(x, y, color=color, linewidth=width, solid_capstyle="butt", clip_on=False)

    line([left, right], [scale, scale], 0.8)
    named = rank_ticks(rows)
    for tick in range(1, rows + 1):
        shown = tick in named
        line([at(tick)] * 2, [scale, scale - _TICK * (1 if shown else 0.6)], 0.8)
        if shown:
            _text(axis, at(tick), scale - 2.2 * _TICK, str(tick), "center")
    if diagram.difference:
        ends = at(1), at(1 + diagram.difference)
        line(ends, [_LENGTH] * 2, 0.8)
        for end in ends:
            line([end] * 2, [_LENGTH - 0.6 * _TICK, _LENGTH + 0.6 * _TICK], 0.8)
        _text(axis, left - _GAP, _LENGTH, f"CD {diagram.difference:.2f}", "right")
    for level, bars in enumerate(diagram.levels):
        y = scale + _BAR * (level + 1)
        for low, high in bars:
            line([at(low) - _OVERHANG, at(high) + _OVERHANG], [y, y], 2.4)
    # The better half at the left, the best at its top; the worse at the right, the worst at its
    # top: so no line crosses another. Half a line between the sides keeps equal ranks apart.
    half = (rows + 1) // 2
    for place, ((_, rank), texts) in enumerate(zip(diagram.rows, diagram.texts, strict=True)):
        is_left = place < half
        y = _bottom(diagram) + _NAME * (0.5 + (place if is_left else rows - 0.5 - place))
        edge = left - _GAP if is_left else right + _GAP
        line([at(rank), at(rank), edge], [scale, y, y], 0.6, BLUE)
        beside = edge + (-_GAP if is_left else _GAP)
        _text(axis, beside, y, texts[not is_left], "right" if is_left else "left")


def _text(axis: Axes, x: float, y: float, text: str, side: str) -> None:
    axis.text(x, y, text, ha=side, va="center_baseline", fontsize=SMALL, parse_math=False)


def _result(subject: Subject, metric: Metric, test: Friedman) -> str:
    return f"p {p_text(test.p)}, {test.n} {unit_word(subject, metric)}"


def caption(subject: Subject, metric: Metric = METRICS["dice_patient"]) -> str:
    """What is drawn, in sentences; empty where there is no figure."""
    test = _test(subject, metric)
    if test is None:
        return ""
    rows = len(subject.analysis.rows)
    units = unit_word(subject, metric)
    sentences = [
        f"Mean ranks of {rows} networks by {score_words(metric)} on {where(subject)}; 1 is the "
        f"best. Each of the {units} ranks the networks: {basis(subject, metric)}.",
        f"Friedman's test: chi-square {test.statistic:.1f} with {rows - 1} degrees of freedom, "
        f"p {p_text(test.p)}.",
    ]
    if test.p < LEVEL:
        difference = critical_difference(rows, test.n)
        sentences.append(
            f"Bars join networks whose mean ranks differ by less than the critical difference of "
            f"Nemenyi's test (CD {difference:.2f} at p = {LEVEL}); it depends on how many networks "
            "are compared."
        )
    else:
        sentences.append(
            "It does not show that any network differs from the others, so that one bar joins all "
            "and no pair is tested."
        )
    return " ".join(sentences + cautions(subject, metric))
