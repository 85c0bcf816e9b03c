"""A machine's profile as a figure: images per second against parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmark.subject import ENCODER
from reports.figures.drawing import Writer, figure_writer, size_axis
from reports.figures.labels import Point, place_labels
from reports.profiles.caption import (
    COUNTERS,
    WAYS,
    day,
    device,
    headline_counter,
    image,
    modes,
    rounds,
    torch_version,
)
from reports.profiles.pareto import front
from results.machines import MachineProfile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _RED, _LINE = "#0b5394", "#d9730d", "#b3002d", "#e8a45e"
Pair = tuple[float, float]

_FEW = 15
"""Networks that fit a small figure."""


@dataclass(frozen=True)
class _Network:
    name: str
    fps: float
    params: int
    macs: int | None
    unstable: bool


def speed_figure(profile: MachineProfile, way: str = "latency") -> Callable[[str], Writer] | None:
    """Draw images per second against the number of parameters, and against multiply-adds.

    Points on the Pareto front (no network has fewer of both and is faster) are orange and joined;
    the reference network is a red star; hollow points have unstable timings. Encoders that were
    measured alone are left out.

    Args:
        profile: The machine's numbers.
        way: How the networks were run, such as `latency` or `throughput`.

    Returns:
        A function that gives, for png, pdf or svg, what writes the figure into an open binary
        file; None where no network was run in that way.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counter = headline_counter(profile)
    networks = _networks(profile, way, counter)
    if not networks:
        return None
    counted = [each for each in networks if each.macs]
    panels: list[tuple[str, list[_Network], list[int]]] = [
        ("Parameters", networks, [each.params for each in networks])
    ]
    if counted:
        text = f"MACs of one image of {image(profile)} (by {COUNTERS[counter or 'fvcore']})"
        panels.append((text, counted, [each.macs or 0 for each in counted]))
    width, height = (6.0, 5.0) if len(networks) <= _FEW else (9.0, 10.0)
    figure = Figure(figsize=(width * len(panels), height), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    drawn = []
    for axis, (text, shown, sizes) in zip(axes, panels, strict=True):
        drawn.append(_panel(axis, profile, shown, sizes))
        axis.set_xlabel(text)
    axes[0].set_ylabel("Images per second")
    _legend(axes[0], profile, networks)
    figure.suptitle(_title(profile, way), fontsize=10, x=0.01, ha="left", parse_math=False)
    canvas.draw()  # fixes the layout, so that the labels can be placed by their size
    for axis, (points, curve) in zip(axes, drawn, strict=True):
        place_labels(axis, points, canvas.get_renderer(), curve=curve)
    return figure_writer(figure)


def _networks(profile: MachineProfile, way: str, counter: str | None) -> list[_Network]:
    found = []
    for each in profile.networks:
        timing = each.timing(way)
        if each.cost is None or timing is None or each.name.endswith(ENCODER):
            continue
        macs = each.cost.macs.get(counter) if counter else None
        unstable = "unstable" in timing.flags
        found.append(_Network(each.name, timing.fps, each.cost.params, macs, unstable))
    return found


def _panel(
    axis: Axes, profile: MachineProfile, networks: Sequence[_Network], sizes: Sequence[int]
) -> tuple[list[Point], list[Pair]]:
    """Draw the points and the front; returns the points to be named, and the front's line."""
    best = front([(size, -each.fps) for size, each in zip(sizes, networks, strict=True)])
    points = []
    for index, (network, size) in enumerate(zip(networks, sizes, strict=True)):
        is_reference = network.name == profile.reference
        color = _RED if is_reference else _ORANGE if index in best else _BLUE
        axis.plot(
            size,
            network.fps,
            marker="*" if is_reference else "o",
            markersize=10 if is_reference else 5.5,
            color=color,
            markerfacecolor="white" if network.unstable else color,
            linestyle="none",
            zorder=3,
        )
        bold = is_reference or index in best
        points.append(Point(network.name, size, network.fps, bold=bold))
    curve = _steps([(float(sizes[index]), networks[index].fps) for index in best])
    axis.plot([x for x, _ in curve], [y for _, y in curve], color=_LINE, linewidth=1.0, zorder=1)
    axis.set(xscale="log", yscale="log")
    axis.set_xlim(min(sizes) / 2, max(sizes) * 2)
    speeds = [each.fps for each in networks]
    axis.set_ylim(min(speeds) / 1.6, max(speeds) * 1.6)
    size_axis(axis.xaxis)
    size_axis(axis.yaxis)
    axis.grid(color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    return points, curve


def _steps(best: Sequence[Pair]) -> list[Pair]:
    """The corners of the line that joins the front; all others lie below and right of it."""
    line = sorted(best)
    corners = line[:1]
    for (_, speed), (size, faster) in pairwise(line):
        corners += [(size, speed), (size, faster)]
    return corners


def _legend(axis: Axes, profile: MachineProfile, networks: Sequence[_Network]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", color=_LINE, markerfacecolor=_ORANGE, markeredgecolor=_ORANGE)
    ]
    texts = ["Pareto front: none is both smaller and faster"]
    if any(each.name == profile.reference for each in networks):
        handles.append(Line2D([], [], marker="*", markersize=10, color=_RED, linestyle="none"))
        texts.append(f"reference: {profile.reference}")
    if any(each.unstable for each in networks):
        handles.append(
            Line2D([], [], marker="o", color=_BLUE, markerfacecolor="white", linestyle="none")
        )
        texts.append("unstable timing")
    legend = axis.legend(handles, texts, loc="lower left", fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _title(profile: MachineProfile, way: str) -> str:
    timings = [timing for each in profile.networks if (timing := each.timing(way))]
    quick = ", quick" if profile.speed == "quick" else ""
    return (
        f"{profile.machine} ({device(profile)}), {torch_version(profile)}, {modes(timings)}, "
        f"{rounds(profile)}{quick}, {day(profile)}\n{way}: {WAYS.get(way, way)}"
    )
