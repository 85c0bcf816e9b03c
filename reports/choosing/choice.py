"""A choice of networks as a table, as objects, and in sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmark.statistics import Interval
from reports.boards.caption import title
from reports.choosing.choose import Candidate, Choice, excess, profiled
from reports.choosing.limits import Limit
from reports.profiles.caption import how_timed, image, where_and_when
from reports.profiles.tables import decimals
from reports.sentences import UNITS, Shown
from reports.subject import Subject, slug
from reports.tables.shown import rounded
from reports.tables.table import Cell, Column, Row, Table

_NEAREST = 3
"""Networks that are named where none meets the limits."""


def choice_table(choice: Choice) -> Table:
    """The networks that meet the limits, best first; what was left out is said below."""
    subject, metric, profile = choice.subject, choice.metric, choice.profile
    shown = Shown(metric)
    chosen = choice.chosen
    times = [each.numbers["latency_ms"] for each in chosen]
    digits = decimals(time for time in times if time is not None)
    columns = [
        Column(
            metric.key,
            metric.title,
            unit=shown.unit,
            scale=shown.scale,
            higher_is_better=metric.higher_is_better,
            shows="interval",
        ),
        Column("rank_of_all", "Rank of all", style="text", brief=False),
        Column("front", "Pareto", style="text"),
        Column("params", "Params", style="size"),
        Column("macs", "MACs", style="size", brief=profile is None),
    ]
    if profile is not None:
        columns.append(Column("latency_ms", "Latency", unit="ms", digits=digits, brief=False))
        columns.append(Column("fps", "Images/s", digits=decimals(_known(chosen, "fps"))))
    columns.append(Column("runs", "Runs", style="count", brief=False))
    ranks = _ranks(choice)
    rows = []
    for each in chosen:
        numbers = (Cell(each.numbers[column.key]) for column in columns[3:-1])
        cells = (
            each.score,
            _rank_cell(ranks.get(each.row)),
            Cell("front" if each.row in choice.on_front else None),
            *numbers,
            Cell(each.runs),
        )
        rows.append(Row(each.row, cells, _place_of(each, choice, columns[0]), _status(each)))
    return Table(
        name=slug(f"choice-{subject.name}-{metric.key}"),
        title=f"{metric.title} within limits: {title(subject.comparison, _target(subject))}",
        columns=tuple(columns),
        rows=tuple(rows),
        caption=" ".join(_sentences(choice)),
        notes=tuple(_notes(choice)),
        context=_context(choice),
    )


def choice_objects(choice: Choice) -> list[dict[str, Any]]:
    """A dictionary for each network, ready for JSON: the chosen, then those left out and why."""
    column = choice_table(choice).columns[0]
    ranks = _ranks(choice)
    return [
        {
            **_context(choice),
            "name": each.row,
            "rank": _place_of(each, choice, column),
            "status": "left out" if each.fails else _status(each),
            "fails": list(each.fails),
            "front": each.row in choice.on_front,
            **each.numbers,
            "score": each.score.number,
            "low": each.score.interval[0] if each.score.interval else None,
            "high": each.score.interval[1] if each.score.interval else None,
            "sd": each.score.spread,
            "runs": each.runs,
            **_rank_numbers(ranks.get(each.row)),
        }
        for each in (*choice.chosen, *choice.left_out)
    ]


def _target(subject: Subject) -> str:
    return subject.comparison.targets[0]


def _known(found: Sequence[Candidate], field: str) -> list[float]:
    return [number for each in found if (number := each.numbers[field]) is not None]


def _status(each: Candidate) -> str:
    return "done" if each.whole else "incomplete"


def _place_of(each: Candidate, choice: Choice, column: Column) -> int | None:
    """Its rank among the chosen, from 1; equal digits share one, and what misses runs has none."""
    own = rounded(each.score, column)
    if own is None or each.fails or not each.whole:
        return None
    others = [rounded(other.score, column) for other in choice.chosen if other.whole]
    higher = choice.metric.higher_is_better
    return 1 + sum(
        other is not None and (other > own if higher else other < own) for other in others
    )


def _ranks(choice: Choice) -> dict[str, Interval]:
    """The rank of each row among all of the comparison that have every run."""
    standings = choice.subject.analysis.standings(choice.metric)
    return {each.row: each.rank for each in standings}


def _rank_cell(rank: Interval | None) -> Cell:
    """`3 [2, 5]`."""
    if rank is None:
        return Cell()
    return Cell(f"{rank.estimate:.0f} [{rank.low:.0f}, {rank.high:.0f}]")


def _rank_numbers(rank: Interval | None) -> dict[str, int | None]:
    ends = (rank.estimate, rank.low, rank.high) if rank else (None, None, None)
    names = ("rank_of_all", "rank_of_all_low", "rank_of_all_high")
    return {n: None if e is None else int(e) for n, e in zip(names, ends, strict=True)}


def _context(choice: Choice) -> dict[str, str]:
    spec = choice.subject.comparison.spec
    return {
        "dataset": spec.dataset,
        "protocol": spec.protocol,
        "changes": " ".join(choice.subject.comparison.changes),
        "by": choice.metric.key,
        "machine": choice.profile.machine if choice.profile else "",
    }


def _sentences(choice: Choice) -> list[str]:
    """What was asked, what the numbers are, what was left out."""
    metric, analysis = choice.metric, choice.subject.analysis
    resampled = analysis.resampled(metric)
    number = len(choice.chosen) + len(choice.left_out)
    words = " and ".join(limit.words for limit in choice.limits)
    found = [
        f"{len(choice.chosen)} of {number} networks have {words}."
        if words
        else f"All networks, by {metric.title}; no limit was given.",
        f"{metric.title}: {_AVERAGES[metric.aggregation]}, averaged over runs"
        + (
            f", with the 95 % interval over {resampled.n} {UNITS[resampled.unit]}; rank of all: "
            f"among the {len(resampled.rows)} networks that have every run."
            if resampled
            else "; there are no per-image scores to make intervals of."
        ),
    ]
    if choice.on_front:
        costs = "parameters, MACs and latency" if choice.profile else "parameters and MACs"
        found.append(
            f"Pareto front: no other network is as good in {metric.title}, {costs} and better in "
            "one of them. It goes by the means: neighbours whose intervals overlap may change "
            "places."
        )
    if choice.left_out:
        found.append(f"Left out: {left_out_words(choice)}.")
    if choice.left_out and not choice.chosen:
        found.append(_nearest(choice))
    return found


_AVERAGES = {
    "pooled": "pixels of all images pooled",
    "slice": "mean over images",
    "patient": "mean over patients",
}


def left_out_words(choice: Choice) -> str:
    """Why networks are left out: `5 by --max-params, 1 without a measured fps`."""
    counts = Counter(each for candidate in choice.left_out for each in candidate.fails)
    told = [
        f"{count} by {why}" if why.startswith("--") else f"{count} {why}"
        for why, count in counts.items()
    ]
    twice = counts.total() > len(choice.left_out)
    return ", ".join(told) + (" (some for several reasons)" if twice else "")


def _nearest(choice: Choice) -> str:
    """The networks that miss the limits by least, where none meets them."""
    told = []
    for each in choice.left_out[:_NEAREST]:
        if math.isfinite(excess(each, choice.limits)):
            told.append(f"{each.row} ({', '.join(_missed(each, choice.limits))})")
    if not told:
        return "None could be compared with the limits."
    return f"None meets all limits; nearest: {'; '.join(told)}."


def _missed(each: Candidate, limits: Sequence[Limit]) -> list[str]:
    """What a network has where it misses a limit: `1.10 times --max-params`."""
    return [
        f"{number / limit.value:.3g} times {limit.option}"
        for limit in limits
        if (number := each.numbers[limit.field]) is not None and limit.excess(number) > 1
    ]


def _notes(choice: Choice) -> list[str]:
    """Where speeds come from, which of them are doubtful, and which rows have no interval."""
    notes = []
    profile = choice.profile
    if profile is not None:
        timings = {
            each.row: timing
            for each in choice.chosen
            if (entry := choice.subject.entry(each.row))
            and (network := profiled(entry, profile))
            and (timing := network.timing("latency"))
        }
        notes.append(
            " ".join(
                [
                    f"Latency and images/s: one image of {image(profile)} a pass.",
                    where_and_when(profile),
                    *how_timed(profile, list(timings.values())),
                ]
            )
        )
        flagged = [f"{row} ({', '.join(t.flags)})" for row, t in timings.items() if t.flags]
        if flagged:
            notes.append(f"Timings to be doubted: {'; '.join(flagged)}.")
    if any(not each.whole for each in choice.chosen):
        notes.append("Rows that miss runs have no rank: their mean is over other images.")
    return [*notes, *choice.subject.analysis.skipped]
