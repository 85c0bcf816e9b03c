"""Leaderboards: networks by Dice, one table for each dataset, protocol and truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reports.analysis import Analysis
from reports.boards.caption import caption, explained, title
from reports.boards.rows import Form, RowFacts, cells_of, columns_of, facts_of, over_of
from reports.comparison import Comparison, compare
from reports.frame import summarise
from reports.subject import slug
from reports.tables.layout import GENERAL, load_layout
from reports.tables.shown import rounded
from reports.tables.table import Column, Row, Table
from reports.trivial import TrivialFrames, trivial_frames
from results.record import Failure, RunRecord

if TYPE_CHECKING:
    import pandas as pd

PRIMARY = "dice_slice"
"""The score that rows are sorted by: Dice of each image, averaged, as in both papers."""

HEADINGS = {
    "miou_pooled": "mIoU",
    "sensitivity_slice": "Sens.",
    "specificity_slice": "Spec.",
    "dice_slice": "Dice",
    "hausdorff_slice_px": "HD",
    "hd95_slice_px": "HD95",
    "dice_patient": "Dice/patient",
}
"""Short names of the scores that tables show most."""

_EMPTY = (
    "Left out of Dice: images without infection in which none was found; penalised: those in which "
    "only one of the two masks is empty; both over all runs."
)


def general_form() -> Form:
    """The form of a leaderboard that is asked for no other."""
    return Form(load_layout(GENERAL))


def leaderboard_tables(
    records: Iterable[RunRecord],
    failures: Iterable[Failure] = (),
    *,
    trivial: TrivialFrames = trivial_frames,
) -> list[Table]:
    """The leaderboards of some runs, from their records alone.

    Args:
        records: Finished runs.
        failures: Failed ones.
        trivial: Gives the trivial predictors' scores for a comparison, and what to say of them.

    Returns:
        A table for each comparison and target; see `leaderboard`.
    """
    return [
        leaderboard(comparison, target, general_form(), trivial=trivial)
        for comparison in compare(records, failures)
        for target in comparison.targets
    ]


def leaderboard(
    comparison: Comparison,
    target: str,
    form: Form,
    analysis: Analysis | None = None,
    *,
    footnotes: Mapping[str, Sequence[str]] | None = None,
    trivial: TrivialFrames = trivial_frames,
) -> Table:
    """The rows of a comparison, best first.

    A row is ranked where it has every run that any row of its table has. Others stand at their
    place without a rank, and so do the trivial predictors; rows whose every run failed stand last.

    Args:
        comparison: The runs.
        target: What was segmented.
        form: Columns, and what stands beside a mean.
        analysis: What patients' scores say of them: intervals, and which values are equal.
        footnotes: What is special about rows, by label.
        trivial: Gives the trivial predictors' scores, and what to say of them.
    """
    baselines, remarks = trivial(comparison, target)
    wanted = len(comparison.wanted)
    facts = [facts_of(entry, target, wanted, form) for entry in comparison.entries]
    facts = [replace(each, analysis=analysis, empty=_empty(each.frame)) for each in facts]
    facts += [_baseline(label, frame, form) for label, frame in baselines.items()]
    empty = any(any(each.empty) for each in facts if each.empty)
    known = {key for each in facts for key in each.summary}
    columns = columns_of(form, analysis, empty=empty, known=known)
    rows = [
        Row(
            each.label,
            cells_of(each, form, columns),
            status="trivial" if each.label in baselines else each.status,
            notes=tuple((footnotes or {}).get(each.label, ())),
        )
        for each in facts
    ]
    spec = comparison.spec
    linted = footnotes is not None
    about = [caption(comparison, form, analysis, linted=linted), explained(columns, PRIMARY)]
    return Table(
        name=slug("-".join(["leaderboard", spec.dataset, spec.protocol, *comparison.changes]))
        + f"-{slug(target)}",
        title=title(comparison, target),
        columns=tuple(columns),
        rows=tuple(_ranked(rows, columns)),
        caption=" ".join([*about, _EMPTY] if empty else about),
        notes=(*_notes(comparison, facts, wanted, linted=linted), *remarks),
        context=context_of(comparison, target),
        label=form.layout.label,
    )


def context_of(comparison: Comparison, target: str) -> dict[str, str]:
    """What CSV and JSON say in every row."""
    spec = comparison.spec
    return {
        "dataset": spec.dataset,
        "protocol": spec.protocol,
        "changes": " ".join(comparison.changes),
        "task": spec.truth,
        "target": target,
    }


def _baseline(label: str, frame: pd.DataFrame, form: Form) -> RowFacts:
    return RowFacts(label, None, summarise(frame, over_of(form.spread)), frame, _empty(frame))


def _empty(frame: pd.DataFrame) -> tuple[int, int] | None:
    """Images left out and penalised in Dice, over all runs; None where there is no run."""
    own = frame[frame["metric"] == PRIMARY]
    return (int(own["undefined"].sum()), int(own["penalised"].sum())) if len(own) else None


def _ranked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Rows by the primary metric, those without it last; equal digits share a rank."""
    keys = [column.key for column in columns]
    if PRIMARY not in keys:  # a layout of one's own may leave it out
        return list(rows)
    place = keys.index(PRIMARY)

    def shown(row: Row) -> float | None:
        return rounded(row.cells[place], columns[place])

    def key(row: Row) -> tuple[bool, float, bool, str]:
        value = row.cells[place].number
        return value is None, -(value or 0.0), row.status.startswith("failed"), row.label

    competing = [
        value for row in rows if row.status == "done" and (value := shown(row)) is not None
    ]
    found = []
    for row in sorted(rows, key=key):
        value = shown(row)
        rank = None
        if row.status == "done" and value is not None:
            rank = 1 + sum(other > value for other in competing)
        found.append(replace(row, rank=rank))
    return found


def _notes(
    comparison: Comparison, facts: Sequence[RowFacts], wanted: int, *, linted: bool
) -> list[str]:
    """What is special about rows; what the lint says of them is not said twice."""
    notes = []
    if any(each.status == "incomplete" for each in facts):
        notes.append(
            f"Rows with fewer than {wanted} runs are not ranked: their mean is over other images."
        )
    for each in facts:
        short = [
            f"{heading} in {each.summary[key].n}"
            for key, heading in HEADINGS.items()
            if each.done and key in each.summary and each.summary[key].n != each.done
        ]
        if short:
            notes.append(f"{each.label}: defined are {', '.join(short)} of {each.done} runs.")
    versions = Counter(record.code.version for record in comparison.records)
    if len(versions) > 1 and not linted:
        notes.append("The runs come from different versions of covbench.")
    return notes
