"""Figures of the two papers, drawn again from one's own runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.metrics import METRICS
from reports.boards.standings import general_form, leaderboard
from reports.figures import accuracy, confusion, qualitative, spectral
from reports.figures.drawing import Drawn
from reports.images import best_first, choose_images, open_pixels
from reports.subject import Subject
from reports.tables.table import Table
from results.published import published_table
from zoo.errors import unknown

_MINISEG = "MiniSeg, arXiv 2004.09750v1"
_CHSNET = "CHS-Net, arXiv 2012.07079"
_CASCADE = ("chsnet", "raiunet")
_NETWORKS = 6
_MIOU = METRICS["miou_pooled"]

Rows = tuple[int, list[str]]
"""How many of the best networks are shown, and which rows besides."""


@dataclass(frozen=True)
class Preset:
    """A figure of a paper and what draws it here.

    Attributes:
        name: Its name, such as `chsnet-fig8`.
        title: What it shows, in a few words.
        paper: The paper.
        number: The figure's number in it.
        draw: Draws it; None where there is nothing to draw.
        describe: The sentences under it, or why there is none.
        differs: What is not as in the paper, in sentences.
        checked: Whether the paper's figure of that number is known to be of this kind.
    """

    name: str
    title: str
    paper: str
    number: str
    draw: Callable[[Subject], Drawn | None]
    describe: Callable[[Subject], str]
    differs: str
    checked: bool = True

    @property
    def source(self) -> str:
        """The paper and the figure's number: `CHS-Net, arXiv 2012.07079, Fig. 8`."""
        return f"{self.paper}, {self.number}"

    def caption(self, subject: Subject) -> str:
        """The sentences under the figure, with its source and what differs."""
        source = f"After {self.source}."
        if not self.checked:
            source = (
                f"After {self.paper}; that its {self.number} is of this kind was not checked "
                "against the paper."
            )
        return f"{self.describe(subject)} {source} {self.differs}"


def preset(name: str) -> Preset:
    """A preset by its name.

    Raises:
        CovbenchError: There is none of that name.
    """
    if name not in PRESETS:
        raise unknown("figure", name, PRESETS, ", ".join(PRESETS))
    return PRESETS[name]


def _board(subject: Subject) -> Table:
    """The leaderboard of the comparison, with the trivial predictors."""
    form = general_form()
    return leaderboard(subject.comparison, subject.comparison.targets[0], form, subject.analysis)


def _accuracy(subject: Subject) -> Drawn | None:
    return accuracy.draw(subject, _board(subject), metric=_MIOU)


def _accuracy_caption(subject: Subject) -> str:
    return accuracy.caption(subject, _board(subject), metric=_MIOU)


def _own_image(subject: Subject) -> tuple[spectral.Picture | None, str]:
    """The median image of the comparison, and what it is called.

    There is none where the dataset isn't here or its images are too small.
    """
    chosen = choose_images(subject.analysis, count=1)
    pixels = open_pixels(subject)
    if isinstance(pixels, str) or not chosen:
        return None, ""
    name = chosen[0].image.id
    image = pixels.pair(name)[0]
    if min(image.shape) < max(spectral.FACTORS):
        return None, ""
    return image, f"{name} of {subject.comparison.spec.dataset}, the image of median Dice,"


def _pooling(subject: Subject) -> Drawn | None:
    return spectral.draw(_own_image(subject)[0])


def _pooling_caption(subject: Subject) -> str:
    image, name = _own_image(subject)
    return spectral.caption(image, name=name)


def _rows(subject: Subject, models: Sequence[str]) -> list[str]:
    """The rows that have every run and are one of these networks."""
    whole = subject.analysis.rows
    entries = best_first(subject.comparison)
    return [
        entry.label
        for entry in entries
        if entry.label in whole and entry.records[0].spec.model in models
    ]


def _results(subject: Subject) -> Rows:
    """CHS-Net's own networks; the best one where there are none of them."""
    own = _rows(subject, _CASCADE)
    return (0 if own else 1), own


def _contest(subject: Subject) -> Rows:
    """The networks of CHS-Net's Table 3; the best six where there are fewer than two of them."""
    networks = [row["network"] for row in published_table("chsnet-table3").rows]
    own = _rows(subject, networks)
    return (0, own) if len(own) > 1 else (_NETWORKS, own)


def _pictures(
    which: Callable[[Subject], Rows],
) -> Callable[[Subject], Drawn | None]:
    def draw(subject: Subject) -> Drawn | None:
        best, named = which(subject)
        return qualitative.draw(subject, best=best, named=named)

    return draw


def _words(which: Callable[[Subject], Rows]) -> Callable[[Subject], str]:
    def describe(subject: Subject) -> str:
        best, named = which(subject)
        return qualitative.caption(subject, best=best, named=named)

    return describe


PRESETS: dict[str, Preset] = {
    each.name: each
    for each in (
        Preset(
            name="miniseg-fig3",
            title="Accuracy against cost",
            paper=_MINISEG,
            number="Fig. 3",
            draw=_accuracy,
            describe=_accuracy_caption,
            differs="The networks and scores are those of these runs, with their spread.",
            checked=False,
        ),
        Preset(
            name="chsnet-fig8",
            title="Max pooling and spectral pooling",
            paper=_CHSNET,
            number="Fig. 8",
            draw=_pooling,
            describe=_pooling_caption,
            differs="The image is another one, and the errors are added.",
        ),
        Preset(
            name="chsnet-fig12",
            title="Confusion matrices",
            paper=_CHSNET,
            number="Fig. 12",
            draw=confusion.draw,
            describe=confusion.caption,
            differs="All networks of these runs are shown.",
            checked=False,
        ),
        Preset(
            name="chsnet-fig13",
            title="Predictions of CHS-Net",
            paper=_CHSNET,
            number="Fig. 13",
            draw=_pictures(_results),
            describe=_words(_results),
            differs="The images are chosen by the rule above.",
            checked=False,
        ),
        Preset(
            name="chsnet-fig14",
            title="Predictions of several networks",
            paper=_CHSNET,
            number="Fig. 14",
            draw=_pictures(_contest),
            describe=_words(_contest),
            differs="The images are chosen by the rule above.",
            checked=False,
        ),
    )
}
"""Every preset by its name."""
