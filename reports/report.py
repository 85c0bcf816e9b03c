"""A report: every table and figure of a store, from its records alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.metrics import Metric
from reports.boards.leaderboard import Written
from reports.boards.methods import methods
from reports.boards.paper_tables import paper_tables
from reports.boards.rows import Form, Spread
from reports.boards.sources_table import sources_table
from reports.boards.standings import leaderboard
from reports.boards.statistics_table import STATISTIC, statistics_table
from reports.boards.transfer_tables import transfer_tables
from reports.figures.catalogue import FIGURE_FORMATS, FIGURES, Scene, find_figure, write_figures
from reports.lint import Finding, footnotes, lint, refuse, table_notes
from reports.page.build import write_page
from reports.subject import Holdings, Subject, read_holdings
from reports.tables.files import TABLE_FORMATS, write_tables
from reports.tables.layout import GENERAL, Layout, load_layout
from reports.tables.render import escape_markdown
from reports.tables.table import Table
from reports.tracing.trace import write_sidecar
from reports.transfer import transfers
from reports.verdicts.against import against_tables
from results.files import write_atomically
from results.machines import MachineProfile
from zoo.errors import CovbenchError, unknown

FORMATS = (*TABLE_FORMATS, *FIGURE_FORMATS)
DEFAULT_FORMATS = (*TABLE_FORMATS, "png", "pdf")


@dataclass(frozen=True)
class Wish:
    """What a report is to hold.

    Attributes:
        against: Published tables to be printed beside the measured numbers.
        layouts: Layouts beside the leaderboard: names, or paths of TOML files.
        spread: What stands beside a mean.
        machine: The profile that speeds come from.
        metric: What rows are ranked and tested by.
        baseline: The row that the others are tested against; the best by default.
        formats: Which of `FORMATS` to write.
        figures: Names of figures.
        page: Whether to write the page, report.html.
        images: Whether the page shows test images.
        strict: Whether to refuse where rows are unequal or a number can't be.
    """

    against: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    spread: Spread = "runs"
    machine: MachineProfile | None = None
    metric: Metric = STATISTIC
    baseline: str | None = None
    formats: tuple[str, ...] = DEFAULT_FORMATS
    figures: tuple[str, ...] = tuple(FIGURES)
    page: bool = False
    images: bool = True
    strict: bool = False

    def __post_init__(self) -> None:
        for each in self.formats:
            if each not in FORMATS:
                raise unknown("format", each, FORMATS, ", ".join(FORMATS))
        for each in self.figures:
            find_figure(each)


def write_report(
    root: Path, out: Path, wish: Wish | None = None, *, store: Path | None = None
) -> Written:
    """Write the tables and figures of a store.

    Args:
        root: The folder of the records.
        out: Where the files go.
        wish: What the report is to hold.
        store: What the user called the store, for `covbench trace`; the folder by default.

    Returns:
        The tables and paths, the leaderboards first.

    Raises:
        CovbenchError: There are no runs, or a name is not known.
    """
    wish = wish or Wish()
    layouts = [load_layout(name) for name in wish.layouts]
    holdings = read_holdings(root, wish.machine)
    _check(holdings, wish)
    findings = lint(holdings)
    if wish.strict:
        refuse(findings)
    boards = _leaderboards(holdings, findings, wish)
    found: list[tuple[str, Sequence[Table]]] = [("leaderboard", boards)]
    found.append(("statistics", _statistics(holdings, wish)))
    found.append(("sources", _sources(holdings, wish)))
    found.append(("transfer", _transfer(holdings, findings)))
    for layout in layouts:
        found.append((layout.name, _laid_out(holdings, findings, layout, wish)))
    for name in wish.against:
        found.append((f"against-{name}", against_tables(holdings.subjects, name)))
    paths: list[Path] = []
    for name, tables in found:
        paths += write_tables(tables, out, name, wish.formats)
        paths += write_sidecar(tables, out, name, store or root, holdings.records)
    scenes = [
        Scene(each, table, wish.metric)
        for (each, target), table in zip(_targets(holdings), boards, strict=True)
        if target == each.comparison.targets[0]  # which is what figures are of
    ]
    paths += write_figures(scenes, wish.figures, out / "figures", wish.formats)
    if "md" in wish.formats:
        paths += _write_methods(holdings, out)
    everything = tuple(table for _, tables in found for table in tables)
    if wish.page:
        paths.append(write_page(holdings, everything, out, images=wish.images))
    return Written(everything, tuple(paths))


def _check(holdings: Holdings, wish: Wish) -> None:
    """Refuse a store without runs, and a baseline that no table has."""
    if not holdings.subjects and (broken := holdings.damaged):
        raise CovbenchError(
            f"All {len(broken)} records below {holdings.root} are damaged: {broken[0].path} "
            f"({broken[0].reason}).",
            "Run the same `covbench run` again: what is damaged is moved aside and done anew.",
        )
    if not holdings.subjects and not transfers(holdings.records):
        raise CovbenchError(
            f"There are no runs below {holdings.root}.", "Start some: covbench run --out FOLDER"
        )
    rows = sorted({row for each in holdings.subjects for row in each.analysis.rows})
    if wish.baseline is not None and wish.baseline not in rows:
        raise unknown("row", wish.baseline, rows, ", ".join(rows))


def _targets(holdings: Holdings) -> list[tuple[Subject, str]]:
    """Each comparison with each of its targets, and what the scores of that target say."""
    return [
        (each.of(target), target)
        for each in holdings.subjects
        for target in each.comparison.targets
    ]


def _leaderboards(
    holdings: Holdings, findings: tuple[Finding, ...], wish: Wish, layout: Layout | None = None
) -> list[Table]:
    """All rows of each comparison and target, with what the lint says of them."""
    form = Form(layout or load_layout(GENERAL), wish.spread, wish.machine)
    tables = []
    for each, target in _targets(holdings):
        notes = footnotes(findings, each.name)
        table = leaderboard(each.comparison, target, form, each.analysis, footnotes=notes)
        said = table_notes(findings, each.name)
        tables.append(replace(table, notes=(*table.notes, *said)))
    return tables


def _statistics(holdings: Holdings, wish: Wish) -> list[Table]:
    made = [
        statistics_table(
            each,
            wish.metric,
            wish.baseline if wish.baseline in each.analysis.rows else None,
        )
        for each in holdings.subjects
    ]
    return [table for table in made if table is not None]


def _sources(holdings: Holdings, wish: Wish) -> list[Table]:
    """The rows of each comparison by collection, where its data were made of several."""
    form = Form(load_layout(GENERAL), wish.spread, wish.machine)
    made = [sources_table(each, form) for each in holdings.subjects]
    return [table for table in made if table is not None]


def _transfer(holdings: Holdings, findings: tuple[Finding, ...]) -> list[Table]:
    """The transfer matrices, with what the lint says of their rows."""
    found = transfers(holdings.records)
    notes = {each.name: footnotes(findings, each.name) for each in found}
    return transfer_tables(found, holdings.failures, notes)


def _laid_out(
    holdings: Holdings, findings: tuple[Finding, ...], layout: Layout, wish: Wish
) -> list[Table]:
    """The store in a layout: a published table's, or one for all rows."""
    if layout.published:
        form = Form(layout, wish.spread, wish.machine)
        notes = {each.name: footnotes(findings, each.name) for each in holdings.subjects}
        return paper_tables(form, holdings.subjects, notes)
    tables = _leaderboards(holdings, findings, wish, layout)
    return [replace(table, name=f"{layout.name}-{table.name}") for table in tables]


def _write_methods(holdings: Holdings, out: Path) -> list[Path]:
    """The methods section of each comparison, in one file."""
    texts = [_methods(each) for each in holdings.subjects]
    if not any(texts):
        return []
    path = out / "methods.md"
    write_atomically(path, "\n".join(text for text in texts if text))
    return [path]


def _methods(subject: Subject) -> str:
    text = methods(subject)
    heading = f"{subject.comparison.spec.dataset}, {subject.analysis.place.protocol}"
    return f"## {escape_markdown(heading)}\n\n{escape_markdown(text)}\n" if text else ""
