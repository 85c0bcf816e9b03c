"""Confusion matrices: where a network's pixels go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.comparison import Comparison
from reports.figures.drawing import PAGE, Drawn, figure_writer, new_figure
from reports.figures.multiples import broken, page_grid, run_count, scope
from reports.images import best_first
from reports.subject import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 6.5
_PANEL = 1.6
"""The widest panel in inches."""


@dataclass(frozen=True)
class Matrix:
    """Pixels of a row's runs, added up.

    Attributes:
        label: The row.
        tp: Foreground found.
        fn: Foreground missed.
        fp: Background taken for foreground.
        tn: Background left alone.
    """

    label: str
    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def counts(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """A line for each class of the truth, foreground first; columns are the prediction's."""
        return (self.tp, self.fn), (self.fp, self.tn)

    @property
    def percent(self) -> tuple[tuple[float | None, ...], ...]:
        """The counts in percent of their line; None in a line without pixels."""
        return tuple(
            tuple(100 * count / sum(line) if sum(line) else None for count in line)
            for line in self.counts
        )


def matrices(comparison: Comparison) -> list[Matrix]:
    """The matrix of each row, in the order of the leaderboard."""
    target = comparison.targets[0]
    found = []
    for entry in best_first(comparison):
        counts = [record.counts[target] for record in entry.records if target in record.counts]
        if counts:
            sums = {
                name: sum(getattr(each, name) for each in counts)
                for name in ("tp", "fn", "fp", "tn")
            }
            found.append(Matrix(entry.label + run_count(comparison, entry), **sums))
    return found


def draw(subject: Subject) -> Drawn | None:
    """A matrix for each network: percentages of the true class, and pixels.

    Returns:
        The figure; None where there is no finished run.
    """
    found = matrices(subject.comparison)
    if not found:
        return None
    rows, columns = page_grid(len(found))
    width = min(PAGE, 0.7 + columns * _PANEL)
    panel = (width - 0.7) / columns
    figure = new_figure(width, 0.45 + rows * (panel + 0.18))
    axes = figure.subplots(rows, columns, squeeze=False)
    target = subject.comparison.targets[0]
    for place, axis in enumerate(axes.flat):
        if place >= len(found):
            axis.remove()
            continue
        _panel(axis, found[place], 24 if columns <= 5 else 19)
        names = [broken(target, 10, 1), "background"]
        axis.set_xticks((0, 1), names if place + columns >= len(found) else ["", ""])
        axis.set_yticks((0, 1), names if place % columns == 0 else ["", ""], rotation=90)
        for label in axis.get_yticklabels():
            label.set_va("center")
        for label in (*axis.get_xticklabels(), *axis.get_yticklabels()):
            label.set_parse_math(False)
    figure.supxlabel("prediction", fontsize=8)
    figure.supylabel("truth", fontsize=8)
    return figure_writer(figure)


def caption(subject: Subject) -> str:
    """What the figure shows, in sentences; why there is none, where nothing can be drawn."""
    comparison = subject.comparison
    found = matrices(comparison)
    if not found:
        return f"No confusion matrix of {scope(comparison)}: there is no finished run."
    runs = len(comparison.wanted)
    pooled = (
        "of the one run"
        if runs == 1
        else f"added up over the {runs} runs, so that an image counts once for each seed"
    )
    return (
        f"Confusion matrices over pixels ({scope(comparison)}). Lines: the truth; columns: the "
        "prediction. Large: share of the pixels of the true class in percent, which is also the "
        "shade, from white (0 %) to dark (100 %); top left is the sensitivity, bottom right the "
        f"specificity, both of pooled pixels. Small: number of pixels, {pooled}. Order by Dice, "
        "best first."
    )


def _panel(axis: Axes, matrix: Matrix, width: int) -> None:
    shades = [[share or 0.0 for share in line] for line in matrix.percent]
    axis.imshow(shades, cmap="Blues", vmin=0, vmax=115, interpolation="none")  # text stays legible
    for y, (counts, shares) in enumerate(zip(matrix.counts, matrix.percent, strict=True)):
        for x, (count, share) in enumerate(zip(counts, shares, strict=True)):
            colour = "white" if share is not None and share > 75 else "black"
            text = "–" if share is None else f"{share:.2f} %"
            axis.text(x, y - 0.08, text, ha="center", va="center", fontsize=7.5, color=colour)
            axis.text(x, y + 0.2, f"{count:,}", ha="center", va="center", fontsize=6, color=colour)
    axis.set_title(broken(matrix.label, width), fontsize=_SIZE, pad=2, parse_math=False)
    axis.tick_params(length=0, labelsize=_SIZE, pad=1)
    axis.spines[:].set_linewidth(0.4)
