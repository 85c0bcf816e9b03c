"""What a leaderboard's numbers are, in sentences made from its records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.metrics import METRICS
from reports.analysis import Analysis
from reports.boards.rows import Form
from reports.comparison import Comparison
from reports.sentences import UNITS
from reports.tables.table import Column
from reports.words import listed, numbers, plural, without_control
from results.record import RunRecord

_SHOWN_GROUPS = 3


def title(comparison: Comparison, target: str) -> str:
    """Dataset, protocol with its changes, and what was segmented."""
    changes = f" with {', '.join(comparison.changes)}" if comparison.changes else ""
    spec = comparison.spec
    what = {spec.truth: "", "infection": ""}.get(target, f", {target}")
    if spec.truth != "infection":
        what = f", {spec.truth}{what and ':'}{what.removeprefix(',')}"
    return without_control(f"{spec.dataset}, protocol {spec.protocol}{changes}{what}")


def caption(
    comparison: Comparison,
    form: Form,
    analysis: Analysis | None = None,
    *,
    linted: bool = False,
) -> str:
    """The sentences under a leaderboard's heading, without those about its metrics.

    Args:
        comparison: The runs.
        form: What stands beside a mean.
        analysis: What patients' scores say.
        linted: Whether the lint says what is special: shared patients, uncommitted code.
    """
    records = comparison.records
    sentences = [_runs(comparison, form, analysis)]
    if records:
        sentences += [
            _images(records),
            *([] if linted else _sharing(records)),
            _cost(records),
            _machine(records),
            _code(records, linted=linted),
        ]
    return " ".join(sentences)


def explained(columns: Sequence[Column], primary: str) -> str:
    """What the metrics of a table are means of, and what its marks say."""
    judged = [(column, METRICS[column.key]) for column in columns if column.key in METRICS]
    by_kind = {
        kind: [column.title for column, metric in judged if metric.aggregation == kind]
        for kind in ("slice", "pooled", "patient")
    }
    parts = [
        listed(names) + words[len(names) == 1]
        for kind, words in _KINDS.items()
        if (names := by_kind[kind])
    ]
    sentences = []
    if any(column.key == primary for column, _ in judged):
        title = next(column.title for column, _ in judged if column.key == primary)
        sentences.append(f"Sorted by {title}.")
    if parts:
        text = ", ".join(parts)
        sentences.append(text[0].upper() + text[1:] + ".")
    marks = "Best in bold, second best underlined"
    if any(column.ties == "interval" for column, _ in judged):
        marks += (
            ", each with those that the data don't tell from it (95 % interval of the paired "
            "difference holds 0)"
        )
    return " ".join([*sentences, f"{marks}."])


_KINDS = {
    "slice": (" are means over images", " is the mean over images"),
    "pooled": (" pool the pixels of all test images", " pools the pixels of all test images"),
    "patient": (
        " average over a patient's images first",
        " averages over a patient's images first",
    ),
}
"""What a metric is a mean of, said of several and of one."""


def _runs(comparison: Comparison, form: Form, analysis: Analysis | None) -> str:
    """What a value is, and what stands beside it."""
    wanted = comparison.wanted
    folds = sorted({fold for fold, _, _ in wanted})
    seeds = sorted({seed for _, _, seed in wanted})
    where = f"{plural('fold', folds)} {numbers(folds)}, {plural('seed', seeds)} {numbers(seeds)}"
    if form.spread == "interval" and (unit := interval_unit(analysis)):
        return (
            f"Mean over {len(wanted)} runs ({where}) with its 95 % interval (bootstrap over "
            f"{unit}, 10,000 resamples)."
        )
    if len(wanted) == 1:
        return f"One run a row ({where}): no spread."
    mean = f"over {len(wanted)} runs ({where})"
    if form.spread == "none":
        return f"Mean {mean}."
    if form.spread in ("seeds", "folds"):
        each = "mean of its folds" if form.spread == "seeds" else "mean of its seeds"
        return f"Mean {mean} ± sample standard deviation over {form.spread}, each the {each}."
    return f"Mean ± sample standard deviation {mean}."


def interval_unit(analysis: Analysis | None) -> str:
    """What was resampled for an analysis: `10 patients`; empty where nothing could be."""
    resampled = analysis.resampled(METRICS["dice_slice"]) if analysis else None
    return f"{resampled.n} {UNITS[resampled.unit]}" if resampled else ""


def _images(records: Sequence[RunRecord]) -> str:
    """How many images a run was trained and tested on."""
    trained = _span(record.data.n_train for record in records)
    tested = _span(record.data.n_test for record in records)
    held = _span(record.data.n_validation for record in records)
    more = f", {held} more held out for early stopping," if held != "0" else ""
    return f"Each run is trained on {trained} images{more} and tested on {tested}."


def _sharing(records: Sequence[RunRecord]) -> list[str]:
    """Whether patients stand on both sides of a fold; nothing where none can."""
    shared = sorted({group for record in records for group in record.data.shared_groups})
    if shared:
        folds = numbers(record.spec.fold for record in records if record.data.shared_groups)
        more = f" and {len(shared) - _SHOWN_GROUPS} more" if len(shared) > _SHOWN_GROUPS else ""
        listed = ", ".join(shared[:_SHOWN_GROUPS]) + more
        return [
            f"Patients on both sides of the fold: {len(shared)} known ({listed}; fold {folds}), "
            "so the scores are too high for new patients."
        ]
    if not all(record.data.groups_disjoint for record in records):
        return [
            "The patients of some images are not known: images of one patient may stand on both "
            "sides of a fold."
        ]
    return []


def _cost(records: Sequence[RunRecord]) -> str:
    sizes = sorted({record.cost.input_size for record in records})
    return (
        f"MACs: multiply-adds of one image of {' or '.join('×'.join(map(str, s)) for s in sizes)}."
    )


def _machine(records: Sequence[RunRecord]) -> str:
    devices = {
        record.env.cpu if record.env.device == "cpu" else record.env.device for record in records
    }
    return f"Run on {' and '.join(sorted(devices))}."


def _code(records: Sequence[RunRecord], *, linted: bool) -> str:
    versions = sorted({record.code.version for record in records})
    commits = sorted({(record.code.git_commit or "unknown")[:7] for record in records})
    text = f"covbench {', '.join(versions)}, commit {', '.join(commits)}"
    dirty = sum(bool(record.code.git_dirty) for record in records)
    if dirty and not linted:
        text += f", with uncommitted changes in {dirty} of {len(records)} runs"
    return f"{text}."


def _span(values: Iterable[int]) -> str:
    known = sorted(set(values))
    return str(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"
