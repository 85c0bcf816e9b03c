"""Training curves: the mean loss of each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.comparison import Comparison
from reports.figures.drawing import (
    BLUE,
    GREY,
    PAGE,
    PALETTE,
    Drawn,
    figure_writer,
    new_figure,
    style_axes,
)
from reports.figures.multiples import broken, page_grid, run_count, scope
from reports.images import best_first
from reports.subject import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TOGETHER = 8
"""How many networks share a panel; more have a panel each."""
_TOGETHER_HEIGHT = 2.8
_COLOURS = (*PALETTE[:7], GREY)  # the palette's yellow is too pale for a line
_STYLES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
_LOG = 20.0
"""The ratio of the largest to the smallest mean loss from which the axis is logarithmic."""
_MARKED = 12
"""Epochs up to which each one has a marker."""
_SIZE = 6.5


@dataclass(frozen=True)
class Curve:
    """The loss of a row by epoch.

    Attributes:
        label: The row.
        runs: How many runs are behind it.
        mean: The mean of each epoch, over the runs that have it.
        low: The least of each epoch.
        high: The largest of each epoch.
        uneven: Whether its runs have different numbers of epochs.
    """

    label: str
    runs: int
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    uneven: bool

    @property
    def epochs(self) -> range:
        """The numbers of the epochs, from 1."""
        return range(1, len(self.mean) + 1)


def curves(comparison: Comparison) -> list[Curve]:
    """The curves of the rows that were trained, in the order of the leaderboard."""
    found = []
    for entry in best_first(comparison):
        own = [record.training.curve for record in entry.records if record.training]
        own = [curve for curve in own if curve]
        if own:
            columns = [
                [curve[epoch] for curve in own if epoch < len(curve)]
                for epoch in range(max(map(len, own)))
            ]
            found.append(
                Curve(
                    label=entry.label + run_count(comparison, entry),
                    runs=len(own),
                    mean=tuple(sum(column) / len(column) for column in columns),
                    low=tuple(map(min, columns)),
                    high=tuple(map(max, columns)),
                    uneven=len(set(map(len, own))) > 1,
                )
            )
    return found


def draw(subject: Subject) -> Drawn | None:
    """The mean training loss by epoch, with the band from the least to the largest of its runs.

    Up to eight networks share a panel; more have a panel each, with the others in grey behind.

    Returns:
        The figure; None where no network was trained.
    """
    from matplotlib.ticker import MaxNLocator

    found = curves(subject.comparison)
    if not found:
        return None
    together = len(found) <= _TOGETHER
    rows, columns = (1, 1) if together else page_grid(len(found))
    figure = new_figure(PAGE, _TOGETHER_HEIGHT if together else 0.35 + 1.05 * rows)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    first = axes[0, 0]
    if _log(found):
        first.set_yscale("log")
    first.set_ylim(*_limits(found))
    last = max(len(curve.mean) for curve in found)
    margin = 0.04 * (last - 1) or 0.5
    first.set_xlim(1 - min(margin, 0.5), last + margin)  # there is no epoch 0
    first.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if together:
        _together(first, found)
    else:
        for place, axis in enumerate(axes.flat):
            if place < len(found):
                _alone(axis, found, place, 24 if columns == 5 else 20)
            else:
                axis.remove()
        for place in range(max(0, len(found) - columns), len(found)):  # the lowest of each column
            axes.flat[place].xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("mean training loss", fontsize=8)
    return figure_writer(figure)


def caption(subject: Subject) -> str:
    """What the figure shows, in sentences; why there is none, where nothing can be drawn."""
    comparison = subject.comparison
    found = curves(comparison)
    if not found:
        return f"No training curves of {scope(comparison)}: no network was trained here."
    text = (
        f"Training loss by epoch ({scope(comparison)}). Lines: mean loss of the epoch, a number "
        "without unit, averaged over a network's runs; bands: from the least to the largest of its "
        "runs. The loss of networks with auxiliary outputs includes these, so that its level can't "
        "be compared with that of networks without. "
    )
    if any(curve.uneven for curve in found):
        text += (
            "Some runs have fewer epochs than others, because the number of steps is limited: a "
            "mean is over the runs that reached the epoch. "
        )
    if len(found) > _TOGETHER:
        text += "Each network has a panel, with the others in grey; order by Dice, best first. "
    if _log(found):
        text += "The axis of the loss is logarithmic. "
    return text.strip()


def _log(found: Sequence[Curve]) -> bool:
    low = min(min(curve.low) for curve in found)
    means = [value for curve in found for value in curve.mean]
    return low > 0 and max(means) / min(means) >= _LOG


def _limits(found: Sequence[Curve]) -> tuple[float, float]:
    """The ends of the axis of the loss."""
    low = min(min(curve.low) for curve in found)
    high = max(max(curve.high) for curve in found)
    if _log(found):
        return low / 1.3, high * 1.3
    margin = 0.06 * (high - low) or 0.1
    return (0.0 if 0 <= low < 0.5 * high else low - margin), high + margin


def _line(
    axis: Axes, curve: Curve, colour: str, style: object = "-", opacity: float = 0.18
) -> None:
    marker = "o" if len(curve.mean) <= _MARKED else None
    axis.fill_between(curve.epochs, curve.low, curve.high, color=colour, alpha=opacity, linewidth=0)
    axis.plot(
        curve.epochs,
        curve.mean,
        color=colour,
        linestyle=style,
        linewidth=1.2,
        marker=marker,
        markersize=2.5,
    )


def _together(axis: Axes, found: Sequence[Curve]) -> None:
    """All lines in one panel, each named at its end."""
    style_axes(axis)
    for curve, colour, style in zip(found, _COLOURS, _STYLES, strict=False):
        _line(axis, curve, colour, style, 0.18 if len(found) <= 4 else 0.09)
    to_axes = axis.transData + axis.transAxes.inverted()
    ends = [float(to_axes.transform((len(c.mean), c.mean[-1]))[1]) for c in found]
    height = 72 * _TOGETHER_HEIGHT * 0.8
    for curve, colour, place in zip(found, _COLOURS, _apart(ends, 9 / height), strict=False):
        axis.annotate(
            curve.label,
            (len(curve.mean), curve.mean[-1]),
            xytext=(1.03, place),
            textcoords="axes fraction",
            va="center",
            fontsize=7,
            color=colour,
            parse_math=False,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.5,
                "shrinkA": 0,
                "shrinkB": 2,
                "relpos": (0, 0.5),
            },
        )


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights from 0 to 1, near the wanted ones, with a gap between them."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    blocks: list[list[float]] = []  # the sum of the wanted lowest places, and the number of labels
    for place in order:
        blocks.append([wanted[place], 1])
        while len(blocks) > 1 and _start(blocks[-2], gap) + blocks[-2][1] * gap > _start(
            blocks[-1], gap
        ):
            total, number = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + number]
    heights = [0.0] * len(wanted)
    at = iter(order)
    for block in blocks:
        for step in range(int(block[1])):
            heights[next(at)] = _start(block, gap) + step * gap
    return heights


def _start(block: Sequence[float], gap: float) -> float:
    """The lowest place of labels that touch, so that they lie around the middle of their ends."""
    total, number = block
    height = (number - 1) * gap
    return max(0.0, min(total / number - height / 2, 1 - height))


def _alone(axis: Axes, found: Sequence[Curve], own: int, width: int) -> None:
    """One network's panel; its name in lines of at most `width` characters."""
    style_axes(axis)
    for place, curve in enumerate(found):
        if place != own:
            marker = "." if len(curve.mean) == 1 else None
            axis.plot(
                curve.epochs,
                curve.mean,
                color="#cccccc",
                linewidth=0.5,
                marker=marker,
                markersize=2,
            )
    _line(axis, found[own], BLUE)
    axis.set_title(
        broken(found[own].label, width), fontsize=_SIZE, loc="left", pad=2, parse_math=False
    )
    axis.tick_params(labelsize=_SIZE)
