from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

from benchmark.labels import IGNORE
from reports.figures.overlay import overlay, truth_picture
from reports.figures.pictures import Grid, gather
from reports.figures.qualitative import caption, draw
from reports.images import Rule, choose_images
from reports.subject import Subject
from results.predictions import PREDICTIONS
from results.record import RunRecord
from results.store import Store
from tests.reports.figures import kept_figures
from tests.reports.pictured import SIDE, Squares, put_dataset, subject_of, write_pictured
from zoo.errors import CovbenchError

GREY, GREEN, VERMILION, BLUE = (7, 7, 7), (0, 158, 115), (213, 94, 0), (0, 114, 178)
SCORES = {"a-1": 0.5, "a-2": 0.9, "b-1": 0.1, "b-2": 0.7, "c-1": 0.3}


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> Squares:
    made = Squares(list(SCORES))
    put_dataset(monkeypatch, made)
    return made


def stored(
    root: Path, networks: Mapping[str, Mapping[str, float]] | None = None, seeds: int = 1
) -> Subject:
    for place, (model, dice) in enumerate((networks or {"unet": SCORES}).items()):
        for seed in range(seeds):
            shifted = {name: value + 0.05 * seed for name, value in dice.items()}
            write_pictured(Store(root), shifted, model=model, seed=seed, params=place + 1)
    return subject_of(root)


def gathered(subject: Subject, best: int | None = 6, **options: int) -> Grid:
    found = gather(subject, "best-median-worst", options.get("count", 3), 0, best, ())
    assert isinstance(found, Grid), found
    return found


def drawn(subject: Subject) -> matplotlib.figure.Figure:
    with kept_figures() as figures:
        made = draw(subject)
    assert made is not None
    made("png")(io.BytesIO())
    return figures[0]


def shown(subject: Subject, rule: Rule = "best-median-worst", **options: int) -> list[str]:
    chosen = choose_images(subject.analysis, rule, **options)
    return [f"{each.word} {each.image.id}".strip() for each in chosen]


def test_images_are_chosen_by_rank(tmp_path: Path) -> None:
    subject = stored(tmp_path)
    assert shown(subject) == ["best a-2", "median a-1", "worst b-1"]
    assert shown(subject, count=1) == ["median a-1"]
    assert shown(subject, count=4) == ["best a-2", "rank 2 b-2", "median a-1", "worst b-1"]
    assert len(shown(subject, count=9)) == 5


def test_the_rank_is_by_the_mean_over_networks_and_seeds(tmp_path: Path) -> None:
    other = {"a-1": 0.1, "a-2": 0.2, "b-1": 0.9, "b-2": 0.3, "c-1": 0.3}
    subject = stored(tmp_path, {"unet": SCORES, "enet": other}, seeds=2)
    chosen = choose_images(subject.analysis)
    # Both networks: a-1 0.3, a-2 0.55, b-1 0.5, b-2 0.5, c-1 0.3; the second seed adds 0.05.
    assert [each.image.id for each in chosen] == ["a-2", "b-2", "c-1"]
    assert [round(each.dice, 6) for each in chosen] == [0.575, 0.525, 0.325]


def test_images_whose_truth_is_empty_are_not_chosen(tmp_path: Path) -> None:
    write_pictured(Store(tmp_path), {**SCORES, "d-1": 0.0}, empty=("d-1",))
    assert shown(subject_of(tmp_path))[-1] == "worst b-1"


def test_a_random_choice_depends_on_its_seed_alone(tmp_path: Path) -> None:
    subject = stored(tmp_path)
    choices = [shown(subject, "seeded", count=3, seed=seed) for seed in range(6)]
    again = [shown(subject_of(tmp_path), "seeded", count=3, seed=seed) for seed in range(6)]
    assert choices == again
    assert len({tuple(choice) for choice in choices}) > 3
    assert all(len(set(choice)) == 3 for choice in choices)


def test_mistakes_are_named(tmp_path: Path, squares: Squares) -> None:
    subject = stored(tmp_path)
    with pytest.raises(CovbenchError, match="Did you mean seeded"):
        draw(subject, choose="seded")  # type: ignore[arg-type]
    with pytest.raises(CovbenchError, match="Did you mean unet"):
        draw(subject, named=("unnet",))
    with pytest.raises(CovbenchError, match="0 images"):
        draw(subject, count=0)


