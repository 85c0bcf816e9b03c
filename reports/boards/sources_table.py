"""Scores on the test images of each collection, where a dataset was made of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmark.metrics.sources import aggregate_sources
from benchmark.protocols.sections import ScoreRule
from reports.boards.caption import title
from reports.boards.rows import Form, RowFacts, cells_of, columns_of, over_of
from reports.boards.standings import PRIMARY, context_of
from reports.frame import summarise
from reports.subject import Subject
from reports.tables.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    import pandas as pd

_ABOUT = (
    "Each row is scored on the test images of one collection alone; the networks are the same, "
    "trained on all collections together. Sorted by collection, then by Dice."
)


def sources_table(subject: Subject, form: Form) -> Table | None:
    """The rows of a comparison, once for every collection that test images come from.

    Args:
        subject: The comparison.
        form: How the leaderboard is made; its metrics are the columns.

    Returns:
        The table; None where the dataset is one collection, or the rules of scoring are unknown.
    """
    comparison, protocol = subject.comparison, subject.comparison.protocol
    lines = subject.analysis.place.cases.frame
    if protocol is None or "source" not in lines:
        return None
    by_run = {str(run): own for run, own in lines.groupby("run", sort=False)}
    columns = [
        column for column in columns_of(form, None, empty=False) if column.key not in _OF_NETWORKS
    ]
    rows = []
    for entry in comparison.entries:
        frame = _scores(
            {record.spec.id: record.spec for record in entry.records}, by_run, protocol.score
        )
        for source, own in frame.groupby("source") if len(frame) else ():
            facts = RowFacts(entry.label, entry, summarise(own, over_of(form.spread)), own)
            images = own.drop_duplicates("run")["images"].sum()
            about = (Cell(str(source)), Cell(int(images)))
            rows.append(Row(entry.label, (*about, *cells_of(facts, form, columns))))
    if not rows:
        return None
    place = 2 + next(i for i, column in enumerate(columns) if column.key == PRIMARY)
    rows.sort(key=lambda row: (str(row.cells[0].value), -(row.cells[place].number or 0.0)))
    target = comparison.targets[0]
    return Table(
        name=f"sources-{subject.name}",
        title=f"By collection: {title(comparison, target)}",
        columns=(
            Column("source", "Collection", style="text"),
            Column("images", "Images", style="count"),
            *columns,
        ),
        rows=tuple(rows),
        caption=_ABOUT,
        context=context_of(comparison, target),
    )


_OF_NETWORKS = ("params", "macs", "fps", "latency_ms", "runs")
"""Columns that are the same on every collection."""


def _scores(
    specs: dict[str, Any], by_run: dict[str, pd.DataFrame], rule: ScoreRule
) -> pd.DataFrame:
    """A line for every run, collection and metric."""
    import pandas as pd

    found = [
        {
            "run": run,
            "fold": spec.fold,
            "seed": spec.seed,
            "source": source,
            "images": int((by_run[run]["source"] == source).sum()),
            "metric": key,
            **score.model_dump(),
        }
        for run, spec in specs.items()
        if run in by_run
        for source, scores in aggregate_sources(_rows(by_run[run]), rule).items()
        for key, score in scores.items()
    ]
    return pd.DataFrame(found).astype({"value": float}) if found else pd.DataFrame()


def _rows(lines: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in lines.to_dict("records")]
