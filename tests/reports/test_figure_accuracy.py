from __future__ import annotations

import io

import matplotlib.figure
from PIL import Image

from reports.figures.accuracy import leaderboard_figure
from reports.tables.table import Cell, Column, Row, Table
from tests.reports.figures import kept_figures

COLUMNS = (
    Column("params", "Params", style="size"),
    Column("dice_slice", "Dice", scale=100, higher_is_better=True),
)


def board(*rows: Row, title: str = "phantom") -> Table:
    return Table("t", title, COLUMNS, rows)


def net(name: str, params: float, dice: float | None, rank: int | None = 1) -> Row:
    status = "done" if rank else "incomplete"
    return Row(name, (Cell(params), Cell(dice, 0.01, 3)), rank, status)


THRESHOLD = Row("threshold (trivial)", (Cell(), Cell(0.2, 0.01, 3)), None, "trivial")


def drawn(*tables: Table) -> tuple[matplotlib.figure.Figure, bytes]:
    """The figure, and its PNG."""
    with kept_figures() as figures:
        writer = leaderboard_figure(tables)
    assert writer is not None
    file = io.BytesIO()
    writer("png")(file)
    return figures[0], file.getvalue()


def labels(figure: matplotlib.figure.Figure, panel: int = 0) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def test_every_network_is_a_labelled_point() -> None:
    figure, png = drawn(board(net("enet", 4e5, 0.7), net("unet", 3e7, 0.75, None)))
    assert sorted(labels(figure)) == ["enet", "unet"]
    assert figure.axes[0].get_xscale() == "log"
    size = Image.open(io.BytesIO(png)).size
    assert min(size) > 500


def test_labels_of_near_points_do_not_overlap() -> None:
    names = [f"network-{number}" for number in range(6)]
    rows = [net(name, 1e6 * (1 + 0.02 * i), 0.7 + 0.002 * i) for i, name in enumerate(names)]
    figure, _ = drawn(board(*rows, net("far", 6e7, 0.5)))
    from matplotlib.text import Text

    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]
    assert len(boxes) == 7
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_a_trivial_predictor_far_below_is_named_but_does_not_squeeze_the_rest() -> None:
    figure, _ = drawn(board(net("a", 1e6, 0.80), net("b", 2e6, 0.81), THRESHOLD))
    assert "threshold (trivial): 20.00 %, below" in labels(figure)
    assert figure.axes[0].get_ylim()[0] > 70


def test_a_trivial_predictor_nearby_is_a_line() -> None:
    figure, _ = drawn(board(net("a", 1e6, 0.25), net("b", 2e6, 0.31), THRESHOLD))
    assert "threshold (trivial): 20.00 %" in labels(figure)
    assert figure.axes[0].get_ylim()[0] < 20


def test_a_trivial_predictor_above_is_a_line_too() -> None:
    best = Row("threshold (trivial)", (Cell(), Cell(0.9)), None, "trivial")
    figure, _ = drawn(board(net("a", 1e6, 0.25), net("b", 2e6, 0.31), best))
    assert figure.axes[0].get_ylim()[1] > 90


def test_names_are_no_mathematics() -> None:
    name = r"$\frac{x_1}$ % & \oops"
    figure, _ = drawn(board(net(name, 1e6, 0.5), title=name))
    assert labels(figure) == [name]


def test_a_panel_for_each_table() -> None:
    figure, _ = drawn(board(net("a", 1e6, 0.5)), board(net("b", 1e6, 0.5)))
    assert [labels(figure, panel) for panel in (0, 1)] == [["a"], ["b"]]


def test_no_points_no_figure() -> None:
    assert leaderboard_figure([]) is None
    assert leaderboard_figure([board(net("a", 1e6, None), THRESHOLD)]) is None
    assert leaderboard_figure([Table("t", "T", (), ())]) is None
