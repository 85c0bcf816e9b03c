"""Every figure by name: what draws it, and the sentences under it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.metrics import Metric
from reports.figures import (
    accuracy,
    confusion,
    critical_difference,
    curves,
    distributions,
    heatmap,
    qualitative,
    ranks,
)
from reports.figures.drawing import Drawn
from reports.figures.presets import PRESETS
from reports.subject import Subject
from reports.tables.latex import escape_latex
from reports.tables.render import escape_markdown
from reports.tables.table import Table
from results.files import write_atomically
from zoo.errors import unknown

FIGURE_FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True, eq=False)
class Scene:
    """What a figure is drawn of.

    Attributes:
        subject: The comparison.
        table: Its leaderboard.
        metric: What ranks and patients are compared by.
    """

    subject: Subject
    table: Table
    metric: Metric


@dataclass(frozen=True)
class Figure:
    """One figure of the catalogue.

    Attributes:
        title: What it shows, in a few words.
        draw: Draws it; None where there is nothing to draw.
        caption: The sentences under it.
    """

    title: str
    draw: Callable[[Scene], Drawn | None]
    caption: Callable[[Scene], str]


FIGURES: dict[str, Figure] = {
    "accuracy": Figure(
        "Score against parameters, multiply-adds and speed, with the Pareto front",
        lambda scene: accuracy.draw(scene.subject, scene.table, metric=scene.metric),
        lambda scene: accuracy.caption(scene.subject, scene.table, metric=scene.metric),
    ),
    "ranks": Figure(
        "Ranks with their intervals, and the chance of being first",
        lambda scene: ranks.draw(scene.subject, scene.metric),
        lambda scene: ranks.caption(scene.subject, scene.metric),
    ),
    "critical-difference": Figure(
        "Mean ranks and which networks are not told apart",
        lambda scene: critical_difference.draw(scene.subject, scene.metric),
        lambda scene: critical_difference.caption(scene.subject, scene.metric),
    ),
    "distributions": Figure(
        "Every patient's score by network",
        lambda scene: distributions.draw(scene.subject, scene.metric),
        lambda scene: distributions.caption(scene.subject, scene.metric),
    ),
    "curves": Figure(
        "Training loss by epoch",
        lambda scene: curves.draw(scene.subject),
        lambda scene: curves.caption(scene.subject),
    ),
    "heatmap": Figure(
        "Dice of every image by every network",
        lambda scene: heatmap.draw(scene.subject),
        lambda scene: heatmap.caption(scene.subject),
    ),
    "predictions": Figure(
        "Images, truth and what each network predicts",
        lambda scene: qualitative.draw(scene.subject),
        lambda scene: qualitative.caption(scene.subject),
    ),
    "confusion": Figure(
        "Confusion matrices",
        lambda scene: confusion.draw(scene.subject),
        lambda scene: confusion.caption(scene.subject),
    ),
}
"""The figures of a report, in its order."""


def figure_names() -> tuple[str, ...]:
    """The figures of a report, then those that are drawn when they are asked for."""
    return (*FIGURES, *PRESETS)


def find_figure(name: str) -> Figure:
    """A figure by its name.

    Raises:
        CovbenchError: There is none.
    """
    if name in FIGURES:
        return FIGURES[name]
    if name not in PRESETS:
        raise unknown("figure", name, figure_names(), ", ".join(figure_names()))
    found = PRESETS[name]
    return Figure(
        found.title,
        lambda scene: found.draw(scene.subject),
        lambda scene: found.caption(scene.subject),
    )


def write_figures(
    scenes: Sequence[Scene], names: Sequence[str], folder: Path, formats: Collection[str]
) -> list[Path]:
    """Draw figures, one file a figure, comparison and format, and their captions.

    Args:
        scenes: What they are drawn of.
        names: Which figures.
        folder: Where they go.
        formats: Which of `FIGURE_FORMATS`; others are passed over.

    Returns:
        The paths; captions.md and figures.tex are the last. What there is nothing of is left out,
        and captions.md says why.
    """
    wanted = [each for each in FIGURE_FORMATS if each in formats]
    figures = {name: find_figure(name) for name in names}
    paths: list[Path] = []
    captions, floats = [], []
    for scene in scenes:
        for name, figure in figures.items():
            stem = f"{name}-{scene.subject.name}"
            drawn = figure.draw(scene) if wanted else None
            if drawn is None:
                continue
            for each in wanted:
                paths.append(folder / f"{stem}.{each}")
                write_atomically(paths[-1], drawn(each))
            caption = figure.caption(scene)
            captions.append(f"## {escape_markdown(stem)}\n\n{escape_markdown(caption)}\n")
            floats.append(_float(stem, figure.title, caption))
    if captions:
        head = "% Needs \\usepackage{graphicx}; the files lie beside this one.\n"
        for name, text in (
            ("captions.md", "\n".join(captions)),
            ("figures.tex", head + "\n".join(floats)),
        ):
            paths.append(folder / name)
            write_atomically(paths[-1], text)
    return paths


def _float(stem: str, title: str, caption: str) -> str:
    """A figure environment."""
    return (
        "\\begin{figure*}\n\\centering\n"
        f"\\includegraphics[width=\\linewidth,height=0.8\\textheight,keepaspectratio]{{{stem}}}\n"
        f"\\caption[{{{escape_latex(title)}}}]{{{escape_latex(caption)}}}\n"
        f"\\label{{fig:{stem}}}\n\\end{{figure*}}\n"
    )
