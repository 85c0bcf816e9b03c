"""How a ranking hangs on the rules of scoring: one is changed at a time, nothing is trained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.metrics import Confusion, Metric, Row
from benchmark.protocols import Protocol, ScoreRule
from benchmark.statistics import kendall_tau, ranks, unit_scores
from reports.analysis import COUNTS, analyse
from reports.chosen import Place
from reports.comparing.rescoring import HALF, Truth, rescore, rounding, score_rule, truths_of
from reports.comparing.scorings import (
    AGGREGATIONS,
    OWN,
    THRESHOLDS,
    Setting,
    out_of_reach,
    settings_of,
    settings_towards,
)
from reports.sentences import Shown, scored
from reports.sides import Side, named, scores_of
from reports.tables.table import Cell, Column, Table
from reports.tables.table import Row as Line
from results.predictions import holds_masks, read_predictions
from results.record import RunRecord
from zoo.errors import CovbenchError, unknown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def factors_table(
    place: Place,
    root: Path,
    metric: Metric,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    towards: Protocol | None = None,
    rows: Sequence[str] = (),
) -> Table:
    """Rank the networks of a store under one changed rule of scoring at a time.

    Means are those of `covbench compare`; pooled ones are means over runs, as in a leaderboard.

    Args:
        place: Runs on the same data under one protocol.
        root: The folder of the store, where their predictions are.
        metric: What is ranked by.
        thresholds: Probabilities from which on a pixel is foreground, beside 0.5.
        towards: Another protocol, whose score rules are the changes instead.
        rows: Only these rows; all by default.

    Returns:
        A line for each setting, the protocol's own first.

    Raises:
        CovbenchError: Fewer than two rows have all runs and predictions, the data aren't here, or
            the predictions don't give the scores of the runs.
    """
    rule, notes = score_rule(place.spec), []
    if towards is None:
        settings = settings_of(rule, metric, thresholds)
    else:
        settings = settings_towards(rule, towards.score, metric)
        notes = out_of_reach(place.spec, towards)
        if len(settings) == 1:
            raise CovbenchError(
                f"{place.protocol} and {towards.name} judge a prediction alike: what differs needs "
                "new runs.",
                f"Run them: covbench run --protocol {towards.name}; then compare --protocols.",
            )
    sides, skipped = _sides(place, root, rows)
    if any(each.threshold != HALF for each in settings) and _masks(sides, root):
        settings = [each for each in settings if each.threshold == HALF]
        notes.append("The stored predictions are masks alone: other thresholds can't be tried.")
    elif place.spec.truth == "multiclass":
        notes.append(
            "A stored probability is that of the likeliest class against the background alone, and "
            "thresholds are of that."
        )
    rescored = _rescored(sides, root, settings, truths_of(place.spec))
    found = {each.label: _means(sides, rescored.lines[each], each.metric) for each in settings}
    shown, names = Shown(metric), [side.label for side in sides]
    lines = [_line(found[each.label], found[OWN], names, metric, each.label) for each in settings]
    if any(means is None for means in found.values()):
        notes.append("A line without numbers: there some network has no defined score.")
    spec, images = place.spec, scores_of(sides, metric).values.shape[2]
    name = f"factors-{spec.dataset}-{place.protocol}-{metric.key}"
    if towards is not None:
        name += f"-towards-{towards.name}"
    return Table(
        re.sub(r"[^A-Za-z0-9-]+", "-", name),
        f"{metric.title} on {spec.dataset}{scored(spec)} under {place.protocol}"
        + (f", scored as in {towards.name}" if towards else "")
        + ": one factor at a time",
        (
            Column("best", "Best", style="text"),
            shown.column("best_mean", "Its mean"),
            Column("tau", "Kendall's tau"),
            Column("moved", "Ranks that move", style="count"),
            Column("moves", "Which", style="text", brief=False),
            shown.column("change", "Largest change", difference=True),
            Column("changed", "Of", style="text"),
        ),
        tuple(lines),
        f"{len(names)} networks on {images} test images ({named('fold', sides[0].folds)}; "
        f"{named('seed', sides[0].seeds)}), scored again from their stored predictions. Nothing is "
        f"trained: each line changes one thing of the first one, which is the "
        f"{AGGREGATIONS[metric.aggregation]} under {place.protocol}. Kendall's tau (b), moved "
        "ranks and changes are against the first line.",
        (*notes, *_rounding_note(sides, rescored, found[OWN], shown), *skipped),
        {"dataset": spec.dataset, "protocol": place.protocol, "metric": metric.key},
        label="Scored",
    )


def _sides(place: Place, root: Path, rows: Sequence[str]) -> tuple[list[Side], list[str]]:
    """The rows that have every run and all predictions, and sentences on the others."""
    for row in rows:
        if row not in place.rows:
            raise unknown("row", row, place.rows, ", ".join(place.rows))
    analysis = analyse(place)
    skipped = list(analysis.skipped)
    sides, lacking = [], None
    for side in analysis.sides:
        if rows and side.label not in rows:
            continue
        try:
            for record in side.records:
                read_predictions(root, record)
        except CovbenchError as error:
            lacking = lacking or error
            skipped.append(f"{side.label} is left out: {error.problem}")
        else:
            sides.append(side)
    if len(sides) < 2:
        if lacking is not None:
            raise lacking
        raise CovbenchError(
            " ".join([f"Only {len(sides)} rows can be ranked under {place}.", *skipped[:1]]),
            "Run two or more networks on the same folds and seeds, with --set keep=predictions.",
        )
    return sides, skipped


def _masks(sides: Sequence[Side], root: Path) -> bool:
    """Whether some run's predictions are decisions without probabilities."""
    records = [record for side in sides for record in side.records]
    return any(holds_masks(read_predictions(root, record).values()) for record in records)


