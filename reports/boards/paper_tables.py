"""Tables in the form of the papers' own: their rows, columns, order, units and digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reports.boards.caption import caption, explained, title
from reports.boards.datasets_table import dataset_tables
from reports.boards.joined import Joined, join
from reports.boards.rows import TICKS, Form, RowFacts, cells_of, columns_of, facts_of
from reports.boards.standings import context_of
from reports.subject import Subject, slug
from reports.tables.table import Row, Table
from results.published import PublishedTable, published_table
from zoo.errors import CovbenchError

_TARGETS = {"lung": "lung"}
_COUNTS = (
    "Parameters in M are divided by 1,000,000, in K by 1,000; {source} divides otherwise "
    "(`--against {name}` says how)."
)


def paper_tables(
    form: Form,
    subjects: Sequence[Subject],
    footnotes: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> list[Table]:
    """The runs of a store in the form of a published table.

    Every row of the published table stands there in its place; one without runs says so.

    Args:
        form: A layout with a published table, and what stands beside a mean.
        subjects: The comparisons of a store.
        footnotes: What is special about rows, by the subject's name and the row's label.

    Returns:
        A table for each dataset and protocol with runs of one of its networks.

    Raises:
        CovbenchError: There are no such runs.
    """
    published = published_table(form.layout.published)
    if any(column.value == "dataset" for column in form.layout.columns):
        return dataset_tables(form.layout, published, [each.comparison for each in subjects])
    tables = []
    for together in _by_protocol(subjects):
        joined = join(published, [each.comparison for each in together], form.layout.network)
        if any(each.entry for each in joined):
            tables.append(_table(form, published, joined, together, footnotes or {}))
    if not tables:
        raise CovbenchError(
            f"No recorded network stands for a row of {published.name}.",
            f"Run some of its networks, such as: covbench run --rows {published.name}",
        )
    return tables


def _by_protocol(subjects: Sequence[Subject]) -> list[list[Subject]]:
    """Subjects that stand in one table: lungs beside the infections that were found inside them."""
    found: dict[tuple[str, ...], list[Subject]] = {}
    for each in subjects:
        spec = each.comparison.spec
        key = (spec.data_hash, spec.truth, spec.protocol, *each.comparison.changes)
        found.setdefault(key, []).append(each)
    together = list(found.values())
    lungs = [own for own in together if own[0].comparison.spec.truth == "lung"]
    for own in lungs:
        ids = {record.spec.id for each in own for record in each.comparison.records}
        users = [others for others in together if others not in lungs and _needs(others) & ids]
        for others in users:
            others += own
        if users:
            together.remove(own)
    return together


def _needs(subjects: Sequence[Subject]) -> set[str]:
    """Ids of the lung runs that the runs of some subjects need."""
    return {
        need
        for subject in subjects
        for record in subject.comparison.records
        for need in record.spec.needs
    }


def _table(
    form: Form,
    published: PublishedTable,
    joined: Sequence[Joined],
    together: Sequence[Subject],
    footnotes: Mapping[str, Mapping[str, Sequence[str]]],
) -> Table:
    subject_of = {id(each.comparison): each for each in together}
    found = {id(each.comparison): subject_of[id(each.comparison)] for each in joined if each.entry}
    main = next(iter(found.values()))
    # Intervals decide which values are equal only where all rows stand in one comparison.
    analysis = main.analysis if len(found) == 1 else None
    columns = columns_of(form, analysis, empty=False)
    shown = tuple(dict.fromkeys(each.label for each in joined))
    rows = []
    for each in joined:
        subject = subject_of[id(each.comparison)] if each.comparison else None
        facts = replace(_facts(each, form, subject), among=shown)
        notes = [*each.notes]
        if subject:
            notes += footnotes.get(subject.name, {}).get(each.label, ())
        rows.append(
            Row(
                each.label,
                cells_of(facts, form, columns),
                status=facts.status,
                notes=tuple(notes),
                title=_title(form, each),
                compared=facts.status == "done",
            )
        )
    target = main.comparison.targets[0]
    done = sum(row.status == "done" for row in rows)
    sentences = [caption(main.comparison, form, analysis), explained(columns, "")]
    if any(column.key in ("params", "macs") for column in columns):
        sentences.append(_COUNTS.format(source=published.source, name=published.name))
    if any(column.key in ("fps", "latency_ms") for column in columns):
        sentences.append(speed_sentence(form))
    return Table(
        name=slug(f"{form.layout.name}-{main.name}"),
        title=f"{form.layout.title}: {title(main.comparison, target)}",
        columns=tuple(columns),
        rows=tuple(rows),
        caption=" ".join(sentences),
        notes=(f"Of the {len(rows)} rows {done} have all their runs.",) if done < len(rows) else (),
        context={
            **context_of(main.comparison, main.comparison.targets[0]),
            "layout": form.layout.name,
        },
        label=form.layout.label,
    )


def speed_sentence(form: Form) -> str:
    """Which machine a speed is from, and how it was taken."""
    machine = form.machine
    if machine is None:
        return "No speed is shown: --machine names a profile that has it."
    device = machine.env.device if machine.env.device != "cpu" else machine.env.cpu
    size = "×".join(map(str, machine.input_size))
    return (
        f"Speed: one image of {size} a pass, {machine.rounds} rounds of fresh processes on "
        f"{device} ({machine.machine}, {machine.created[:10]})."
    )


def _facts(each: Joined, form: Form, subject: Subject | None) -> RowFacts:
    if each.entry is None or subject is None:
        import pandas as pd

        return RowFacts(each.label, None, {}, pd.DataFrame(), printed=each.printed)
    spec = each.entry.specs[0]
    facts = facts_of(
        each.entry,
        _TARGETS.get(spec.truth, "infection"),
        len(subject.comparison.wanted),
        form,
    )
    return replace(facts, printed=each.printed, analysis=subject.analysis)


def _title(form: Form, each: Joined) -> str | None:
    """What the first column says: the published cell, or the row's label."""
    if not form.layout.first:
        return None
    text = each.printed.get(form.layout.first, "")
    return TICKS.get(text, text)
