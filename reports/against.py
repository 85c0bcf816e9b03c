"""A published table beside the measured numbers: what was printed, what is found, the difference.

Whether a difference means anything is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmark.metrics import METRICS
from reports.comparison import Comparison, Entry, compare
from reports.frame import summarise, tidy
from reports.standings import HEADINGS
from reports.tables.table import Cell, Column, Row, Table
from results.published import PublishedTable, method_of, published_table
from results.record import RunRecord
from zoo.errors import CovbenchError
from zoo.registry import get_card

Printed = Mapping[str, str]
TARGET = "infection"


def against_tables(records: Iterable[RunRecord], name: str) -> list[Table]:
    """A published table beside the runs of the networks that its rows name.

    Args:
        records: Finished runs.
        name: The published table, such as `miniseg-table3`.

    Returns:
        For each comparison a table of parameters, if any are printed, and one of scores;
        comparisons without a network of that table are left out.

    Raises:
        CovbenchError: There is no such table, or none of its networks has a run.
    """
    published = published_table(name)
    tables = []
    for comparison in compare(records):
        matched = _matched(comparison, published)
        if matched:
            if "parameters_printed" in published.rows[0]:
                tables.append(_params_table(comparison, published, matched))
            tables.append(_scores_table(comparison, published, matched))
    if not tables:
        raise CovbenchError(
            f"No recorded network stands for a row of {name}.",
            f"Run some of its networks, such as: covbench run --rows {name}",
        )
    return tables


Matched = list[tuple[Entry, str, Printed]]


def _matched(comparison: Comparison, published: PublishedTable) -> Matched:
    """Rows with the method that they stand for and its printed line, in the table's order."""
    found = []
    for entry in comparison.entries:
        spec = entry.records[0].spec
        methods = [
            method
            for table, _, method in (row.partition("/") for row in _row_names(spec.model))
            if table == published.name
        ]
        # Tables of ablations print no names: there the network's own joins.
        lines = [line for method in methods for line in published.method_rows(method)]
        lines = lines or published.network_rows(spec.model)
        if lines:
            line = _line(lines, entry)
            found.append((entry, method_of(line), line))
    order = {id(line): place for place, line in enumerate(published.rows)}
    return sorted(found, key=lambda match: order[id(match[2])])


def _row_names(model: str) -> tuple[str, ...]:
    """The table rows that a network stands for; none for a plug-in that isn't loaded here."""
    try:
        return get_card(model).rows
    except CovbenchError:
        return ()


def _pretrained(entry: Entry) -> bool:
    return entry.records[0].spec.options.get("weights") == "imagenet"


def _line(lines: Sequence[Printed], entry: Entry) -> Printed:
    """Of a method printed with and without ImageNet weights, the line like this row."""
    wanted = "yes" if _pretrained(entry) else "no"
    return next((line for line in lines if line.get("imagenet") == wanted), lines[0])


def _params_table(comparison: Comparison, published: PublishedTable, matched: Matched) -> Table:
    columns = (
        Column("method", "Published as", style="text"),
        Column("params_published", "Published"),
        Column("params_printed", "By the table's rule"),
        Column("params", "Params", style="count"),
        Column("params_same", "Digits", style="text"),
    )
    rows, notes = [], []
    for entry, method, line in matched:
        params = entry.records[0].cost.params
        printed = line["parameters_printed"]
        ours = published.print_params(method, params, printed)
        same = "same" if ours == printed else "differs"
        cells = (
            Cell(method),
            Cell(printed, text=printed),
            Cell(ours, text=ours),
            Cell(params),
            Cell(same),
        )
        rows.append(Row(entry.label, cells))
        why = get_card(entry.records[0].spec.model).published
        if same == "differs" and why:
            notes.append(f"{entry.label}: {why}")
    return Table(
        name=f"{published.name}-params-{comparison.spec.dataset}-{comparison.spec.protocol}",
        title=f"Parameters beside {published.source}",
        columns=columns,
        rows=tuple(rows),
        caption=_rule(published),
        notes=tuple(notes),
        context=_context(comparison, published, "params"),
    )


def _rule(published: PublishedTable) -> str:
    exceptions = "".join(
        f" ({method}: {divisor:,})" for method, divisor in published.exceptions.items()
    )
    return (
        f"The table's rule: a count in M is divided by {published.million:,}{exceptions}, in K by "
        "1,000. Digits are the same where that gives the printed ones."
    )


