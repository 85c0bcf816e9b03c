"""Names beside the points of a plot, placed so that they hide neither each other nor a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.text import Annotation

    Array: TypeAlias = npt.NDArray[np.float64]

_GREY = "#666666"
_MARKER = 5.0
"""Half the side of the square that is kept free around a point, in points of 1/72 inch, if not
told."""
_GAPS = (2.0, 5.0, 9.0, 14.0, 20.0, 28.0, 38.0, 50.0, 64.0, 80.0, 100.0)
"""How far from that square a label may stand, in points, the nearest places first."""
_FAR = 6.0
"""The gap beyond which a line leads from the label to its point."""
_PADDING = 1.1
_SWEEPS = 12

# What a pixel costs: of a label over another, outside the axes, over a marker; of a line inside a
# label or a marker; of the curve inside a label. A pixel of distance costs 1.
_OVERLAP, _OUTSIDE, _COVERED, _STRUCK, _TOUCHED, _CURVE = 30.0, 60.0, 15.0, 6.0, 3.0, 2.0
# What it costs where two lines cross, and where a label stands nearer to another point.
_CROSSED, _MISLEADING = 40.0, 10.0


@dataclass(frozen=True)
class Point:
    """A point and its name.

    Attributes:
        label: The name.
        x: Where it is, in data coordinates.
        y: Where it is, in data coordinates.
        spread: Half the height of its error bar, in data coordinates.
        bold: Whether the name is set in bold.
    """

    label: str
    x: float
    y: float
    spread: float = 0.0
    bold: bool = False


@dataclass(frozen=True)
class _Scene:
    """A plot in pixels.

    Attributes:
        pixel: Pixels in a point of 1/72 inch.
        marker: Half the side of the square around a point, in points.
        frame: Left, bottom, right and top of the axes.
        middles: Where the points are.
        obstacles: Boxes that no label should cover: markers, error bars, other texts, the legend.
        curve: The pieces of a line that no label should cover, from x, y to x, y.
    """

    pixel: float
    marker: float
    frame: Array
    middles: Array
    obstacles: Array
    curve: Array


@dataclass(frozen=True)
class _Places:
    """Where one label may stand, in pixels: a line for each place, the nearest first.

    Attributes:
        boxes: Left, bottom, right and top of the words.
        lines: From the point to the middle of the words; without length where no line is drawn.
        costs: What a place costs, whatever the other labels do.
    """

    boxes: Array
    lines: Array
    costs: Array


def place_labels(
    axis: Axes,
    points: Sequence[Point],
    renderer: RendererBase,
    size: float = 7.5,
    curve: Sequence[tuple[float, float]] = (),
    marker: float = _MARKER,
) -> list[Annotation]:
    """Name every point.

    A thin line leads to its point from a label that stands far away or nearer to another point.

    Each label in turn takes the place that costs least, the most crowded first; then each may move
    while that lessens the cost of all. The same points give the same places. Texts and the legend
    that the axes already hold are kept clear.

    Args:
        axis: The axes, with their final limits and layout.
        points: The points.
        renderer: What measures the words.
        size: Font size in points.
        curve: Corners of a line in the plot, in data coordinates, that labels should not cover.
        marker: Half the side of the square that is kept free around a point, in points.

    Returns:
        The labels in the order of the points.
    """
    if not points:
        return []
    texts = [_text(axis, point, size) for point in points]
    scene = _look(axis, points, renderer, texts, curve, marker)
    places = [
        _places(middle, _extent(text, renderer), scene)
        for middle, text in zip(scene.middles, texts, strict=True)
    ]
    labels = []
    for text, point, own, place in zip(texts, points, places, _choose(places), strict=True):
        text.remove()
        box = own.boxes[place]
        offset = ((box[:2] + box[2:]) / 2 - own.lines[place, :2]) / scene.pixel
        far = bool((own.lines[place, :2] != own.lines[place, 2:]).any())
        labels.append(_text(axis, point, size, (float(offset[0]), float(offset[1])), far))
    return labels


def _text(
    axis: Axes,
    point: Point,
    size: float,
    offset: tuple[float, float] = (0.0, 0.0),
    far: bool = False,
) -> Annotation:
    line: dict[str, Any] = {"arrowstyle": "-", "color": _GREY, "linewidth": 0.45}
    label = axis.annotate(
        point.label,
        (point.x, point.y),
        xytext=offset,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=size,
        fontweight="bold" if point.bold else "normal",
        parse_math=False,
        arrowprops={**line, "shrinkA": 0, "shrinkB": 2} if far else None,
    )
    label.set_in_layout(False)  # labels are placed for this layout and must not change it
    return label


def _extent(text: Annotation, renderer: RendererBase) -> Array:
    """Width and height of the words in pixels."""
    from matplotlib.text import Text

    box = Text.get_window_extent(text, renderer)
    return np.array([box.width, box.height])


def _look(
    axis: Axes,
    points: Sequence[Point],
    renderer: RendererBase,
    own: Sequence[Annotation],
    curve: Sequence[tuple[float, float]],
    marker: float,
) -> _Scene:
    """Measure the plot without the labels themselves."""
    pixel = axis.figure.dpi / 72
    middles = axis.transData.transform([(point.x, point.y) for point in points])
    half = marker * pixel
    boxes = [[x - half, y - half, x + half, y + half] for x, y in middles]
    for point, (x, _) in zip(points, middles, strict=True):
        if point.spread:
            ends = [(point.x, point.y - point.spread), (point.x, point.y + point.spread)]
            (_, low), (_, high) = axis.transData.transform(ends)
            boxes.append([x - half / 2, low, x + half / 2, high])
    legend = axis.get_legend()
    others = [text for text in axis.texts if text not in own]
    for artist in [*others, *([legend] if legend is not None else [])]:
        boxes.append([float(each) for each in artist.get_window_extent(renderer).extents])
    corners = axis.transData.transform(curve) if len(curve) > 1 else np.empty((1, 2))
    return _Scene(
        pixel=pixel,
        marker=marker,
        frame=np.asarray(axis.bbox.extents),
        middles=middles,
        obstacles=np.array(boxes),
        curve=np.hstack([corners[:-1], corners[1:]]),
    )


def _places(middle: Array, extent: Array, scene: _Scene) -> _Places:
    """All places of a label around its point, and what each costs by itself."""
    half = extent / 2 + _PADDING * scene.pixel
    centres, gaps = [], []
    for gap in _GAPS:
        number = 8 if gap < _FAR else 16 if gap < 40 else 32
        for angle in 2 * np.pi * np.arange(number) / number:
            way = np.array([np.cos(angle), np.sin(angle)]).round(9)
            # So the label's nearest side or corner, not its middle, is a gap away from the marker.
            beyond = np.sign(way) * half * np.minimum(1.0, np.abs(way) * np.sqrt(2))
            centres.append(middle + way * (scene.marker + gap) * scene.pixel + beyond)
            gaps.append(gap)
    centre, gap_of = np.array(centres), np.array(gaps)
    boxes = np.hstack([centre - half, centre + half])
    distances = _distances(boxes, scene.middles)
    misleading = distances.min(axis=1) < _distances(boxes, middle[None, :])[:, 0] - 1e-6
    led = (gap_of > _FAR) | misleading
    starts = np.broadcast_to(middle, centre.shape)
    lines = np.hstack([starts, np.where(led[:, None], centre, starts)])
    obstacles = scene.obstacles
    own = (obstacles[:, :2] <= middle).all(axis=1) & (middle <= obstacles[:, 2:]).all(axis=1)
    costs = (
        gap_of * scene.pixel
        + _MISLEADING * misleading
        + _COVERED * _shared(boxes, obstacles).sum(axis=1)
        + _OUTSIDE * (4 * half.prod() - _shared(boxes, scene.frame[None, :])[:, 0])
        + _TOUCHED * _length_inside(lines, obstacles[~own]).sum(axis=1)
        + _CURVE * _length_inside(scene.curve, boxes).sum(axis=0)
    )
    return _Places(boxes, lines, costs)


def _distances(boxes: Array, points: Array) -> Array:
    """From each box to each point; zero inside."""
    below = boxes[:, None, :2] - points[None, :, :]
    above = points[None, :, :] - boxes[:, None, 2:]
    return np.linalg.norm(np.maximum(np.maximum(below, above), 0), axis=2)


def _choose(places: Sequence[_Places]) -> list[int]:
    """The place of each label: greedily, then moved while that helps."""
    order = sorted(range(len(places)), key=lambda each: (-float(places[each].costs.mean()), each))
    chosen: dict[int, int] = {}
    for sweep in range(_SWEEPS):
        before = dict(chosen)
        for label in order:
            others = [each for each in chosen if each != label]
            costs = places[label].costs
            if others:
                boxes = np.array([places[each].boxes[chosen[each]] for each in others])
                lines = np.array([places[each].lines[chosen[each]] for each in others])
                costs = costs + _conflicts(places[label], boxes, lines)
            best = int(costs.argmin())
            # Moving only for less keeps the sweeps from going in circles.
            if sweep == 0 or costs[best] < costs[chosen[label]] - 1e-6:
                chosen[label] = best
        if chosen == before:
            break
    return [chosen[label] for label in range(len(places))]


def _conflicts(own: _Places, boxes: Array, lines: Array) -> Array:
    """What each place of a label costs because of the others' labels and lines."""
    return (
        _OVERLAP * _shared(own.boxes, boxes).sum(axis=1)
        + _STRUCK * _length_inside(own.lines, boxes).sum(axis=1)
        + _STRUCK * _length_inside(lines, own.boxes).sum(axis=0)
        + _CROSSED * _cross(own.lines, lines).sum(axis=1)
    )


