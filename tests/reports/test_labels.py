from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from reports.figures.labels import Point, place_labels


def plot(points: list[Point], size: tuple[float, float] = (9, 9)) -> tuple[Axes, FigureCanvasAgg]:
    """Logarithmic axes that hold all points, laid out."""
    figure = Figure(figsize=size, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.set(xscale="log", yscale="log")
    xs, ys = [p.x for p in points], [p.y for p in points]
    axis.set(xlim=(min(xs) / 2, max(xs) * 2), ylim=(min(ys) / 2, max(ys) * 2))
    canvas.draw()
    return axis, canvas


def words(label: Annotation) -> Bbox:
    """The box of a label's words, without its line."""
    label.update_positions(label.figure.canvas.get_renderer())  # type: ignore[union-attr]
    return Text.get_window_extent(label)


def shared(first: Bbox, second: Bbox) -> float:
    common = Bbox.intersection(first, second)
    return 0.0 if common is None else common.width * common.height


def crowd(seed: int, number: int = 55) -> list[Point]:
    """Points in four clusters over three decades, names as long as those of networks."""
    random = np.random.default_rng(seed)
    centres = random.uniform((5, -1), (8, 2), size=(4, 2))
    found = []
    for index in range(number):
        x, y = centres[index % 4] + random.normal(0, 0.25, 2)
        found.append(Point(f"network-{index}" + "-long" * (index % 4), 10**x, 10**y))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_many_labels_in_clusters_do_not_collide(seed: int) -> None:
    points = crowd(seed)
    axis, canvas = plot(points)
    labels = place_labels(axis, points, canvas.get_renderer())
    boxes = [words(label) for label in labels]
    assert [label.get_text() for label in labels] == [point.label for point in points]
    for number, box in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert shared(box, other) == 0
        assert axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1
        assert axis.bbox.y0 <= box.y0 and box.y1 <= axis.bbox.y1
        for index, point in enumerate(points):
            x, y = axis.transData.transform((point.x, point.y))
            marker = Bbox.from_extents(x - 3, y - 3, x + 3, y + 3)
            assert index == number or shared(box, marker) < 0.1 * marker.width * marker.height


def test_a_label_has_a_line_where_it_is_far_or_nearer_to_another_point() -> None:
    points = [Point("alone", 1e8, 1e2), *(Point(f"near-{i}", 1e5, 1.0 + i / 50) for i in range(30))]
    axis, canvas = plot(points, (6, 6))
    labels = place_labels(axis, points, canvas.get_renderer())
    assert labels[0].arrow_patch is None
    middles = axis.transData.transform([(point.x, point.y) for point in points])
    for label, middle in zip(labels, middles, strict=True):
        box = words(label)
        low, high = np.array([box.x0, box.y0]), np.array([box.x1, box.y1])

        def gap(point: np.ndarray, low: np.ndarray = low, high: np.ndarray = high) -> float:
            return float(np.linalg.norm(point - np.clip(point, low, high)))

        if label.arrow_patch is None:
            assert gap(middle) < 16 * axis.figure.dpi / 72
            assert gap(middle) <= min(map(gap, middles)) + 2
    assert any(label.arrow_patch is not None for label in labels)


def test_labels_leave_a_curve_free() -> None:
    points = [Point("first", 1e5, 1.0), Point("second", 1e6, 1.0), Point("third", 1e7, 1.0)]
    axis, canvas = plot(points, (6, 3))
    curve = [(point.x, point.y) for point in points]
    ends = axis.transData.transform(curve)
    for label in place_labels(axis, points, canvas.get_renderer(), curve=curve):
        box = words(label)
        assert not box.y0 < ends[0][1] < box.y1 or box.x0 > ends[2][0] or box.x1 < ends[0][0]


def test_the_same_points_give_the_same_places() -> None:
    found = []
    for _ in range(2):
        axis, canvas = plot(crowd(5, 30))
        labels = place_labels(axis, crowd(5, 30), canvas.get_renderer())
        found.append([label.get_position() for label in labels])
    assert found[0] == found[1]


def test_error_bars_other_texts_and_the_legend_are_kept_clear() -> None:
    points = [Point("a-network", 1e6, 10.0, spread=6.0), Point("corner", 1e7, 40.0)]
    axis, canvas = plot(points, (4, 4))
    axis.plot([1e6], [10.0], label="a line in the legend")
    legend = axis.legend(loc="upper right")
    note = axis.annotate("a note", (1e6, 10.0), xytext=(8, -4), textcoords="offset points")
    canvas.draw()
    labels = place_labels(axis, points, canvas.get_renderer())
    x, _ = axis.transData.transform((1e6, 10.0))
    (_, low), (_, high) = axis.transData.transform([(1e6, 4.0), (1e6, 16.0)])
    for label in labels:
        assert shared(words(label), legend.get_window_extent()) == 0
        assert shared(words(label), words(note)) == 0
        assert shared(words(label), Bbox.from_extents(x - 1, low, x + 1, high)) == 0


def test_a_bold_name_and_no_mathematics() -> None:
    points = [Point("$x_1$", 1e6, 1.0, bold=True), Point("plain", 1e5, 2.0)]
    axis, canvas = plot(points)
    first, second = place_labels(axis, points, canvas.get_renderer())
    assert first.get_fontweight() == "bold" and second.get_fontweight() == "normal"
    assert not first.get_parse_math()


def test_no_points_no_labels() -> None:
    axis, canvas = plot([Point("a", 1.0, 1.0)])
    assert place_labels(axis, [], canvas.get_renderer()) == []
    assert not axis.texts
