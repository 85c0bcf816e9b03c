"""From a row's runs to its cells: the columns of a layout filled in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from benchmark.metrics import METRICS, Metric
from benchmark.metrics.definitions import INSIDE_LUNG
from reports.analysis import Analysis
from reports.comparison import Entry
from reports.frame import Over, summarise, tidy
from reports.tables.layout import Layout, LayoutColumn
from reports.tables.table import Cell, Column
from results.machines import MachineProfile
from zoo.errors import unknown

if TYPE_CHECKING:
    import pandas as pd

Spread = Literal["runs", "seeds", "folds", "interval", "none"]
SPREADS: tuple[Spread, ...] = ("runs", "seeds", "folds", "interval", "none")
"""What stands beside a mean: the deviation over all runs, over seeds, over folds, the 95 % interval
over patients, or nothing."""


def spread_named(word: str) -> Spread:
    """What a user calls what stands beside a mean.

    Raises:
        CovbenchError: There is no such word.
    """
    for each in SPREADS:
        if each == word:
            return each
    raise unknown("spread", word, SPREADS, ", ".join(SPREADS))


TICKS = {"yes": "✓", "no": ""}
"""How a published yes or no is shown."""

_UNITS = {"params": ("M", 1e6), "macs": ("G", 1e9)}


@dataclass(frozen=True)
class Form:
    """How a table is made.

    Attributes:
        layout: Its columns.
        spread: What stands beside a mean.
        machine: The profile that fps and latency come from.
    """

    layout: Layout
    spread: Spread = "runs"
    machine: MachineProfile | None = None


def columns_of(
    form: Form, analysis: Analysis | None, *, empty: bool, known: Collection[str] = ()
) -> list[Column]:
    """The columns of a form.

    Args:
        form: How the table is made.
        analysis: What patients' scores say: its intervals decide which values are equal.
        empty: Whether there are images with empty masks.
        known: Keys of the scores that some row has.
    """
    found = []
    for each in form.layout.columns:
        if each.value == "inside_lung" and INSIDE_LUNG.key not in known:
            continue
        if each.value == "empty":
            if empty:
                found.append(Column("undefined", "Left out", style="count", brief=each.brief))
                found.append(Column("penalised", "Penalised", style="count", brief=each.brief))
            continue
        found.append(_column(each, form, analysis))
    return found


def _column(each: LayoutColumn, form: Form, analysis: Analysis | None) -> Column:
    metric = each.judged
    if metric is None:
        if each.printed:
            return Column(each.printed, each.title, style="text", brief=each.brief)
        title, style, unit = _VALUES[each.value]
        scale = 100.0 if unit == "%" else 1.0
        return Column(
            each.value,
            each.title or title,
            style,
            unit,
            each.digits,
            scale=scale,
            brief=each.brief,
            of=INSIDE_LUNG.key if each.value == "inside_lung" else "",
        )
    percent = metric.unit == "fraction" and each.percent
    shows: Literal["spread", "interval", "value"] = "spread"
    if form.spread in ("interval", "none"):
        shows = "interval" if form.spread == "interval" else "value"
    known = analysis is not None and analysis.resampled(metric) is not None
    return Column(
        metric.key,
        each.title or metric.title,
        unit="%" if percent else "" if metric.unit == "fraction" else metric.unit,
        digits=each.digits,
        scale=100.0 if percent else 1.0,
        brief=each.brief,
        higher_is_better=metric.higher_is_better,
        shows=shows,
        ties="interval" if known else "digits",
    )


_Style = Literal["text", "count", "size", "number"]
_VALUES: dict[str, tuple[str, _Style, str]] = {
    "params": ("Params", "size", ""),
    "macs": ("MACs", "size", ""),
    "fps": ("fps", "number", ""),
    "latency_ms": ("Latency", "number", "ms"),
    "runs": ("Runs", "count", ""),
    "inside_lung": (INSIDE_LUNG.title, "number", "%"),
}


@dataclass(frozen=True, eq=False)
class RowFacts:
    """What a row's cells are made of.

    Attributes:
        label: The row's name.
        entry: Its runs; None for a trivial predictor, or where there are none.
        summary: Its scores, over runs.
        frame: The same, run by run (`reports.frame.tidy`).
        empty: Images left out and penalised.
        wanted: How many runs a whole row has.
        analysis: What patients' scores say, where its runs are part of it.
        printed: Its line of a published table.
        among: The rows that a table shows, where those are not all of the comparison.
    """

    label: str
    entry: Entry | None
    summary: Mapping[str, Cell]
    frame: pd.DataFrame
    empty: tuple[int, int] | None = None
    wanted: int = 0
    analysis: Analysis | None = None
    printed: Mapping[str, str] | None = None
    among: tuple[str, ...] | None = None

    @property
    def done(self) -> int:
        """Number of finished runs."""
        return len(self.entry.records) if self.entry else 0

    @property
    def status(self) -> str:
        """`done`, `incomplete`, `failed (...)`, or `not run`."""
        if self.entry is None:
            return "not run"
        if not self.done:
            return f"failed ({self._failed})"
        return "done" if self.done == self.wanted else "incomplete"

    @property
    def runs_text(self) -> str | None:
        """How many runs there are, in words; None where all are."""
        if self.entry is None:
            return None
        if not self.done:
            return self.status
        text = f"{self.done} of {self.wanted}" if self.done < self.wanted else None
        if self._failed:
            text = f"{text}, {len(self.entry.failures)} failed ({self._failed})"
        return text

    @property
    def _failed(self) -> str:
        assert self.entry is not None
        return ", ".join(dict.fromkeys(failure.status for failure in self.entry.failures))


def facts_of(entry: Entry, target: str, wanted: int, form: Form) -> RowFacts:
    """What the cells of a row are made of, by its runs."""
    frame = tidy(entry.records)
    own = frame[frame["target"] == target]
    summary = summarise(own, over_of(form.spread))
    return RowFacts(entry.label, entry, summary, own, wanted=wanted)


def over_of(spread: Spread) -> Over:
    """What a deviation is taken over."""
    return spread if spread in ("seeds", "folds") else "runs"


def cells_of(facts: RowFacts, form: Form, columns: list[Column]) -> tuple[Cell, ...]:
    """The cells of a row, one for each column."""
    layout = {each.metric or each.value or each.printed: each for each in form.layout.columns}
    return tuple(_cell(column, layout.get(column.key), facts, form) for column in columns)


def _cell(column: Column, asked: LayoutColumn | None, facts: RowFacts, form: Form) -> Cell:
    key = column.key
    if key in METRICS:
        return _score(METRICS[key], facts, form)
    if asked is not None and asked.printed:
        return _as_printed(facts, key)
    record = facts.entry.records[0] if facts.entry and facts.entry.records else None
    runs = tuple(each.spec.id for each in facts.entry.records) if facts.entry else ()
    if key in _UNITS:
        count = None
        if record is not None:
            count = record.cost.params if key == "params" else record.cost.headline
        return Cell(count, text=_as_in_papers(key, count, form), runs=runs)
    if key in ("undefined", "penalised"):
        return Cell(facts.empty[key == "penalised"], runs=runs) if facts.empty else Cell()
    if key == "inside_lung":
        return facts.summary.get(INSIDE_LUNG.key, Cell())
    if key == "runs":
        return Cell(facts.done if facts.entry else None, text=facts.runs_text, runs=runs)
    return Cell(_speed(key, facts, form.machine))


def _score(metric: Metric, facts: RowFacts, form: Form) -> Cell:
    """A mean with its spread, interval and mark."""
    cell = facts.summary.get(metric.key, Cell())
    analysis = facts.analysis
    if analysis is None or facts.label not in analysis.rows:
        return cell
    interval = analysis.interval(facts.label, metric)
    mark = analysis.marks(metric, facts.among).get(facts.label)
    if interval is None:
        return replace(cell, mark=mark)
    value = interval.estimate if form.spread == "interval" else cell.value
    return replace(cell, value=value, interval=(interval.low, interval.high), mark=mark)


def _as_printed(facts: RowFacts, key: str) -> Cell:
    text = (facts.printed or {}).get(key, "")
    return Cell(text, text=TICKS.get(text, text))


def _as_in_papers(key: str, count: int | None, form: Form) -> str | None:
    """A count as the papers print it: `33.72M`, `363.20K`; None in the general layout."""
    if not form.layout.published or count is None:
        return None
    unit, size = _UNITS[key]
    if count < 1e6 and key == "params":
        unit, size = "K", 1e3
    return f"{count / size:.2f}{unit}"


def _speed(key: str, facts: RowFacts, machine: MachineProfile | None) -> float | None:
    """Frames a second or milliseconds of one image, from a machine's profile."""
    network = machine.network(facts.label) if machine else None
    timing = network.timing("latency") if network else None
    if timing is None:
        return None
    return timing.fps if key == "fps" else timing.latency_ms
