from __future__ import annotations

from pathlib import Path

from benchmark.metrics import METRICS
from reports.figures import ranks
from tests.reports.figures import assert_readable, figure_of, many_networks, subject_of, written

# "even" and "odd" are each the better one of half of the patients.
DICE = {
    "worst": (0.1, 0.2, 0.1, 0.2),
    "even": (0.8, 0.6, 0.8, 0.6),
    "odd": (0.6, 0.8, 0.6, 0.78),
}


def test_best_at_the_top_with_its_interval(tmp_path: Path) -> None:
    figure = figure_of(lambda: ranks.draw(subject_of(tmp_path, DICE)))
    left = figure.axes[0]
    assert [text.get_text() for text in left.get_yticklabels()] == ["even", "odd", "worst"]
    assert left.get_ylim()[0] > left.get_ylim()[1]
    spans = [list(map(float, line.get_xdata())) for line in left.lines if len(line.get_xdata()) > 1]
    assert spans == [[1, 2], [1, 2], [3, 3]]
    points = [float(line.get_xdata()[0]) for line in left.lines if line.get_marker() == "o"]
    assert points == [1, 2, 3]
    assert left.get_xlim()[0] < 1 and left.get_xlim()[1] > 3


def test_chances_of_being_first(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, DICE)
    figure = figure_of(lambda: ranks.draw(subject))
    shares = [bar.get_width() for bar in figure.axes[1].patches]
    assert sum(shares) == 1 and shares[0] > shares[1] > shares[2] == 0
    shown = [text.get_text() for text in figure.axes[1].texts]
    assert shown == [f"{100 * share:.0f}" for share in shares]


def test_less_than_one_percent_is_not_none() -> None:
    shown = [ranks._percent(share) for share in (0.0, 0.0001, 0.499, 0.9999, 1.0)]
    assert shown == ["0", "<1", "50", ">99", "100"]


def test_lower_is_better_of_a_distance(tmp_path: Path) -> None:
    metric = METRICS["hd95_patient_px"]  # 100 px less 100 times Dice
    figure = figure_of(lambda: ranks.draw(subject_of(tmp_path, DICE), metric))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()][2] == "worst"
    assert "HD95" in figure.get_suptitle()


def test_readable_with_two_and_thirty_networks(tmp_path: Path) -> None:
    for rows in (2, 30):
        figure = figure_of(
            lambda rows=rows: ranks.draw(many_networks(tmp_path / str(rows), rows, 6))
        )
        assert_readable(figure)
        assert figure.get_figwidth() == 3.5 and figure.get_figheight() < 6


def test_long_names_take_a_whole_page(tmp_path: Path) -> None:
    name = r"$\frac{x_1}$[deep_supervision=true,depth=3,widths=32]"
    figure = figure_of(lambda: ranks.draw(subject_of(tmp_path, {**DICE, name: (0.5,) * 4})))
    assert figure.get_figwidth() > 7
    assert_readable(figure)


def test_the_same_bytes(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, DICE)
    for kind in ("png", "pdf", "svg"):
        assert written(lambda: ranks.draw(subject), kind) == written(
            lambda: ranks.draw(subject), kind
        )


def test_caption_says_what_was_resampled(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, {**DICE, "half": (0.9,) * 4}, only_first=["half"])
    text = ranks.caption(subject)
    assert "Ranks of 3 networks by Dice (mean over patients) on phantom, protocol smoke" in text
    assert "4 patients with 8 test images (folds 1, 2; seed 0)" in text
    assert "half has fold 1 with seed 0, of 2 runs: it has no interval and no rank." in text


def test_nothing_to_draw(tmp_path: Path) -> None:
    for place, dice in enumerate(({"a": (0.5, 0.6)}, {"a": (0.5,), "b": (0.6,)})):
        only = list(dice) if place else []
        subject = subject_of(tmp_path / str(place), dice, only_first=only)
        assert ranks.draw(subject) is None
        assert ranks.caption(subject) == ""
