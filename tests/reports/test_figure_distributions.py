from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from benchmark.metrics import METRICS
from reports.figures import distributions
from tests.reports.figures import assert_readable, figure_of, many_networks, subject_of, written

DICE = {"low": (0.1, 0.2, 0.3, 0.4, 0.5), "high": (0.9, 0.5, 0.6, 0.8, 0.7)}


def points(axis: Axes) -> list[list[float]]:
    """The scores of each row, as drawn."""
    return [list(map(float, line.get_xdata())) for line in axis.lines if line.get_marker() == "o"]


def test_every_patient_is_a_point_and_the_best_row_is_at_the_top(tmp_path: Path) -> None:
    figure = figure_of(lambda: distributions.draw(subject_of(tmp_path, DICE)))
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["high", "low"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    high, low = points(axis)
    assert high == pytest.approx([90, 50, 60, 80, 70]) and low == pytest.approx(range(10, 60, 10))
    assert axis.get_xlabel() == "Dice of each patient (%)"


def test_median_quartiles_and_mean(tmp_path: Path) -> None:
    (axis,) = figure_of(lambda: distributions.draw(subject_of(tmp_path, DICE))).axes
    others = [line for line in axis.lines if line.get_marker() != "o"]
    box, median, mean = (list(map(float, line.get_xdata())) for line in others[:3])
    assert (min(box), max(box)) == pytest.approx((60, 80))
    assert median == pytest.approx([70, 70]) and mean == pytest.approx([70])


def test_a_patient_is_the_mean_over_its_images_and_seeds(tmp_path: Path) -> None:
    from reports.subject import read_holdings
    from results.store import Store
    from tests.stores import write_run

    store = Store(tmp_path)
    for seed, dice in enumerate(((0.2, 0.4, 0.5), (0.6, 0.8, 0.7))):
        images = dict(zip(("p-1", "p-2", "q-1"), dice, strict=True))
        write_run(store, images, model="a", seed=seed)
    (subject,) = read_holdings(tmp_path).subjects
    (axis,) = figure_of(lambda: distributions.draw(subject)).axes
    assert points(axis) == [pytest.approx([50, 60])]  # (30 + 70) / 2 and (50 + 70) / 2


def test_points_that_are_near_stand_beside_each_other() -> None:
    values = np.array([0.5, 0.5, 0.5, 0.1, 0.9, 0.9])
    moves = distributions.swarm(values, 0.05, 0.3)
    assert moves.tolist() == pytest.approx([0, 0.1, -0.1, 0, -0.05, 0.05])
    crowd = distributions.swarm(np.zeros(200), 0.05, 0.3)
    assert np.unique(crowd.round(9)).size == 200
    assert np.abs(crowd).max() <= 0.3 + 1e-9
    assert (distributions.swarm(np.zeros(200), 0.05, 0.3) == crowd).all()


@pytest.mark.parametrize(("rows", "patients"), [(1, 4), (4, 200), (30, 200)])
def test_readable_with_few_and_many(tmp_path: Path, rows: int, patients: int) -> None:
    figure = figure_of(lambda: distributions.draw(many_networks(tmp_path, rows, patients)))
    assert_readable(figure)
    assert figure.get_figheight() < 9
    (axis,) = figure.axes
    assert [len(row) for row in points(axis)] == [patients] * rows
    low, high = axis.get_xlim()
    assert all(low < score < high for row in points(axis) for score in row)
    # A row's points don't reach into the next.
    for place, line in enumerate(each for each in axis.lines if each.get_marker() == "o"):
        assert np.abs(np.asarray(line.get_ydata()) - place).max() < 0.5


def test_the_same_bytes(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, DICE)
    for kind in ("png", "pdf", "svg"):
        assert written(lambda: distributions.draw(subject), kind) == written(
            lambda: distributions.draw(subject), kind
        )


def test_a_distance_has_its_unit_and_the_smallest_first(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, DICE)
    metric = METRICS["hd95_patient_px"]  # 100 px less 100 times Dice
    (axis,) = figure_of(lambda: distributions.draw(subject, metric)).axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["high", "low"]
    assert points(axis)[0] == pytest.approx([10, 50, 40, 20, 30])
    assert axis.get_xlabel() == "HD95 of each patient (px)"


def test_caption(tmp_path: Path) -> None:
    text = distributions.caption(subject_of(tmp_path, DICE))
    assert "by 2 networks on phantom, protocol smoke" in text
    assert "5 patients with 10 test images (folds 1, 2; seed 0)" in text


def test_nothing_to_draw(tmp_path: Path) -> None:
    lone = subject_of(tmp_path / "lone", {"a": (0.5,), "b": (0.6,)}, only_first=["a", "b"])
    assert distributions.draw(lone) is None and distributions.caption(lone) == ""
    full = subject_of(tmp_path / "full", DICE)
    assert distributions.draw(full, METRICS["miou_pooled"]) is None
