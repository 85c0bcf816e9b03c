from __future__ import annotations

import io

import matplotlib.figure
import numpy as np
from matplotlib.text import Text
from PIL import Image

from reports.figures.speed import speed_figure
from results.machines import MachineProfile
from tests.reports.figures import kept_figures
from tests.reports.profiles import make_network, make_profile, make_timing
from zoo.registry import cards


def drawn(profile: MachineProfile, way: str = "latency") -> matplotlib.figure.Figure:
    with kept_figures() as figures:
        assert speed_figure(profile, way) is not None
    return figures[0]


def written(profile: MachineProfile, kind: str) -> bytes:
    writer = speed_figure(profile)
    assert writer is not None
    file = io.BytesIO()
    writer(kind)(file)
    return file.getvalue()


SMALL = make_profile(
    make_network("miniseg", 500, 2000, 10.0),
    make_network("fast", 900, 1000, 5.0),
    make_network("slow", 900, 3000, timings=(make_timing(20.0, flags=("unstable",)),)),
    make_network("fast:encoder", 1, 1, 0.1),
    make_network("untimed", 1, 1, error="out of memory"),
    make_network("unbuilt", cost=None, error="no package"),
)


def points(figure: matplotlib.figure.Figure, panel: int) -> dict[tuple[float, float], str]:
    """The points of a panel, and how they are filled."""
    return {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])): str(line.get_markerfacecolor())
        for line in figure.axes[panel].lines
        if line.get_marker() not in ("None", None, "")
    }


def test_points_are_where_the_numbers_say() -> None:
    figure = drawn(SMALL)
    assert set(points(figure, 0)) == {(500, 100), (900, 200), (900, 50)}
    assert set(points(figure, 1)) == {(2000, 100), (1000, 200), (3000, 50)}
    for axis in figure.axes:
        assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
        assert sorted(text.get_text() for text in axis.texts) == ["fast", "miniseg", "slow"]
    assert "MACs" in figure.axes[1].get_xlabel() and "fvcore" in figure.axes[1].get_xlabel()


def test_an_unstable_timing_is_hollow_and_the_front_and_reference_are_bold() -> None:
    figure = drawn(SMALL)
    filled = points(figure, 0)
    assert filled[900, 50] == "white"
    assert filled[500, 100] != "white" and filled[900, 200] != "white"
    weights = {text.get_text(): text.get_fontweight() for text in figure.axes[1].texts}
    assert weights == {"miniseg": "bold", "fast": "bold", "slow": "normal"}
    legend = figure.axes[0].get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert "reference: miniseg" in words and "unstable timing" in words


def test_the_line_of_the_front() -> None:
    figure = drawn(SMALL)
    lines = [[line for line in axis.lines if line.get_marker() == "None"] for axis in figure.axes]
    assert [list(map(float, line.get_xdata())) for (line,) in lines] == [[500, 900, 900], [1000]]
    assert [list(map(float, line.get_ydata())) for (line,) in lines] == [[100, 100, 200], [200]]


def test_another_way() -> None:
    network = make_network(
        "miniseg", timings=(make_timing(10.0), make_timing(60.0, "batch-30", 30))
    )
    figure = drawn(make_profile(network), "batch-30")
    assert set(points(figure, 0)) == {(1000, 500)}
    assert speed_figure(make_profile(network), "graph") is None
    assert speed_figure(make_profile()) is None


def test_without_multiply_adds_one_panel() -> None:
    figure = drawn(make_profile(make_network("miniseg", 500, {"table3": 7}, 10.0)))
    assert len(figure.axes) == 1


def test_the_same_profile_gives_the_same_files() -> None:
    for kind in ("png", "pdf", "svg"):
        first, second = written(SMALL, kind), written(SMALL, kind)
        assert first == second
        assert b"CreationDate" not in first and b"<dc:date>" not in first
    assert min(Image.open(io.BytesIO(written(SMALL, "png"))).size) > 800


def test_all_networks_can_be_read() -> None:
    random = np.random.default_rng(0)
    known = [card for card in cards().values() if card.params and card.macs]
    networks = [
        make_network(
            card.name,
            card.params or 0,
            card.macs or 0,
            2 + (card.macs or 0) / 5e9 * random.uniform(0.5, 2),
        )
        for card in known
    ]
    figure = drawn(make_profile(*networks))
    assert len(networks) >= 52
    for axis in figure.axes:
        boxes = []
        for text in axis.texts:
            text.update_positions(figure.canvas.get_renderer())
            boxes.append(Text.get_window_extent(text))
        assert len(boxes) == len(networks)
        for number, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[number + 1 :])
            assert axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1
            assert axis.bbox.y0 <= box.y0 and box.y1 <= axis.bbox.y1
