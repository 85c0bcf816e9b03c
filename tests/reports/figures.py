"""A look at the figures that a report draws, and comparisons to draw them of."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from reports.figures.drawing import Drawn
from reports.subject import Subject, read_holdings
from results.machines import MachineProfile
from results.store import Store
from tests.stores import write_run


@contextmanager
def kept_figures() -> Iterator[list[matplotlib.figure.Figure]]:
    """Keep the figures that are made inside the block."""
    figures: list[matplotlib.figure.Figure] = []
    make = matplotlib.figure.Figure

    class Kept(make):  # type: ignore[misc, valid-type]
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)
            figures.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matplotlib.figure, "Figure", Kept)
        yield figures


def figure_of(draw: Callable[[], Drawn | None]) -> matplotlib.figure.Figure:
    """The figure that a call draws, laid out."""
    with kept_figures() as figures:
        assert draw() is not None
    figures[0].canvas.draw()
    return figures[0]


def written(draw: Callable[[], Drawn | None], kind: str) -> bytes:
    """The file of a figure."""
    found = draw()
    assert found is not None
    file = io.BytesIO()
    found(kind)(file)
    return file.getvalue()


def subject_of(
    root: Path,
    dice: Mapping[str, Sequence[float]],
    machine: MachineProfile | None = None,
    *,
    only_first: Sequence[str] = (),
) -> Subject:
    """A comparison of networks, two images of each patient.

    Args:
        root: The folder of its store.
        dice: Each network's Dice of patients p0, p1, ...; even ones are fold 1, odd ones fold 2.
        machine: A profile.
        only_first: Networks that have fold 1 alone.
    """
    store = Store(root)
    for model, values in dice.items():
        for fold in (1,) if model in only_first else (1, 2):
            own = {
                f"p{patient:03}-{image}": value
                for patient, value in enumerate(values)
                if patient % 2 == fold - 1
                for image in (1, 2)
            }
            write_run(store, own, model=model, fold=fold)
    (subject,) = read_holdings(root, machine).subjects
    return subject


def many_networks(root: Path, rows: int, patients: int) -> Subject:
    """A comparison of many networks with long names, of which the first tend to be better."""
    random = np.random.default_rng(0)
    easy = random.uniform(0.3, 0.9, patients)
    dice = {}
    for row in range(rows):
        scores = easy - 0.01 * row + random.normal(0, 0.03, patients)
        dice[f"smp:decoder-{row:02}/encoder"] = scores.clip(0, 1).tolist()
    return subject_of(root, dice)


def texts(figure: matplotlib.figure.Figure) -> list[Text]:
    """All texts that a reader sees."""
    found = list(figure.texts)  # with its title
    for axis in figure.axes:
        found += axis.texts
        if (legend := axis.get_legend()) is not None:
            found += legend.get_texts()
        if axis.axison:
            found += [axis.title, axis.xaxis.label, axis.yaxis.label, *_ticks(axis)]
    return [each for each in found if each.get_text() and each.get_visible()]


def _ticks(axis: Axes) -> list[Text]:
    found = []
    for each in (axis.xaxis, axis.yaxis):
        low, high = sorted(each.get_view_interval())
        for tick in each.get_major_ticks():
            if low <= tick.get_loc() <= high and tick.label1.get_visible():
                found.append(tick.label1)
    return found


def assert_readable(figure: matplotlib.figure.Figure) -> None:
    """No text is cut, under 6 pt, or over another."""
    found = texts(figure)
    boxes = [Text.get_window_extent(each) for each in found]
    for number, (text, box) in enumerate(zip(found, boxes, strict=True)):
        assert text.get_fontsize() >= 6, text
        inside = figure.bbox.padded(0.5)
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1, f"{text} is cut"
        assert inside.y0 <= box.y0 and box.y1 <= inside.y1, f"{text} is cut"
        for other, their in zip(found[number + 1 :], boxes[number + 1 :], strict=True):
            shared = Bbox.intersection(box, their)
            # The boxes of two lines of text may touch.
            touching = shared is None or min(shared.width, shared.height) < 1.5
            assert touching, f"{text} and {other} overlap"
