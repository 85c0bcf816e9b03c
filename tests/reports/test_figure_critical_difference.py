from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from benchmark.metrics import METRICS
from reports.figures import critical_difference as diagram
from tests.reports.figures import (
    assert_readable,
    figure_of,
    many_networks,
    subject_of,
    texts,
    written,
)

# Demšar 2006, JMLR 7, Table 5 (a): the critical values of the two-tailed Nemenyi test, by rows.
PUBLISHED = (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)


def lines(figure: object, width: float) -> list[tuple[list[float], list[float]]]:
    """The lines of some width, by their ends."""
    (axis,) = figure.axes  # type: ignore[attr-defined]
    return [
        (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for line in axis.lines
        if line.get_linewidth() == width
    ]


@pytest.mark.parametrize(("rows", "published"), tuple(enumerate(PUBLISHED, 2)))
def test_critical_values_are_the_published_ones(rows: int, published: float) -> None:
    # With 6 n = k (k + 1) the difference is the critical value itself.
    found = diagram.critical_difference(rows, 1) / math.sqrt(rows * (rows + 1) / 6)
    assert found == pytest.approx(published, abs=0.0015)


def test_a_critical_difference_by_hand() -> None:
    # Demšar's example: 4 classifiers on 14 data sets, 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25.
    assert diagram.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_cliques_by_hand() -> None:
    #        0    1    2    3    4
    ranks = (1.0, 4.0, 2.0, 2.9, 5.5)
    assert diagram.cliques(ranks, 2.0) == [(0, 2, 3), (3, 1), (1, 4)]
    # 2 is a group within (0, 2, 3); a difference as large as the critical one is one.
    assert diagram.cliques(ranks, 1.0) == [(2, 3)]
    assert diagram.cliques(ranks, 0.5) == []
    assert diagram.cliques(ranks, 9.0) == [(0, 2, 3, 1, 4)]
    assert diagram.cliques((2.0, 2.0, 2.0), 0.1) == [(0, 1, 2)]


# Of 12 patients each has the same order but for b and c, which change places in every other one.
ORDER = {
    "a": (0.9,) * 12,
    "b": (0.8, 0.7) * 6,
    "c": (0.7, 0.8) * 6,
    "d": (0.2,) * 12,
}


def test_the_diagram_by_hand(tmp_path: Path) -> None:
    figure = figure_of(lambda: diagram.draw(subject_of(tmp_path, ORDER)))
    shown = [text.get_text() for text in texts(figure)]
    assert {"a  1.00", "b  2.50", "2.50  c", "4.00  d"} < set(shown)
    assert "Friedman's test: p < 0.001, 12 patients" in shown
    # 2.569 sqrt(4 * 5 / (6 * 12)) = 1.354, less than 1.5: only b and c can't be told apart.
    assert "CD 1.35" in shown
    bars = lines(figure, 2.4)
    (scale,) = (x for x, y in lines(figure, 0.8) if x[1] - x[0] > 1 and y[0] > 0.6)
    step = (scale[1] - scale[0]) / 3
    overhang = 0.03
    assert [x for x, _ in bars] == [
        pytest.approx([scale[0] + 1.5 * step - overhang, scale[0] + 1.5 * step + overhang])
    ]
    (length,) = (x for x, y in lines(figure, 0.8) if x[1] - x[0] > 1 and y[0] < 0.6)
    assert length == pytest.approx([scale[0], scale[0] + 1.354 * step], abs=0.002)
    elbows = [x[0] for x, _ in lines(figure, 0.6)]
    assert elbows == pytest.approx([scale[0] + place * step for place in (0, 1.5, 1.5, 3)])
    assert all(y[0] == scale_y for scale_y in [0.78] for _, y in lines(figure, 0.6))
    assert_readable(figure)


def test_no_difference_is_said_and_one_bar_joins_all(tmp_path: Path) -> None:
    mixed = {"a": (0.9, 0.7, 0.8, 0.6), "b": (0.7, 0.9, 0.6, 0.8), "c": (0.8, 0.8, 0.7, 0.7)}
    subject = subject_of(tmp_path, mixed)
    figure = figure_of(lambda: diagram.draw(subject))
    (said,) = [text.get_text() for text in texts(figure) if "Friedman" in text.get_text()]
    assert said.endswith("4 patients: no difference is shown")
    assert not any(text.get_text().startswith("CD") for text in texts(figure))
    (bar,) = lines(figure, 2.4)
    elbows = [x[0] for x, _ in lines(figure, 0.6)]
    assert bar[0] == pytest.approx([min(elbows) - 0.03, max(elbows) + 0.03])
    assert "one bar joins all and no pair is tested" in diagram.caption(subject)
    assert_readable(figure)


@pytest.mark.parametrize(("rows", "patients"), [(5, 3), (15, 2), (30, 40)])
def test_readable_with_any_number_of_networks(tmp_path: Path, rows: int, patients: int) -> None:
    figure = figure_of(lambda: diagram.draw(many_networks(tmp_path, rows, patients)))
    assert_readable(figure)
    (axis,) = figure.axes
    names = [text.get_text() for text in axis.texts if "smp:" in text.get_text()]
    assert len(names) == rows
    for line in axis.lines:
        assert min(line.get_xdata()) >= 0 and max(line.get_xdata()) <= figure.get_figwidth()
        assert min(line.get_ydata()) >= 0 and max(line.get_ydata()) <= figure.get_figheight()
    # Bars at one height don't touch.
    bars = sorted((y[0], x[0], x[1]) for x, y in lines(figure, 2.4))
    for (height, _, end), (next_height, start, _) in pairwise(bars):
        assert next_height > height or start > end


def test_short_names_fit_a_column(tmp_path: Path) -> None:
    assert figure_of(lambda: diagram.draw(subject_of(tmp_path, ORDER))).get_figwidth() == 3.5


def test_the_same_bytes(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, ORDER)
    for kind in ("png", "pdf", "svg"):
        assert written(lambda: diagram.draw(subject), kind) == written(
            lambda: diagram.draw(subject), kind
        )


def test_caption(tmp_path: Path) -> None:
    text = diagram.caption(subject_of(tmp_path, ORDER))
    # Ranks 1, 2.5, 2.5, 4 of 12: chi-square 12 * 12 / 20 * (2.25 + 0 + 0 + 2.25) = 32.4.
    assert "chi-square 32.4 with 3 degrees of freedom, p < 0.001." in text
    assert "Nemenyi's test (CD 1.35 at p = 0.05)" in text
    assert "12 patients with 24 test images (folds 1, 2; seed 0)" in text


def test_nothing_to_draw(tmp_path: Path) -> None:
    two = subject_of(tmp_path / "two", {"a": (0.5, 0.6), "b": (0.6, 0.7)})
    assert diagram.draw(two) is None and diagram.caption(two) == ""
    full = subject_of(tmp_path / "full", ORDER)
    assert diagram.draw(full, METRICS["miou_pooled"]) is None
    assert diagram.draw(full, METRICS["hd95_patient_mm"]) is None
