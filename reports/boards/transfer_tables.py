"""The transfer matrix of each network: what it was trained on, and what it was tested on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from benchmark.labels import ALL
from benchmark.metrics import METRICS
from reports.boards.standings import HEADINGS, PRIMARY
from reports.frame import summarise, tidy
from reports.sides import named
from reports.subject import slug
from reports.tables.shown import show
from reports.tables.table import Cell, Column, Row, Table
from reports.transfer import Transfer
from results.record import Failure, RunRecord

OWN = "*"
"""Marks a score on a network's own data."""


def transfer_tables(
    found: Sequence[Transfer],
    failures: Iterable[Failure] = (),
    footnotes: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> list[Table]:
    """A table for each network and protocol that was tested on data it never saw.

    A row is what it was trained on, a column what it was tested on. On the diagonal stands its
    ordinary score, of each run on the test part of its own fold; elsewhere that of the same runs
    on all slices of the other data. The drop is taken run by run.

    Args:
        found: The tests on other data.
        failures: Failed runs, of which those of such tests are told.
        footnotes: What is special about rows, by `Transfer.name` and row.
    """
    notes = footnotes or {}
    failed = [each for each in failures if each.spec.trained is not None]
    labels = Counter(_about(each) for each in found)
    return [
        _table(each, failed, notes.get(each.name, {}), several=labels[_about(each)] > 1)
        for each in found
    ]


def _about(transfer: Transfer) -> tuple[str, ...]:
    spec = transfer.spec
    return spec.row, spec.task, spec.protocol, *transfer.comparison.changes


def _table(
    transfer: Transfer,
    failed: Sequence[Failure],
    footnotes: Mapping[str, Sequence[str]],
    *,
    several: bool,
) -> Table:
    spec, names = transfer.spec, transfer.names
    target = next(iter(transfer.records[0].scores))
    tested = transfer.tested_on
    dropped = [key for key in tested if any(where == key for _, where in transfer.tests)]
    metric = METRICS[PRIMARY]
    score = Column(
        PRIMARY, HEADINGS[PRIMARY], unit="%", scale=100.0, higher_is_better=metric.higher_is_better
    )
    scores = [
        replace(score, key=f"{PRIMARY}_on_{slug(names[key])}", title=f"On {names[key]}", of=PRIMARY)
        for key in tested
    ]
    drops = [
        replace(
            score,
            key=f"drop_on_{slug(names[key])}",
            title=f"Drop on {names[key]}",
            unit="points",
            higher_is_better=not metric.higher_is_better,
        )
        for key in dropped
    ]
    rows = []
    for trained in transfer.trained_on:
        own = transfer.own.get(trained, ())
        cells = [
            _own(own, target, column)
            if key == trained
            else _mean(transfer.tests.get((trained, key), ()), target)
            for key, column in zip(tested, scores, strict=True)
        ]
        cells += [_drop(own, transfer.tests.get((trained, key), ()), target) for key in dropped]
        said = [*_unequal(transfer, trained), *footnotes.get(names[trained], ())]
        rows.append(Row(names[trained], tuple(cells), notes=tuple(said)))
    network = f"{spec.row} (variant {transfer.identity})" if several else spec.row
    changes = f" with {', '.join(changed)}" if (changed := transfer.comparison.changes) else ""
    return Table(
        name=transfer.name,
        title=f"{network} across datasets, protocol {spec.protocol}{changes}",
        columns=(*scores, *drops),
        rows=tuple(rows),
        caption=_caption(transfer),
        notes=tuple(_notes(transfer, failed)),
        context={
            "network": network,
            "protocol": spec.protocol,
            "changes": " ".join(transfer.comparison.changes),
            "task": spec.task,
            "target": target,
        },
        label="Trained on",
    )


def _mean(records: Sequence[RunRecord], target: str) -> Cell:
    frame = tidy(records)
    return summarise(frame[frame["target"] == target]).get(PRIMARY, Cell())


def _own(records: Sequence[RunRecord], target: str, column: Column) -> Cell:
    """The ordinary score, with its mark."""
    cell = _mean(records, target)
    return replace(cell, text=f"{show(cell, column)} {OWN}") if cell.number is not None else cell


def _drop(own: Sequence[RunRecord], tests: Sequence[RunRecord], target: str) -> Cell:
    """What a score on own data loses elsewhere, run by run; nothing where no run has both."""
    before = {record.spec.id: _value(record, target) for record in own}
    pairs = [
        (start, end, test.spec)
        for test in tests
        if test.spec.trained is not None
        and (start := before.get(test.spec.trained.run)) is not None
        and (end := _value(test, target)) is not None
    ]
    if not pairs:
        return Cell()
    losses = [start - end for start, end, _ in pairs]
    return Cell(
        fmean(losses),
        stdev(losses) if len(losses) > 1 else None,
        len(losses),
        runs=tuple(spec.id for _, _, spec in pairs),
    )


def _value(record: RunRecord, target: str) -> float | None:
    score = record.scores.get(target, {}).get(PRIMARY)
    return score.value if score else None


def _unequal(transfer: Transfer, trained: str) -> list[str]:
    """Sentences on runs of a row that are on one side of its drop alone."""
    own = {record.spec.id for record in transfer.own.get(trained, ())}
    if not own:
        return [
            "The runs that were trained are not in this store: no score on their own data, no drop."
        ]
    found: dict[str, list[str]] = defaultdict(list)
    for (start, where), tests in transfer.tests.items():
        if start == trained:
            both = own & {each.spec.trained.run for each in tests if each.spec.trained}
            if len(both) < len(own) or len(both) < len(tests):
                count = f"{len(both)} of {len(own)} runs have both scores"
                found[count].append(transfer.names[where])
    return [
        f"On {' and '.join(where)}: {count}; the drop is over these alone."
        for count, where in found.items()
    ]


def _caption(transfer: Transfer) -> str:
    """What the numbers are."""
    metric = METRICS[PRIMARY]
    records = transfer.records
    tested = {transfer.names[record.spec.data_hash]: record.data.n_test for record in records}
    folds = sorted({each.spec.trained.fold for each in records if each.spec.trained})
    runs = f"{named('fold', folds)}, {named('seed', sorted({r.spec.seed for r in records}))}"
    split = transfer.spec.settings.get("split")
    crossed = isinstance(split, dict) and split.get("kind") == "folds" and len(folds) > 1
    many = any(len(each) > 1 for each in transfer.tests.values())
    return " ".join(
        [
            f"{metric.title}{_of_all(transfer)} as a mean over images, then over runs"
            f"{' ± sample standard deviation' if many else ''} ({runs}).",
            f"{OWN} The network's own data: each run on the test part of its fold"
            f"{', so that the score is cross-validated' if crossed else ''}.",
            "Elsewhere each of these runs is tested on all slices ("
            + ", ".join(f"{name}: {count}" for name, count in sorted(tested.items()))
            + "), with the weights, the normalisation and the protocol of its training.",
            "Drop: the score on own data less the score there, run by run.",
        ]
    )


def _notes(transfer: Transfer, failed: Sequence[Failure]) -> list[str]:
    """What is special about the table as a whole."""
    own = [each for each in failed if transfer.holds(each.spec)]
    notes = []
    if own:
        why = ", ".join(dict.fromkeys(each.status for each in own))
        notes.append(f"{_tests(len(own))} failed ({why}): not in these numbers.")
    if transfer.stale:
        verb = "is" if transfer.stale == 1 else "are"
        notes.append(
            f"{_tests(transfer.stale)} of earlier weights {verb} left out, since the run was "
            "trained again: `covbench evaluate --from FOLDER --data NAME` tests the present ones."
        )
    return notes


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def _of_all(transfer: Transfer) -> str:
    return f" of {ALL}" if transfer.spec.task == "multiclass" else ""