def _shared(first: Array, second: Array) -> Array:
    """Area that each box of the first shares with each of the second."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=2)


def _length_inside(lines: Array, boxes: Array) -> Array:
    """Length of each line inside each box."""
    start, way = lines[:, None, :2], (lines[:, 2:] - lines[:, :2])[:, None, :]
    steep = np.where(np.abs(way) < 1e-9, 1e-9, way)  # parallel to a side: it never gets there
    first, second = (boxes[None, :, :2] - start) / steep, (boxes[None, :, 2:] - start) / steep
    enter = np.minimum(first, second).max(axis=2).clip(0, 1)
    leave = np.maximum(first, second).min(axis=2).clip(0, 1)
    return np.clip(leave - enter, 0, None) * np.linalg.norm(way, axis=2)


def _cross(first: Array, second: Array) -> npt.NDArray[np.bool_]:
    """Whether each line of the first crosses each of the second."""
    a, b = first[:, None, :2], first[:, None, 2:]
    c, d = second[None, :, :2], second[None, :, 2:]

    def side(p: Array, q: Array, r: Array) -> Array:
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (
            r[..., 0] - p[..., 0]
        )

    apart = side(a, b, c) * side(a, b, d) < 0
    return apart & (side(c, d, a) * side(c, d, b) < 0)
