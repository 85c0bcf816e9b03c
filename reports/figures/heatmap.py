"""Dice of every image by every network: which images are hard, and for whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.figures.drawing import GREY, PAGE, Drawn, figure_writer, new_figure
from reports.figures.multiples import broken, scope
from reports.images import Tested, best_sides, image_dice, mean_dice, over_networks, tested_images
from reports.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes

_ALL_NAMED = 50
"""Up to this many images each has its name; of more the hardest have."""
_NAMED = 12
_PATIENTS = 12
_SIZE = 6.0
_MOST = 30
"""Characters of an id that are shown."""
_EMPTY = "∅"
"""What marks an image whose truth is empty."""


@dataclass(frozen=True, eq=False)
class Heat:
    """What the figure shows.

    Attributes:
        rows: The networks, best first.
        means: Dice of each as in the leaderboard, a fraction.
        images: The images, hardest first; those without a score in any network last.
        dice: Their Dice, a fraction, (rows, images); nan where undefined in every seed.
        patients: The patients of lowest mean Dice, lowest first, with that mean.
        patient: What `patients` are: patient, group; empty where the images are their own.
        total: Number of all patients.
    """

    rows: tuple[str, ...]
    means: tuple[float | None, ...]
    images: tuple[Tested, ...]
    dice: npt.NDArray[np.float64]
    patients: tuple[tuple[str, float], ...]
    patient: str
    total: int

    def name(self, image: Tested) -> str:
        """An image's id, cut if it is long, with its fold where several folds test it."""
        several = sum(each.id == image.id for each in self.images) > 1
        fold = f" (fold {image.fold})" if several else ""
        return broken(image.id, _MOST, 1) + fold + ("" if image.lesion else f" {_EMPTY}")


def heat(subject: Subject) -> Heat | None:
    """The scores of the rows that have every run; None where there is none with a score."""
    import numpy as np

    from benchmark.metrics import METRICS
    from reports.boards.standings import PRIMARY

    analysis, comparison = subject.analysis, subject.comparison
    sides = best_sides(analysis)
    if not sides:
        return None
    dice = image_dice(analysis)[[analysis.rows.index(side.label) for side in sides]]
    if np.isnan(dice).all():
        return None
    images = tested_images(analysis)
    means = over_networks(dice)
    order = sorted(
        range(len(images)),
        key=lambda place: (
            math.inf if math.isnan(means[place]) else means[place],
            images[place].id,
            images[place].fold,
        ),
    )
    unit = analysis.scores(METRICS[PRIMARY]).unit
    of: dict[str, list[float]] = {}
    for image, mean in zip(images, means, strict=True):
        if not math.isnan(mean):
            of.setdefault(image.patient, []).append(float(mean))
    patients = sorted(
        ((name, sum(own) / len(own)) for name, own in of.items()), key=lambda each: each[::-1]
    )
    entries = [subject.entry(side.label) for side in sides]
    return Heat(
        rows=tuple(side.label for side in sides),
        means=tuple(mean_dice(comparison, entry) if entry else None for entry in entries),
        images=tuple(images[place] for place in order),
        dice=dice[:, order],
        patients=() if unit == "slice" else tuple(patients[:_PATIENTS]),
        patient="" if unit == "slice" else unit,
        total=len({image.patient for image in images}),
    )


