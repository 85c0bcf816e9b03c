"""The figure of accuracy against cost, of a comparison; that of a leaderboard has its own file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import pytest
from matplotlib.axes import Axes

from benchmark.metrics import METRICS
from reports.figures.accuracy import caption, draw
from reports.figures.panels import front, steps
from reports.subject import Subject
from reports.tables.table import Cell, Column, Row, Table
from tests.reports.figures import (
    assert_readable,
    figure_of,
    many_networks,
    subject_of,
    texts,
    written,
)
from tests.reports.profiles import make_network, make_profile

COLUMNS = (
    Column("params", "Params", style="size"),
    Column("macs", "MACs", style="size"),
    Column("dice_patient", "Dice", scale=100, higher_is_better=True),
    Column("hd95_patient_px", "HD95", higher_is_better=False),
)
DICE = {
    "small": (0.5, 0.6, 0.5, 0.6),
    "large": (0.8, 0.7, 0.8, 0.9),
    "waste": (0.6, 0.6, 0.7, 0.7),
}
SIZES = {"small": (1e5, 9e9), "large": (1e7, 1e9), "waste": (2e7, 1e10)}
MACHINE = make_profile(
    make_network("small", 1, 1, 10.0),
    make_network("large", 1, 1, 100.0),
    make_network("waste", 1, 1, error="out of memory"),
)


def board(*more: Row) -> Table:
    rows = [
        Row(name, (Cell(params), Cell(macs), Cell(0.5), Cell(50.0)), 1)
        for name, (params, macs) in SIZES.items()
    ]
    return Table("t", "phantom", COLUMNS, (*rows, *more))


def trivial(value: float) -> Row:
    return Row("zero (trivial)", (Cell(), Cell(), Cell(value), Cell()), None, "trivial")


def marks(axis: Axes) -> dict[tuple[float, float], tuple[str, str]]:
    """The points of a panel: their markers, and how they are filled."""
    return {
        (float(x), round(float(y), 9)): (str(line.get_marker()), str(line.get_markerfacecolor()))
        for line in axis.lines
        if line.get_marker() in ("o", "s")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }


def curve(axis: Axes) -> list[tuple[float, float]]:
    """The corners of the front."""
    (line,) = (line for line in axis.lines if line.get_linewidth() == 2.0)
    return [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def panels(figure: matplotlib.figure.Figure) -> list[Axes]:
    return [axis for axis in figure.axes if axis.axison]


def test_front_of_mixed_directions_by_hand() -> None:
    #          0         1         2         3         4
    points = ((1, 50), (2, 70), (3, 60), (2, 70), (9, 90))
    assert front(points, (False, True)) == [0, 1, 3, 4]
    assert front(points, (True, True)) == [4]
    assert front(points, (False, False)) == [0]
    assert front(points, (True, False)) == [0, 2, 4]
    assert front([], (True, True)) == []


def test_steps_by_hand() -> None:
    assert steps([(4, 80), (1, 50)]) == [(1, 50), (4, 50), (4, 80)]
    # Of images per second the most are best, so the line begins at the right.
    assert steps([(100, 50), (10, 80)], more_is_better=True) == [(100, 50), (10, 50), (10, 80)]
    assert steps([(3, 7)]) == [(3, 7)]


def test_points_bars_and_front(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, DICE)
    (axis,) = panels(figure_of(lambda: draw(subject, board(), "params")))
    shapes = {place: marker for place, (marker, _) in marks(axis).items()}
    assert shapes == {(1e5, 55.0): "s", (1e7, 80.0): "s", (2e7, 65.0): "o"}
    assert curve(axis) == [pytest.approx(each) for each in [(1e5, 55), (1e7, 55), (1e7, 80)]]
    weights = {text.get_text(): text.get_fontweight() for text in axis.texts}
    assert weights == {"small": "bold", "large": "bold", "waste": "normal"}
    bars = {
        round(float(x), 3): (float(low), float(high))
        for each in axis.collections
        for (x, low), (_, high) in each.get_segments()  # type: ignore[attr-defined]
    }
    for name, (params, _) in SIZES.items():
        interval = subject.analysis.interval(name, METRICS["dice_patient"])
        assert interval is not None
        assert bars[params] == pytest.approx((100 * interval.low, 100 * interval.high))


def test_three_panels_share_the_scores(tmp_path: Path) -> None:
    figure = figure_of(lambda: draw(subject_of(tmp_path, DICE, MACHINE), board()))
    params, macs, fps = panels(figure)
    assert params.get_ylim() == macs.get_ylim() == fps.get_ylim()
    assert set(marks(macs)) == {(9e9, 55.0), (1e9, 80.0), (1e10, 65.0)}
    assert curve(macs) == [pytest.approx((1e9, 80.0))]
    assert set(marks(fps)) == {(100.0, 55.0), (10.0, 80.0)}  # one was not timed
    assert curve(fps) == [pytest.approx(each) for each in [(100, 55), (10, 55), (10, 80)]]
    assert "some-cpu-1-thread" in fps.get_xlabel()
    assert [axis.get_ylabel() for axis in panels(figure)] == [
        "Dice (%), mean over patients",
        "",
        "",
    ]
    assert_readable(figure)


def test_without_a_machine_there_is_no_speed(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, DICE)
    assert len(panels(figure_of(lambda: draw(subject, board())))) == 2
    assert draw(subject, board(), "fps") is None
    assert caption(subject, board(), "fps") == ""


def test_variants_of_one_name_have_no_known_speed(tmp_path: Path) -> None:
    from reports.subject import read_holdings
    from results.store import Store
    from tests.stores import write_run

    for source, value in (("5", 0.5), ("6", 0.6)):
        images = {f"p{i}-1": value for i in range(3)}
        write_run(Store(tmp_path), images, model="small", source=source * 64)
    (subject,) = read_holdings(tmp_path, MACHINE).subjects
    names = [entry.label for entry in subject.comparison.entries]
    assert len(names) == 2 and all("variant" in name for name in names)
    rows = tuple(Row(name, (Cell(1e5), Cell(1e9), Cell(0.5), Cell(1.0)), 1) for name in names)
    assert draw(subject, replace(board(), rows=rows), "fps") is None


def test_a_row_without_every_run_is_hollow_and_not_on_the_front(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, {**DICE, "half": (0.99,) * 4}, only_first=["half"])
    row = Row("half", (Cell(10), Cell(10), Cell(0.99), Cell(1.0)), None, "incomplete")
    figure = figure_of(lambda: draw(subject, board(row), "params"))
    (axis,) = panels(figure)
    assert marks(axis)[10, 99.0] == ("o", "white")
    assert curve(axis)[0] == pytest.approx((1e5, 55))
    assert "runs or scores missing" in [text.get_text() for text in texts(figure)]
    assert "Hollow points" in caption(subject, board(row), "params")


def test_a_trivial_predictor_is_a_line_in_every_panel_unless_it_is_far(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, DICE)
    near, far = board(trivial(0.5), trivial(0.4)), board(trivial(0.001))
    figure = figure_of(lambda: draw(subject, near))
    assert "zero (trivial): 50.00 %" in [text.get_text() for text in texts(figure)]
    for axis in panels(figure):
        (line,) = (line for line in axis.lines if line.get_linestyle() == "--")
        assert list(line.get_ydata()) == [50, 50] and axis.get_ylim()[0] < 50
    assert "The dashed line" in caption(subject, near)
    narrow = subject_of(tmp_path / "narrow", dict.fromkeys(DICE, (0.8, 0.81)))
    figure = figure_of(lambda: draw(narrow, far))
    assert "zero (trivial): 0.10 %, below" in [text.get_text() for text in texts(figure)]
    assert not any(line.get_linestyle() == "--" for axis in panels(figure) for line in axis.lines)
    assert "The dashed line" not in caption(narrow, far)


def test_of_a_distance_less_is_better(tmp_path: Path) -> None:
    metric = METRICS["hd95_patient_px"]  # 100 px less 100 times Dice
    subject = subject_of(tmp_path, DICE)
    (axis,) = panels(figure_of(lambda: draw(subject, board(), "params", metric=metric)))
    assert curve(axis) == [pytest.approx(each) for each in [(1e5, 45), (1e7, 45), (1e7, 20)]]
    assert "lower scores are better" in caption(subject, board(), "params", metric=metric)


def test_one_patient_has_points_without_bars(tmp_path: Path) -> None:
    subject = subject_of(
        tmp_path, {"small": (0.5,), "large": (0.5,)}, only_first=["small", "large"]
    )
    (axis,) = panels(figure_of(lambda: draw(subject, board(), "params")))
    assert set(marks(axis)) == {(1e5, 50.0), (1e7, 50.0), (2e7, 50.0)} and not axis.collections
    assert "there are no intervals" in caption(subject, board(), "params")


def many(root: Path, rows: int) -> tuple[Subject, Table]:
    subject = many_networks(root, rows, 8)
    names = subject.analysis.rows
    sizes = [(1e5 * 1.2**i, 1e9 * 1.15 ** (i * 7 % rows)) for i in range(rows)]
    found = tuple(
        Row(name, (Cell(params), Cell(macs), Cell(0.5), Cell(1.0)), 1)
        for name, (params, macs) in zip(names, sizes, strict=True)
    )
    networks = [make_network(name, 1, 1, 5 + 3.0 * (i * 11 % rows)) for i, name in enumerate(names)]
    return replace(subject, machine=make_profile(*networks)), replace(board(), rows=found)


@pytest.mark.parametrize("rows", [4, 30])
def test_readable_with_few_and_many_networks(tmp_path: Path, rows: int) -> None:
    subject, table = many(tmp_path, rows)
    for costs in (("params",), ("params", "macs", "fps")):
        figure = figure_of(lambda costs=costs: draw(subject, table, *costs))
        assert_readable(figure)
        for axis in panels(figure):
            assert len(axis.texts) == rows
    # Where names don't fit, numbers do, by score; every name stands below the panels.
    labels = [text.get_text() for text in texts(figure)]
    best = subject.analysis.standings(METRICS["dice_patient"])[0].row
    assert labels.count("1") >= 4 and best in labels


def test_the_same_bytes(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, DICE, MACHINE)
    for kind in ("png", "pdf", "svg"):
        assert written(lambda: draw(subject, board()), kind) == written(
            lambda: draw(subject, board()), kind
        )


def test_caption_says_what_was_measured(tmp_path: Path) -> None:
    text = caption(subject_of(tmp_path, DICE, MACHINE), board())
    assert "Dice (mean over patients) of 3 networks on phantom, protocol smoke" in text
    assert "multiply-adds (MACs) of one image of 3×512×512" in text
    assert "10,000 resamples of 4 patients with 8 test images (folds 1, 2; seed 0)" in text
    assert "Measured on some-cpu-1-thread" in text
