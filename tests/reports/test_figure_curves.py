from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.figure
import pytest
from matplotlib.text import Text

from reports.analysis import Analysis
from reports.chosen import Place
from reports.comparison import Comparison, compare
from reports.figures.curves import caption, curves, draw
from reports.subject import Subject
from results.cases import read_cases
from results.record import RunRecord
from tests.factory import make_record
from tests.reports.figures import kept_figures

Losses = Sequence[float]


def trained(model: str, loss: Losses, seed: int = 0, dice: float = 0.5) -> RunRecord:
    record = make_record(model, dice, seed=seed)
    assert record.training is not None
    training = record.training.model_copy(update={"curve": tuple(loss)})
    return record.model_copy(update={"training": training})


def comparison_of(*records: RunRecord) -> Comparison:
    (found,) = compare(records)
    return found


def subject_of(*records: RunRecord) -> Subject:
    comparison = comparison_of(*records)
    nowhere = Path("nowhere")
    return Subject(nowhere, comparison, Analysis(Place(comparison, read_cases(nowhere)), ()))


def several(losses: Mapping[str, Losses]) -> Subject:
    return subject_of(
        *(trained(m, loss, dice=0.9 - 0.01 * i) for i, (m, loss) in enumerate(losses.items()))
    )


def drawn(subject: Subject) -> matplotlib.figure.Figure:
    with kept_figures() as figures:
        assert draw(subject) is not None
    return figures[0]


def test_mean_and_band_of_each_epoch() -> None:
    (curve,) = curves(comparison_of(trained("unet", (1, 4)), trained("unet", (3, 2), seed=1)))
    assert (curve.mean, curve.low, curve.high) == ((2, 3), (1, 2), (3, 4))
    assert (curve.runs, curve.uneven, list(curve.epochs)) == (2, False, [1, 2])


def test_an_epoch_that_some_runs_lack_is_the_mean_of_the_others() -> None:
    records = (trained("unet", (1, 4)), trained("unet", (3,), seed=1))
    (curve,) = curves(comparison_of(*records))
    assert (curve.mean, curve.low, curve.high) == ((2, 4), (1, 4), (3, 4))
    assert curve.uneven and "runs that reached the epoch" in caption(subject_of(*records))


def test_rows_by_dice_and_with_the_runs_that_they_lack() -> None:
    found = curves(
        comparison_of(
            trained("enet", (1,), dice=0.4),
            trained("enet", (1,), seed=1, dice=0.4),
            trained("unet", (1,), dice=0.8),
        )
    )
    assert [curve.label for curve in found] == ["unet (1 of 2 runs)", "enet"]


def test_few_networks_share_a_panel_and_are_named_apart() -> None:
    figure = drawn(several({f"net{number}": (1.0, 0.5) for number in range(8)}))
    (axis,) = figure.axes
    assert len(axis.lines) == 8
    assert len({(line.get_color(), line.get_linestyle()) for line in axis.lines}) == 8
    assert len({line.get_color() for line in axis.lines}) == 8
    assert [text.get_text() for text in axis.texts] == [f"net{number}" for number in range(8)]
    figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in axis.texts]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert box.x0 > axis.bbox.x0 and box.y0 >= 0 and box.y1 <= figure.bbox.y1


def test_the_lines_are_the_means() -> None:
    records = (trained("unet", (1, 4)), trained("unet", (3, 2), seed=1))
    (axis,) = drawn(subject_of(*records)).axes
    (line,) = axis.lines
    assert [list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))] == [
        [1, 2],
        [2, 3],
    ]
    (band,) = axis.collections
    corners = {(float(x), float(y)) for x, y in band.get_paths()[0].vertices}
    assert {(1, 1), (1, 3), (2, 2), (2, 4)} <= corners


def test_many_networks_have_a_panel_each() -> None:
    subject = several({f"net{number}": (1.0, 0.5, 0.4) for number in range(17)})
    figure = drawn(subject)
    assert len(figure.axes) == 17
    assert [axis.get_title(loc="left") for axis in figure.axes[:2]] == ["net0", "net1"]
    assert all(len(axis.lines) == 17 for axis in figure.axes)
    assert "Each network has a panel" in caption(subject)


@pytest.mark.parametrize(("last", "scale"), [(0.5, "linear"), (0.01, "log")])
def test_the_axis_is_logarithmic_where_losses_span_a_factor_of_20(last: float, scale: str) -> None:
    subject = several({"a": (1.0, last)})
    assert drawn(subject).axes[0].get_yscale() == scale
    assert ("logarithmic" in caption(subject)) == (scale == "log")


def test_losses_below_zero_are_never_logarithmic() -> None:
    assert drawn(several({"a": (1.0, -0.01)})).axes[0].get_yscale() == "linear"


def test_one_epoch_can_be_drawn() -> None:
    figure = drawn(several({"a": (0.7,), "b": (0.8,)}))
    assert [line.get_marker() for line in figure.axes[0].lines] == ["o", "o"]


def test_untrained_networks_have_no_figure() -> None:
    record = make_record().model_copy(update={"training": None})
    assert draw(subject_of(record)) is None
    assert "no network was trained" in caption(subject_of(record))


def test_names_are_no_mathematics() -> None:
    name = r"$x_1$"
    for subject in (several({name: (1.0,)}), several({f"{name}{i}": (1.0,) for i in range(9)})):
        draw_ = draw(subject)
        assert draw_ is not None
        draw_("png")(io.BytesIO())
        axis = drawn(subject).axes[0]
        texts = [*axis.texts, axis._left_title]  # type: ignore[attr-defined]
        shown = [text for text in texts if text.get_text().startswith("$")]
        assert shown and not any(text.get_parse_math() for text in shown)


def test_the_same_records_give_the_same_files() -> None:
    for kind in ("png", "pdf", "svg"):
        files = []
        for _ in range(2):
            file = io.BytesIO()
            made = draw(several({"a": (1.0, 0.5), "b": (0.8, 0.7)}))
            assert made is not None
            made(kind)(file)
            files.append(file.getvalue())
        assert files[0] == files[1]


def test_the_caption_says_what_is_shown() -> None:
    words = caption(several({"a": (1.0, 0.5)}))
    assert "phantom, protocol smoke; fold 1, seed 0" in words
    assert "from the least to the largest of its runs" in words
