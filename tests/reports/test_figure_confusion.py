from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib.figure

from reports.analysis import Analysis
from reports.chosen import Place
from reports.comparison import compare
from reports.figures.confusion import Matrix, caption, draw, matrices
from reports.subject import Subject
from results.cases import read_cases
from results.record import Counts, RunRecord
from tests.factory import make_failure, make_record
from tests.reports.figures import kept_figures


def counted(model: str, tp: int, fp: int, fn: int, tn: int, **changes: Any) -> RunRecord:
    counts = {"infection": Counts(tp=tp, fp=fp, fn=fn, tn=tn)}
    return make_record(model, **changes).model_copy(update={"counts": counts})


def subject_of(*records: RunRecord) -> Subject:
    (comparison,) = compare(records, [] if records else [make_failure()])
    nowhere = Path("nowhere")
    return Subject(nowhere, comparison, Analysis(Place(comparison, read_cases(nowhere)), ()))


def drawn(subject: Subject) -> matplotlib.figure.Figure:
    with kept_figures() as figures:
        made = draw(subject)
    assert made is not None
    made("png")(io.BytesIO())
    return figures[0]


TWO = (
    counted("unet", 30, 5, 10, 955, dice=0.8),
    counted("unet", 60, 15, 20, 905, seed=1, dice=0.8),
    counted("enet", 0, 0, 0, 100, dice=0.3),
)


def test_counts_are_added_up_over_runs() -> None:
    unet, enet = matrices(subject_of(*TWO).comparison)
    assert unet == Matrix("unet", tp=90, fn=30, fp=20, tn=1860)
    assert unet.counts == ((90, 30), (20, 1860))
    assert unet.percent[0] == (75.0, 25.0)
    assert [round(share or 0, 4) for share in unet.percent[1]] == [1.0638, 98.9362]
    assert enet.label == "enet (1 of 2 runs)"
    assert enet.percent == ((None, None), (0.0, 100.0))


def test_cells_hold_share_and_pixels() -> None:
    first, second = drawn(subject_of(*TWO)).axes
    words = [text.get_text() for text in first.texts]
    assert words == [
        *("75.00 %", "90", "25.00 %", "30"),
        *("1.06 %", "20", "98.94 %", "1,860"),
    ]
    assert [text.get_text() for text in second.texts][::2] == ["–", "–", "0.00 %", "100.00 %"]
    assert first.get_title() == "unet"
    assert [label.get_text() for label in first.get_yticklabels()] == ["infection", "background"]
    assert [label.get_text() for label in second.get_yticklabels()] == ["", ""]


def test_every_network_has_a_panel() -> None:
    records = [counted(f"net{i:02d}", 1, 2, 3, 4, dice=0.9 - 0.01 * i) for i in range(17)]
    figure = drawn(subject_of(*records))
    assert [axis.get_title() for axis in figure.axes] == [f"net{i:02d}" for i in range(17)]
    assert figure.get_figheight() < 9.5


def test_the_caption_says_what_is_counted() -> None:
    words = caption(subject_of(*TWO))
    assert "added up over the 2 runs, so that an image counts once for each seed" in words
    assert "of the one run" in caption(subject_of(TWO[0]))


def test_without_a_finished_run_there_is_no_figure() -> None:
    assert draw(subject_of()) is None
    assert "there is no finished run" in caption(subject_of())


def test_names_are_no_mathematics() -> None:
    (axis,) = drawn(subject_of(counted("$x_1$", 1, 2, 3, 4))).axes
    assert axis.get_title() == "$x_1$" and not axis.title.get_parse_math()


def test_the_same_records_give_the_same_files() -> None:
    for kind in ("png", "pdf", "svg"):
        files = []
        for _ in range(2):
            made, file = draw(subject_of(*TWO)), io.BytesIO()
            assert made is not None
            made(kind)(file)
            files.append(file.getvalue())
        assert files[0] == files[1]
