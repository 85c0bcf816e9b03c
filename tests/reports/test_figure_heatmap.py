from __future__ import annotations

import io
from pathlib import Path

import matplotlib.figure
import numpy as np

from reports.figures.heatmap import caption, draw, heat
from reports.subject import Subject
from results.store import Store
from tests.factory import make_scores
from tests.reports.figures import kept_figures
from tests.reports.pictured import subject_of, write_pictured
from tests.stores import write_run


def drawn(subject: Subject) -> matplotlib.figure.Figure:
    with kept_figures() as figures:
        made = draw(subject)
    assert made is not None
    made("png")(io.BytesIO())
    return figures[0]


def two_networks(root: Path) -> Subject:
    """Two seeds of two networks on three images of two patients."""
    store = Store(root)
    for seed, shift in enumerate((0.0, 0.2)):
        enet = {"a-1": 0.4 + shift, "a-2": 0.1 + shift, "b-1": None}
        unet = {"a-1": 0.6 + shift, "a-2": None if seed else 0.2, "b-1": 0.7}
        write_run(store, enet, model="enet", scores=make_scores(0.3), seed=seed)
        write_run(store, unet, model="unet", scores=make_scores(0.6), seed=seed)
    return subject_of(root)


def test_rows_best_first_images_hardest_first_and_seeds_averaged(tmp_path: Path) -> None:
    found = heat(two_networks(tmp_path))
    assert found is not None
    assert found.rows == ("unet", "enet")
    assert found.means == (0.6, 0.3)
    # Over the networks: a-1 (0.7 + 0.5) / 2, a-2 (0.2 + 0.2) / 2, b-1 0.7 of unet alone.
    assert [image.id for image in found.images] == ["a-2", "a-1", "b-1"]
    expected = [[0.2, 0.7, 0.7], [0.2, 0.5, np.nan]]
    np.testing.assert_allclose(found.dice, expected)
    # Patients: a (0.2 + 0.6) / 2, b 0.7.
    assert [(name, round(mean, 9)) for name, mean in found.patients] == [("a", 0.4), ("b", 0.7)]
    assert (found.patient, found.total) == ("patient", 2)


def test_what_is_drawn(tmp_path: Path) -> None:
    subject = two_networks(tmp_path)
    map_, strip, *_ = drawn(subject).axes
    shown = map_.images[0].get_array()
    np.testing.assert_allclose(shown.filled(-1), [[20, 70, 70], [20, 50, -1]])
    assert map_.patch.get_hatch()
    assert [label.get_text() for label in map_.get_yticklabels()] == ["unet", "enet"]
    words = [text.get_text() for text in map_.texts]
    assert words == ["60.0", "30.0", "a-2", "a-1", "b-1"]
    assert [label.get_text() for label in strip.get_yticklabels()] == ["a  40.0", "b  70.0"]
    marks = [sorted(float(s[0, 0]) for s in c.get_segments()) for c in strip.collections]
    assert marks == [[0, 1], [2]]
    said = caption(subject)
    assert "Hatched" in said and "the 2 patients" in said and "seeds 0, 1" in said


def test_an_image_without_a_score_in_any_network_comes_last(tmp_path: Path) -> None:
    write_run(Store(tmp_path), {"a-1": None, "b-1": 0.9, "c-1": 0.5})
    found = heat(subject_of(tmp_path))
    assert found is not None
    assert [image.id for image in found.images] == ["c-1", "b-1", "a-1"]


def test_of_many_images_the_hardest_are_named(tmp_path: Path) -> None:
    write_run(Store(tmp_path), {f"p{i // 3}-{i:03d}": i / 100 for i in range(60)})
    subject = subject_of(tmp_path)
    map_, strip, *_ = drawn(subject).axes
    names = [text.get_text() for text in map_.texts if text.get_text().startswith("p")]
    assert names == [f"p{i // 3}-{i:03d}" for i in range(12)]
    assert len(strip.get_yticks()) == 12
    assert "the 12 hardest are named" in caption(subject)
    assert "12 of 20 patients of lowest mean Dice" in caption(subject)


def test_images_whose_truth_is_empty_are_marked(tmp_path: Path) -> None:
    write_pictured(Store(tmp_path), {"a-1": 0.0, "b-1": 0.5}, empty=("a-1",), keep=False)
    subject = subject_of(tmp_path)
    words = [text.get_text() for text in drawn(subject).axes[0].texts]
    assert words[1:] == ["a-1 ∅", "b-1"]
    assert "the truth is empty" in caption(subject)


def test_an_image_that_two_folds_test_is_named_with_its_fold(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_run(store, {"a-1": 0.9, "b-1": 0.3}, fold=1)
    write_run(store, {"a-1": 0.5, "c-1": 0.7}, fold=2)
    found = heat(subject_of(tmp_path))
    assert found is not None
    assert list(map(found.name, found.images)) == ["b-1", "a-1 (fold 2)", "c-1", "a-1 (fold 1)"]


def test_where_no_patients_are_known_none_are_shown(tmp_path: Path) -> None:
    shape = {"groups_disjoint": False}
    write_run(Store(tmp_path), {"a": 0.9, "b": 0.3}, group=lambda image: image, data=shape)
    subject = subject_of(tmp_path)
    found = heat(subject)
    assert found is not None and found.patients == ()
    assert "Below" not in caption(subject)
    drawn(subject)


def test_no_whole_row_no_figure(tmp_path: Path) -> None:
    write_run(Store(tmp_path), {"a-1": None})
    assert draw(subject_of(tmp_path)) is None
    assert caption(subject_of(tmp_path)).startswith("No map of images")


def test_names_are_no_mathematics(tmp_path: Path) -> None:
    write_run(Store(tmp_path), {"$a_1$-1": 0.5, "$b$-1": 0.6}, model="$x_1$")
    map_, strip, *_ = drawn(subject_of(tmp_path)).axes
    texts = [*map_.texts, *map_.get_yticklabels(), *strip.get_yticklabels()]
    shown = [text for text in texts if "$" in text.get_text()]
    assert len(shown) == 5 and not any(text.get_parse_math() for text in shown)


def test_the_same_store_gives_the_same_files(tmp_path: Path) -> None:
    two_networks(tmp_path)
    for kind in ("png", "pdf", "svg"):
        files = []
        for _ in range(2):
            made, file = draw(subject_of(tmp_path)), io.BytesIO()
            assert made is not None
            made(kind)(file)
            files.append(file.getvalue())
        assert files[0] == files[1]


def test_a_network_that_lacks_a_run_is_left_out_and_the_caption_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (0, 1):
        write_run(store, {"a-1": 0.5, "b-1": 0.6}, model="unet", seed=seed)
    write_run(store, {"a-1": 0.5, "b-1": 0.6}, model="enet", seed=0)
    found = heat(subject_of(tmp_path))
    assert found is not None and found.rows == ("unet",)
    assert "Networks without every run are left out: 1." in caption(subject_of(tmp_path))
