"""A published table beside the measured numbers: both, their difference, and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmark.metrics import METRICS
from reports.boards.caption import title
from reports.comparison import Comparison, Entry
from reports.subject import Subject
from reports.tables.table import Cell, Column, Row, Table
from reports.verdicts.beside import caption, heading, order_sentences, remarks, why_not_comparable
from reports.verdicts.printed import impossible
from reports.verdicts.verdict import (
    MEANING,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    TARGET,
    UNDECIDED,
    WITHIN_NOISE,
    Judged,
    Line,
    Matched,
    Printed,
    judge,
    unit_of,
    weights_of,
)
from results.published import PublishedTable, method_of, published_table
from zoo.errors import CovbenchError
from zoo.registry import get_card

_COUNTED = (REPRODUCED, WITHIN_NOISE, NOT_REPRODUCED, UNDECIDED, NOT_MEASURED)


def against_tables(subjects: Sequence[Subject], name: str) -> list[Table]:
    """A published table beside the runs of the networks that its rows name.

    Args:
        subjects: The comparisons of a store.
        name: The published table, such as `miniseg-table3`.

    Returns:
        For each comparison a table of parameters, if any are printed, one of verdicts with a line
        for each network, and one of all scores with a line for each network and score;
        comparisons without a network of that table are left out.

    Raises:
        CovbenchError: There is no such table, or none of its networks has a run.
    """
    published = published_table(name)
    tables = []
    for subject in subjects:
        matched = _matched(subject.comparison, published)
        if matched:
            if "parameters_printed" in published.rows[0]:
                tables.append(_params_table(subject.comparison, published, matched))
            found = judge(subject, published, matched)
            tables += [_summary_table(found), _scores_table(found)]
    if not tables:
        raise CovbenchError(
            f"No recorded network stands for a row of {name}.",
            f"Run some of its networks, such as: covbench run --rows {name}",
        )
    return tables


def _matched(comparison: Comparison, published: PublishedTable) -> Matched:
    """The rows that stand for a line of the table."""
    found = []
    for entry in comparison.entries:
        if not entry.records:
            continue
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


def _line(lines: Sequence[Printed], entry: Entry) -> Printed:
    """Of a method printed with and without ImageNet weights, the line like this row."""
    wanted = weights_of(entry)
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


def _summary_table(found: Judged) -> Table:
    """A line a network: Dice, its verdict, and how many of all scores have which verdict."""
    published = found.published
    dice = next(key for key in published.scores.values() if METRICS[key].measure == "dice")
    head = heading(METRICS[dice])
    rows = []
    for line in found.lines:
        (score,) = (each for each in line.scores if each.metric.key == dice)
        cells = (
            Cell(line.method),
            Cell(float(score.printed), text=score.printed),
            score.measured,
            score.difference,
            Cell(score.verdict),
            Cell(_counted(line)),
        )
        rows.append(Row(line.entry.label, cells))
    return Table(
        name=found.name("verdicts"),
        title=f"Verdicts on {published.source}: {title(found.comparison, TARGET)}",
        columns=(
            Column("method", "Published as", style="text", brief=False),
            Column("dice_published", head, unit=unit_of(METRICS[dice], published)),
            Column("dice", "here", shows="interval"),
            Column("dice_difference", "diff."),
            Column("dice_verdict", "Verdict", style="text"),
            Column(
                "verdicts",
                f"On all {len(published.scores)} scores",
                style="text",
                brief=any(row.cells[-1].value for row in rows),
            ),
        ),
        rows=tuple(rows),
        caption=" ".join([caption(found), MEANING, *order_sentences(found)]),
        notes=(*why_not_comparable(found), *remarks(found), *impossible(published)),
        context=_context(found.comparison, published, "verdicts"),
    )


def _counted(line: Line) -> str | None:
    """How many scores have which verdict: `3 reproduced, 2 not reproduced`; None without one."""
    counts = Counter(score.verdict for score in line.scores)
    return ", ".join(f"{counts[word]} {word}" for word in _COUNTED if counts[word]) or None


def _scores_table(found: Judged) -> Table:
    """A line for each network and score."""
    columns = (
        Column("method", "Published as", style="text", brief=False),
        Column("score", "Score", style="text"),
        Column("unit", "Unit", style="text", brief=False),
        Column("published_value", "Published"),
        Column("measured", "Here"),
        Column("low", "95 % from", brief=False),
        Column("high", "to", brief=False),
        Column("sd", "SD over runs", brief=False),
        Column("runs", "Runs", style="count", brief=False),
        Column("difference", "Diff."),
        Column("verdict", "Verdict", style="text"),
    )
    rows = []
    for line in found.lines:
        for score in line.scores:
            measured = score.measured
            low, high = measured.interval or (None, None)
            cells = (
                Cell(line.method),
                Cell(score.metric.key, text=heading(score.metric)),
                Cell(unit_of(score.metric, found.published)),
                Cell(float(score.printed), text=score.printed),
                Cell(measured.value, n=measured.n),
                Cell(low),
                Cell(high),
                Cell(measured.spread),
                Cell(measured.n),
                score.difference,
                Cell(score.verdict),
            )
            rows.append(Row(line.entry.label, cells))
    return Table(
        name=found.name("scores"),
        title=f"Scores beside {found.published.source}: {title(found.comparison, TARGET)}",
        columns=columns,
        rows=tuple(rows),
        caption=caption(found),
        notes=tuple(why_not_comparable(found)),
        context=_context(found.comparison, found.published, "scores"),
    )


def _context(comparison: Comparison, published: PublishedTable, what: str) -> dict[str, str]:
    return {
        "published": published.name,
        "what": what,
        "dataset": comparison.spec.dataset,
        "protocol": comparison.spec.protocol,
        "changes": " ".join(comparison.changes),
    }