def draw(subject: Subject) -> Drawn | None:
    """Networks (best first) by images (hardest first), with the images of the hardest patients.

    Returns:
        The figure; None where no row has every run, or no image has a score.
    """
    found = heat(subject)
    if found is None:
        return None
    name_inches = 0.045 * max(len(found.name(image)) for image in _named(found)) + 0.2
    map_inches = max(0.9, 0.155 * len(found.rows))
    strip_inches = 0.115 * len(found.patients)
    figure = new_figure(PAGE, name_inches + map_inches + strip_inches + 0.55)
    heights = [map_inches, strip_inches] if found.patients else [map_inches]
    axes = figure.subplots(
        len(heights), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    _map(axes[0], found)
    if found.patients:
        _strip(axes[1], found)
    axes[-1].set_xlabel(
        f"{len(found.images)} test images, hardest first (by mean Dice over the networks)",
        fontsize=8,
    )
    return figure_writer(figure)


def caption(subject: Subject) -> str:
    """What the figure shows, in sentences; why there is none, where nothing can be drawn."""
    import numpy as np

    found = heat(subject)
    if found is None:
        return (
            f"No map of images of {scope(subject.comparison)}: no network has every run with "
            "per-image scores."
        )
    text = (
        f"Dice of each test image in percent ({scope(subject.comparison)}), averaged over seeds. "
        "Rows: networks, best first, with their mean Dice on the right as in the leaderboard. "
        "Columns: images, hardest first by their mean over the networks"
    )
    if len(found.images) > _ALL_NAMED:
        text += f"; the {len(_named(found))} hardest are named"
    text += ". "
    if not all(image.lesion for image in _named(found)):
        text += f"{_EMPTY}: the truth is empty, so that any predicted pixel makes Dice 0. "
    if np.isnan(found.dice).any():
        text += "Hatched: undefined in every seed, because truth and prediction are both empty. "
    if found.patients:
        all_ = len(found.patients) == found.total
        which = (
            f"the {found.total} {found.patient}s"
            if all_
            else f"the {len(found.patients)} of {found.total} {found.patient}s of lowest mean Dice"
        )
        text += (
            f"Below: where the images of {which} stand, lowest first, with the mean over their "
            "images in percent. "
        )
    if subject.analysis.skipped:
        text += f"Networks without every run are left out: {len(subject.analysis.skipped)}. "
    return text.strip()


def _named(found: Heat) -> Sequence[Tested]:
    return found.images if len(found.images) <= _ALL_NAMED else found.images[:_NAMED]


def _map(axis: Axes, found: Heat) -> None:
    """The scores as colours."""
    import numpy as np

    percent = np.ma.masked_invalid(100 * found.dice)
    top = max(10.0, 10 * math.ceil(float(percent.max()) / 10))
    axis.patch.set(hatch="///////", facecolor="#f2f2f2", edgecolor=GREY, linewidth=0)
    picture = axis.imshow(
        percent, cmap="cividis", vmin=0, vmax=top, aspect="auto", interpolation="none"
    )
    axis.set_yticks(range(len(found.rows)), [broken(row, 28, 1) for row in found.rows])
    for label in axis.get_yticklabels():
        label.set_parse_math(False)
    axis.tick_params(length=0, labelsize=6.5, labelbottom=False)
    for place, mean in enumerate(found.means):
        if mean is not None:
            axis.annotate(
                f"{100 * mean:.1f}",
                (1, place),
                xycoords=("axes fraction", "data"),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5,
            )
    bar = axis.figure.colorbar(picture, ax=axis, aspect=18, pad=0.015, fraction=0.03)
    bar.set_label("Dice (%)", fontsize=7)
    bar.ax.tick_params(labelsize=6.5)
    bar.outline.set_linewidth(0.4)
    axis.spines[:].set_visible(False)
    _names(axis, found)


def _names(axis: Axes, found: Heat) -> None:
    """The names of images over the map, with a line to the column where there are many."""
    from matplotlib.transforms import offset_copy

    named, total = _named(found), len(found.images)
    above = offset_copy(axis.transAxes, axis.get_figure(root=True), 0, 9, units="points")
    slot = 1 / total if total <= _ALL_NAMED else 8.5 / (72 * 5.0)  # points over those of the map
    for place, image in enumerate(named):
        axis.annotate(
            found.name(image),
            ((place + 0.5) / total, 1),
            xycoords="axes fraction",
            xytext=((place + 0.5) * slot, 1),
            textcoords=above,
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=_SIZE,
            parse_math=False,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": GREY,
                "linewidth": 0.4,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0.5, 0),
            },
        )


def _strip(axis: Axes, found: Heat) -> None:
    """A line for each of the hardest patients, marked where its images stand."""
    for place, (patient, _) in enumerate(found.patients):
        own = [column for column, image in enumerate(found.images) if image.patient == patient]
        axis.axhline(place, color="#e4e4e4", linewidth=0.5, zorder=0)
        axis.vlines(own, place - 0.36, place + 0.36, color="black", linewidth=1.1)
    axis.set_ylim(len(found.patients) - 0.4, -0.6)
    texts = [f"{broken(name, 22, 1)}  {100 * mean:.1f}" for name, mean in found.patients]
    axis.set_yticks(range(len(texts)), texts)
    for label in axis.get_yticklabels():
        label.set_parse_math(False)
    axis.tick_params(length=0, labelsize=_SIZE, labelbottom=False)
    axis.spines[:].set_visible(False)