@dataclass(frozen=True, eq=False)
class _Lines:
    """The rows of all runs by setting, and what rounding changes at 0.5."""

    lines: Mapping[Setting, list[dict[str, Any]]]
    pixels: int
    close: int
    runs: int


def _rescored(
    sides: Sequence[Side], root: Path, settings: Sequence[Setting], truths: Mapping[str, Truth]
) -> _Lines:
    """Score every run under every setting, one run after the other."""
    lines: dict[Setting, list[dict[str, Any]]] = {each: [] for each in settings}
    own = settings[0]
    distances = own.metric.unit != "fraction"
    cases: dict[str, Any] = {
        str(run): rows.to_dict("records") for run, rows in sides[0].frame.groupby("run", sort=False)
    }
    pixels = close = runs = 0
    for record in (record for side in sides for record in side.records):
        predictions = read_predictions(root, record)
        made: dict[tuple[ScoreRule, float], tuple[Row, ...]] = {}
        masks: dict[tuple[str, float], tuple[Row, ...]] = {}  # of which distances are known
        for each in settings:
            alike = each.rule.surface_points, each.threshold
            key = each.rule, each.threshold
            if key not in made:
                scored = rescore(
                    predictions,
                    truths,
                    *key,
                    distances=distances,
                    known=masks.get(alike, ()),
                )
                made[key] = scored.rows
                masks.setdefault(alike, scored.rows)
                if each is own:
                    told = rounding(scored, cases[record.spec.id])
                    if told.unexplained:
                        raise _others(record, told.unexplained)
                    pixels, close = pixels + told.pixels, close + told.close
                    runs += told.pixels > 0
            lines[each] += [{**row, "run": record.spec.id} for row in made[key]]
    return _Lines(lines, pixels, close, runs)


def _others(record: RunRecord, images: Sequence[str]) -> CovbenchError:
    return CovbenchError(
        f"The stored predictions of {record.spec.title} do not give its own counts: "
        f"{', '.join(images[:3])}.",
        "They are not those of the scores: run it again with --set keep=predictions and --force.",
    )


def _means(
    sides: Sequence[Side], lines: Sequence[Mapping[str, Any]], metric: Metric
) -> Floats | None:
    """Each row's mean; None where it is undefined for any."""
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame(list(lines))
    if metric.aggregation == "pooled":
        ratios = {
            str(run): getattr(Confusion(*map(int, counts)), metric.measure)
            for run, *counts in frame.groupby("run")[list(COUNTS)].sum().itertuples()
        }
        means = np.array([np.mean([ratios[run] for run in side.runs.values()]) for side in sides])
        return None if np.isnan(means).any() else means
    units = unit_scores(scores_of([replace(side, frame=frame) for side in sides], metric))
    return units.means if units.names else None


def _line(
    means: Floats | None, own: Floats | None, names: Sequence[str], metric: Metric, label: str
) -> Line:
    """What a setting does to the ranking."""
    import numpy as np

    if means is None or own is None:
        return Line(label, (Cell(),) * 7)
    before, after = (ranks(each[:, None], metric.higher_is_better)[:, 0] for each in (own, means))
    tau = float(kendall_tau(*(each.round(12)[:, None] for each in (own, means)))[0])
    moves = [
        f"{name} {one}→{other}"
        for one, other, name in sorted(zip(before.tolist(), after.tolist(), names, strict=True))
        if one != other
    ]
    change = means - own
    most = int(np.argmax(np.abs(change).round(12)))
    first = [name for name, rank in zip(names, after, strict=True) if rank == 1]
    return Line(
        label,
        (
            Cell(", ".join(first)),
            Cell(float(means[after.argmin()])),
            Cell(tau),
            Cell(len(moves)),
            Cell(", ".join(moves) or None),
            Cell(float(change[most])),
            Cell(names[most] if change[most].round(12) else None),
        ),
    )


def _rounding_note(
    sides: Sequence[Side], found: _Lines, own: Floats | None, shown: Shown
) -> list[str]:
    """How the first line stands to the scores of the runs themselves."""
    if not found.pixels or own is None:
        return [] if own is None else ["The first line gives the pixel counts of every run again."]
    import numpy as np

    stored = unit_scores(scores_of(sides, shown.metric))
    moved = float(np.abs(stored.means - own).max())
    return [
        f"Stored probabilities are rounded to 1/255: of {found.close:,} pixels at 0.5 the first "
        f"line decides {found.pixels} otherwise than the networks did, in {found.runs} runs. That "
        f"changes no mean by more than {moved * shown.scale:.2g} {shown.step}."
    ]