def test_pixels_that_are_right_too_many_and_missed() -> None:
    truth, predicted = np.zeros((2, 7, 7), np.uint8)
    truth[0:5, 0:5] = 1
    truth[6, 6] = IGNORE
    predicted[0:5, 0:3] = 1  # three columns of the truth
    predicted[5, 0] = 1  # and a pixel under it
    predicted[6, 6] = 1  # and one that is not scored
    picture = overlay(np.full((7, 7), 7, np.uint8), truth, predicted == 1, stripe=1)
    colours = {place: tuple(picture[place].tolist()) for place in np.ndindex(7, 7)}
    inside = {(row, 1) for row in range(1, 4)}
    for row in range(5):
        for column in range(3):
            assert colours[row, column] == (GREY if (row, column) in inside else GREEN)
        for column in (3, 4):  # stripes that are two pixels wide
            assert colours[row, column] == (BLUE if (row + column) // 2 % 2 == 0 else GREY)
    assert colours[5, 0] == VERMILION
    assert colours[6, 6] == GREY
    assert colours[0, 5] == colours[5, 5] == GREY
    assert picture.dtype == np.uint8


def test_the_truth_in_black_and_white() -> None:
    picture = truth_picture(np.array([[0, 1, 2, IGNORE]], np.uint8))
    assert picture[0, :, 0].tolist() == [0, 255, 255, 128]


def test_the_decision_is_more_than_half(tmp_path: Path, squares: Squares) -> None:
    line = gathered(stored(tmp_path)).lines[0]
    expected = np.zeros((SIDE, SIDE), bool)
    expected[:2] = True  # stored as 128; the 127 under it are no foreground
    assert (line.tiles[0].predicted == expected).all()
    assert (line.image == 11).all() and line.truth.sum() == 16


def test_scores_are_those_of_the_run_with_the_lowest_seed(tmp_path: Path, squares: Squares) -> None:
    for seed in (4, 2):
        scores = {name: value + 0.01 * seed for name, value in SCORES.items()}
        write_pictured(Store(tmp_path), scores, seed=seed)
    best, _, worst = gathered(subject_of(tmp_path)).lines
    assert (best.tiles[0].dice, worst.tiles[0].dice) == (0.9 + 0.02, 0.1 + 0.02)
    assert best.tiles[0].jaccard == 0.92 / (2 - 0.92)
    assert best.seed == 2
    assert best.chosen.dice == pytest.approx(0.93)


def test_the_run_is_that_of_the_fold_that_tested_the_image(
    tmp_path: Path, squares: Squares
) -> None:
    empty, full = np.zeros((SIDE, SIDE), np.uint8), np.full((SIDE, SIDE), 255, np.uint8)
    store = Store(tmp_path)
    write_pictured(store, {"a-1": 0.5, "a-2": 0.9}, probability=empty, fold=1)
    write_pictured(store, {"b-1": 0.1}, probability=full, fold=2)
    best, _, worst = gathered(subject_of(tmp_path)).lines
    assert (best.chosen.image.fold, worst.chosen.image.fold) == (1, 2)
    assert not best.tiles[0].predicted.any() and worst.tiles[0].predicted.all()
    assert "a-2, fold 1, seed 0, mean Dice 90.0" in caption(subject_of(tmp_path))


def test_which_networks_are_shown(tmp_path: Path, squares: Squares) -> None:
    networks = {
        f"net{place}": {name: value - 0.01 * place for name, value in SCORES.items()}
        for place in range(4)
    }
    subject = stored(tmp_path, networks)

    def names(best: int | None, *named: str) -> list[str]:
        found = gather(subject, "best-median-worst", 1, 0, best, named)
        assert isinstance(found, Grid)
        return [tile.network for tile in found.lines[0].tiles]

    assert names(2) == ["net0", "net1"]
    assert names(1, "net3") == ["net0", "net3"]
    assert names(0, "net3") == ["net3"]
    assert names(None) == ["net0", "net1", "net2", "net3"]
    assert "Networks, best first: net0, net3; " in caption(subject, best=1, named=("net3",))


def test_what_is_drawn(tmp_path: Path, squares: Squares) -> None:
    figure = drawn(stored(tmp_path))
    words = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert words == [
        *(["image", "best\na-2"], ["truth", "mean Dice 90.0"]),
        ["unet", "Dice 90.0\nJaccard 81.8"],
        *(["image", "median\na-1"], ["truth", "mean Dice 50.0"]),
        ["unet", "Dice 50.0\nJaccard 33.3"],
        *(["image", "worst\nb-1"], ["truth", "mean Dice 10.0"]),
        ["unet", "Dice 10.0\nJaccard 5.3"],
    ]
    assert all(text.get_fontsize() >= 6 for axis in figure.axes for text in axis.texts)
    assert not any(text.get_parse_math() for axis in figure.axes for text in axis.texts)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "true positive",
        "false positive",
        "false negative",
    ]