def _scores_table(comparison: Comparison, published: PublishedTable, matched: Matched) -> Table:
    columns = [Column("method", "Published as", style="text")]
    for name, key in published.scores.items():
        columns += _triple(name, key, published)
    rows = []
    for entry, method, line in matched:
        frame = tidy(entry.records)
        summary = summarise(frame[frame["target"] == TARGET])
        cells = [Cell(method)]
        for name, key in published.scores.items():
            cells += _cells(line[name], summary.get(key, Cell()), published, key)
        rows.append(Row(entry.label, tuple(cells)))
    return Table(
        name=f"{published.name}-scores-{comparison.spec.dataset}-{comparison.spec.protocol}",
        title=f"Scores beside {published.source}",
        columns=tuple(columns),
        rows=tuple(rows),
        caption=_scores_caption(comparison, published, matched),
        notes=tuple(_why_not_comparable(comparison, published, matched)),
        context=_context(comparison, published, "scores"),
    )


def _triple(name: str, key: str, published: PublishedTable) -> list[Column]:
    """Published, measured, difference; in the published table's unit and digits."""
    metric = METRICS[key]
    fraction = metric.unit == "fraction"
    scale = 100.0 if fraction and published.percent else 1.0
    unit = "" if fraction and not published.percent else "%" if fraction else metric.unit
    return [
        Column(f"{name}_published", HEADINGS.get(key, metric.title), unit=unit),
        Column(key, "here", scale=scale),
        Column(f"{name}_difference", "diff."),
    ]


def _cells(printed: str, measured: Cell, published: PublishedTable, key: str) -> list[Cell]:
    scale = 100 if published.percent and METRICS[key].unit == "fraction" else 1
    value = measured.number
    if value is None:
        return [Cell(float(printed), text=printed), measured, Cell()]
    difference = value * scale - float(printed)
    return [
        Cell(float(printed), text=printed),
        measured,
        Cell(difference, text=f"{difference + 0.0:+.2f}"),
    ]


def _scores_caption(comparison: Comparison, published: PublishedTable, matched: Matched) -> str:
    keys = [METRICS[key] for key in published.scores.values()]
    how = ", ".join(f"{metric.title} ({metric.aggregation})" for metric in keys)
    return (
        f"Published digits; here: {_runs(len(comparison.wanted))} "
        f"({comparison.spec.dataset}, protocol {comparison.spec.protocol}"
        + (f" with {', '.join(comparison.changes)}" if comparison.changes else "")
        + f"); diff.: here minus published. {len(matched)} of the table's "
        f"{len(published.rows)} rows have runs here. Measured are: {how}."
    )


def _runs(number: int) -> str:
    return "one run a row" if number == 1 else f"means over up to {number} runs"


def _why_not_comparable(
    comparison: Comparison, published: PublishedTable, matched: Matched
) -> list[str]:
    """What differs between the published and the measured numbers, where something does."""
    spec = comparison.spec
    paper = published.name.partition("-")[0]
    notes = []
    if spec.dataset != published.dataset:
        theirs = published.dataset or "data of the paper's own"
        notes.append(f"the data are {spec.dataset}, the paper's {theirs}")
    if not spec.protocol.startswith(f"{paper}-"):
        notes.append(f"the protocol is {spec.protocol}, not one of the paper's ({paper}-...)")
    elif comparison.changes:
        notes.append(f"the protocol was changed ({', '.join(comparison.changes)})")
    few = [entry.label for entry, _, _ in matched if len(entry.records) < published.runs]
    if few:
        whom = "every row" if len(few) == len(matched) else ", ".join(few)
        notes.append(f"fewer than {published.runs} runs stand behind {whom}")
    scratch = [
        entry.label
        for entry, _, line in matched
        if line.get("imagenet") == "yes" and not _pretrained(entry)
    ]
    if scratch:
        notes.append(
            f"published with ImageNet weights and measured without are {', '.join(scratch)}"
        )
    if notes:
        return [f"The scores are not comparable with the published ones: {'; '.join(notes)}."]
    return []


def _context(comparison: Comparison, published: PublishedTable, what: str) -> dict[str, str]:
    return {
        "published": published.name,
        "what": what,
        "dataset": comparison.spec.dataset,
        "protocol": comparison.spec.protocol,
        "changes": " ".join(comparison.changes),
    }
