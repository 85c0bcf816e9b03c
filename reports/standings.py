"""Leaderboards: networks by Dice, one table for each dataset, protocol and task."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.metrics import METRICS
from reports.caption import caption, title
from reports.comparison import Comparison, Entry, compare
from reports.frame import summarise, tidy
from reports.tables.table import Cell, Column, Row, Table, rounded
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
"""The scores of a leaderboard, and their names in its head."""
_BRIEF = ("miou_pooled", PRIMARY, "hausdorff_slice_px")
_KINDS = (
    "Sorted by Dice. Sensitivity, specificity, Dice, HD and HD95 are means over images, mIoU pools "
    "the pixels of all test images, Dice/patient averages over a patient's images first. Best in "
    "bold, second best underlined."
)


def leaderboard_tables(
    records: Iterable[RunRecord],
    failures: Iterable[Failure] = (),
    *,
    trivial: TrivialFrames = trivial_frames,
) -> list[Table]:
    """The leaderboards of some runs.

    A row is ranked where it has every run that any row of its table has. Others stand at their
    place without a rank, and so do the trivial predictors; rows whose every run failed stand last.

    Args:
        records: Finished runs.
        failures: Failed ones.
        trivial: Gives the trivial predictors' scores for a comparison, and what to say of them.

    Returns:
        A table for each comparison and target.
    """
    return [
        _table(comparison, target, trivial)
        for comparison in compare(records, failures)
        for target in comparison.targets
    ]


def _metric_column(key: str, heading: str) -> Column:
    """The column of a metric: fractions in percent, direction and unit from the metric's list."""
    metric = METRICS[key]
    fraction = metric.unit == "fraction"
    return Column(
        key,
        heading,
        unit="%" if fraction else metric.unit,
        scale=100.0 if fraction else 1.0,
        brief=key in _BRIEF,
        higher_is_better=metric.higher_is_better,
    )


def _table(comparison: Comparison, target: str, trivial: TrivialFrames) -> Table:
    wanted = len(comparison.wanted)
    frames = {
        entry.label: frame[frame["target"] == target]
        for entry in comparison.entries
        for frame in (tidy(entry.records),)
    }
    baselines, remarks = trivial(comparison, target)
    frames |= baselines
    summaries = {label: summarise(frame) for label, frame in frames.items()}
    columns = _columns()
    rows = [_row(entry, summaries[entry.label], wanted) for entry in comparison.entries]
    rows += [_baseline(label, summaries[label]) for label in baselines]
    rows = _ranked(rows, columns)
    text = f"{caption(comparison)} {_KINDS}"
    empty = _empty_masks(frames)
    if empty:
        place = [column.key for column in columns].index("runs")
        columns = [*columns[:place], *_EMPTY_COLUMNS, *columns[place:]]
        rows = [_with_counts(row, place, empty.get(row.label)) for row in rows]
        text += (
            " Left out of Dice: images without infection in which none was found; penalised: those "
            "in which only one of the two masks is empty; both over all runs."
        )
    spec = comparison.spec
    name = "-".join(["leaderboard", spec.dataset, spec.protocol, *comparison.changes, target])
    return Table(
        name=re.sub(r"[^A-Za-z0-9-]+", "-", name),
        title=title(comparison, target),
        columns=tuple(columns),
        rows=tuple(rows),
        caption=text,
        notes=(*_notes(comparison, summaries, wanted), *remarks),
        context={
            "dataset": spec.dataset,
            "protocol": spec.protocol,
            "changes": " ".join(comparison.changes),
            "task": spec.task,
            "target": target,
        },
    )


def _columns() -> list[Column]:
    return [
        Column("params", "Params", style="size"),
        Column("macs", "MACs", style="size", brief=False),
        *(_metric_column(key, heading) for key, heading in HEADINGS.items()),
        Column("runs", "Runs", style="count"),
    ]


_EMPTY_COLUMNS = (
    Column("undefined", "Left out", style="count", brief=False),
    Column("penalised", "Penalised", style="count", brief=False),
)


def _row(entry: Entry, summary: Mapping[str, Cell], wanted: int) -> Row:
    done = len(entry.records)
    statuses = ", ".join(dict.fromkeys(failure.status for failure in entry.failures))
    runs = f"{done} of {wanted}" if done < wanted else None
    status = "done" if done == wanted else "incomplete"
    if statuses and done:
        runs = f"{runs}, {len(entry.failures)} failed ({statuses})"
    elif statuses:
        runs = status = f"failed ({statuses})"
    cost = entry.records[0].cost if entry.records else None
    return Row(
        entry.label,
        (
            Cell(cost.params if cost else None),
            Cell(cost.headline if cost else None),
            *(summary.get(key, Cell()) for key in HEADINGS),
            Cell(done, text=runs),
        ),
        status=status,
    )


def _baseline(label: str, summary: Mapping[str, Cell]) -> Row:
    cells = (summary.get(key, Cell()) for key in HEADINGS)
    return Row(label, (Cell(), Cell(), *cells, Cell()), status="trivial")


def _ranked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Rows by the primary metric, those without it last; equal digits share a rank."""
    place = [column.key for column in columns].index(PRIMARY)

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
        found.append(Row(row.label, row.cells, rank, row.status))
    return found


def _empty_masks(frames: Mapping[str, pd.DataFrame]) -> dict[str, tuple[int, int]]:
    """Images left out and penalised in Dice, by row; empty where there is none at all."""
    found = {}
    for label, frame in frames.items():
        own = frame[frame["metric"] == PRIMARY]
        if len(own):
            found[label] = int(own["undefined"].sum()), int(own["penalised"].sum())
    return found if any(map(any, found.values())) else {}


def _with_counts(row: Row, place: int, counts: tuple[int, int] | None) -> Row:
    added = tuple(map(Cell, counts)) if counts else (Cell(), Cell())
    return Row(row.label, (*row.cells[:place], *added, *row.cells[place:]), row.rank, row.status)


def _notes(
    comparison: Comparison, summaries: Mapping[str, Mapping[str, Cell]], wanted: int
) -> list[str]:
    notes = []
    if any(0 < len(entry.records) < wanted for entry in comparison.entries):
        notes.append(
            f"Rows with fewer than {wanted} runs are not ranked: their mean is over other images."
        )
    for entry in comparison.entries:
        summary = summaries[entry.label]
        short = [
            f"{heading} in {summary[key].n}"
            for key, heading in HEADINGS.items()
            if entry.records and key in summary and summary[key].n != len(entry.records)
        ]
        if short:
            of = len(entry.records)
            notes.append(f"{entry.label}: defined are {', '.join(short)} of {of} runs.")
    versions = Counter(record.code.version for record in comparison.records)
    if len(versions) > 1:
        notes.append("The runs come from different versions of covbench.")
    return notes