def test_many_networks_go_on_in_another_line_and_no_words_overlap(
    tmp_path: Path, squares: Squares
) -> None:
    networks = {f"smp:unetplusplus/resnet{place}": SCORES for place in range(30)}
    subject = stored(tmp_path, networks)
    with kept_figures() as figures:
        assert draw(subject, best=None) is not None
    (figure,) = figures
    assert len(figure.axes) == 3 * 32
    assert figure.get_figheight() < 9.5
    figure.canvas.draw()
    boxes = [text.get_window_extent() for axis in figure.axes for text in axis.texts]
    for number, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_a_network_without_predictions_is_left_out(tmp_path: Path, squares: Squares) -> None:
    write_pictured(Store(tmp_path), SCORES, model="unet")
    write_pictured(Store(tmp_path), SCORES, model="enet", keep=False)
    subject = subject_of(tmp_path)
    assert [tile.network for tile in gathered(subject).lines[0].tiles] == ["unet"]
    assert "Left out: enet. There are no predictions of enet" in caption(subject)


def altered(root: Path, record: RunRecord) -> None:
    path = Store(root).folder(record.spec) / PREDICTIONS
    path.write_bytes(path.read_bytes() + b"\0")


def test_altered_predictions_are_not_shown(tmp_path: Path, squares: Squares) -> None:
    altered(tmp_path, write_pictured(Store(tmp_path), SCORES))
    subject = subject_of(tmp_path)
    assert draw(subject) is None
    assert "doesn't match the SHA-256" in caption(subject)


def test_other_data_under_the_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_dataset(monkeypatch, Squares(list(SCORES), data_hash="e" * 64))
    subject = stored(tmp_path)
    assert draw(subject) is None
    assert "phantom here holds other data (eeeeeeee)" in caption(subject)


def test_a_dataset_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    write_pictured(Store(tmp_path / "runs"), SCORES, dataset="ours")
    subject = subject_of(tmp_path / "runs")
    assert draw(subject) is None
    assert "Unknown dataset 'ours'." in caption(subject)


def test_predictions_of_another_size_are_not_shown(tmp_path: Path, squares: Squares) -> None:
    write_pictured(Store(tmp_path), SCORES, probability=np.zeros((4, 4), np.uint8))
    subject = subject_of(tmp_path)
    assert draw(subject) is None
    assert "unet predicts a-2 at (4, 4), and the truth is (8, 8)" in caption(subject)


def test_without_a_whole_row_there_is_no_figure(tmp_path: Path, squares: Squares) -> None:
    write_pictured(Store(tmp_path), {"a-1": 0.0}, empty=("a-1",))
    assert draw(subject_of(tmp_path)) is None
    assert "no row has every run" in caption(subject_of(tmp_path))


def test_the_same_store_gives_the_same_files(tmp_path: Path, squares: Squares) -> None:
    subject = stored(tmp_path)
    for kind in ("png", "pdf", "svg"):
        files = []
        for _ in range(2):
            made, file = draw(subject), io.BytesIO()
            assert made is not None
            made(kind)(file)
            files.append(file.getvalue())
        assert files[0] == files[1]
