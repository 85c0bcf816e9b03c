"""The card of a row: what the network is, what it scored run by run, and where that comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmark.metrics import METRICS
from reports.analysis import Analysis
from reports.boards.standings import PRIMARY
from reports.comparison import Entry
from reports.page.images import Pictures, examples
from reports.profiles.caption import COUNTERS
from reports.sentences import UNITS
from reports.subject import Subject
from reports.tables.shown import show
from reports.tables.table import Row, Table
from results.cases import Cases
from results.record import RunRecord
from results.spec import canonical_json
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.registry import cards, patterns

_CURVE_POINTS = 40
"""Points of a training curve that are kept: more can't be seen at its size."""

Pair = tuple[str, str]


def card_data(
    subject: Subject,
    entry: Entry,
    row: Row,
    table: Table,
    standing: str,
    cases: Cases,
    pictures: Pictures | None,
) -> dict[str, Any]:
    """All that the page says of one row beyond its line in the table.

    Args:
        subject: The comparison.
        entry: The row's runs.
        row: The row in the table.
        table: The table.
        standing: A sentence on its rank, from `standing_sentences`.
        cases: Per-image scores of the store.
        pictures: Where its examples come from; None to leave them out.

    Returns:
        Texts and numbers for JSON.
    """
    return {
        "facts": _facts(subject, entry),
        "scores": _scores(subject, row, table),
        "standing": standing,
        "runs": _runs(entry.records, table),
        "curves": _curves(entry.records),
        **(_images(subject, entry, cases, pictures) if pictures else {"images": []}),
        "failures": [
            f"Fold {each.spec.fold}, seed {each.spec.seed}: {each.status}. {each.exception} "
            f"{each.hint}".strip()
            for each in entry.failures
        ],
        "provenance": _provenance(entry),
    }


def zoo_card(model: str) -> Card | None:
    """What the zoo knows of a network; None for a plug-in, whose code a report does not load."""
    known = cards()
    if model in known:
        return known[model]
    for prefix, pattern in patterns().items():
        if model.startswith(prefix):
            try:
                return pattern.card(model)
            except CovbenchError:
                return None
    return None


def _facts(subject: Subject, entry: Entry) -> list[Pair]:
    spec = entry.specs[0]
    card = zoo_card(spec.model)
    facts: list[Pair] = []
    if card is None:
        facts.append(("Paper", "unknown: the network is not one of the zoo"))
    else:
        year = str(card.year) if card.year else ""
        paper = ", ".join(part for part in (card.paper, card.reference, year) if part)
        facts += [
            ("Paper", paper or "unknown"),
            ("Stands for", ", ".join(card.rows)),
            ("ImageNet weights", card.weights),
            ("Released weights", card.released.origin if card.released else ""),
        ]
    options = ", ".join(f"{name} = {canonical_json(value)}" for name, value in spec.options.items())
    facts.append(("Options", options or "defaults"))
    if entry.records:
        facts += _cost(entry.records[0])
    facts += _speed(subject, entry.label)
    if card is not None:
        facts.append(("Notes", card.notes))
    return [fact for fact in facts if fact[1]]


def _cost(record: RunRecord) -> list[Pair]:
    cost = record.cost
    size = "×".join(map(str, cost.input_size))
    macs = [f"{count:,} ({COUNTERS.get(counter, counter)})" for counter, count in cost.macs.items()]
    return [
        ("Parameters", f"{cost.params:,}"),
        ("MACs", f"{'; '.join(macs)}; one image of {size}" if macs else ""),
    ]


def _speed(subject: Subject, label: str) -> list[Pair]:
    """Its latency in the machine profile, where one was chosen and has it."""
    machine = subject.machine
    network = machine.network(label) if machine else None
    timing = network.timing("latency") if network else None
    if machine is None or timing is None:
        return []
    flags = f"; {', '.join(timing.flags)}" if timing.flags else ""
    return [
        (
            "Speed",
            f"{timing.fps:.1f} images per second; median latency {timing.latency_ms:.2f} ms "
            f"[{timing.low_ms:.2f}, {timing.high_ms:.2f}], {timing.precision}, one image, on "
            f"{machine.machine}{flags}",
        )
    ]


def _scores(subject: Subject, row: Row, table: Table) -> list[list[str]]:
    """Title, the table's value, and the score over all images with its interval."""
    found = []
    for column, cell in zip(table.columns, row.cells, strict=True):
        metric = METRICS.get(column.key)
        if metric is None:
            continue
        interval = subject.analysis.interval(row.label, metric)
        text = ""
        if interval is not None:
            ends = (interval.estimate, interval.low, interval.high)
            mean, low, high = (f"{end * column.scale + 0.0:.{column.digits}f}" for end in ends)
            text = f"{mean} [{low}, {high}]"
        found.append([column.head, show(cell, column), text])
    return found


def standing_sentences(analysis: Analysis) -> dict[str, str]:
    """A sentence for each row on its rank by the primary metric, with interval."""
    metric = METRICS[PRIMARY]
    resampled, found = analysis.resampled(metric), analysis.standings(metric)
    if resampled is None:
        return {}
    sentences = {}
    for each in found:
        low, high = int(each.rank.low), int(each.rank.high)
        sentences[each.row] = (
            f"By {metric.title} over all images of {resampled.n} {UNITS[resampled.unit]}: rank "
            f"{int(each.rank.estimate)} of {len(found)} (95 % interval {low} to {high}); the best "
            f"in {100 * each.first:.1f} % of the resamples."
        )
    return sentences


def _runs(records: Sequence[RunRecord], table: Table) -> dict[str, Any]:
    """A line for each run: fold, seed, scores, minutes of training, id."""
    columns = [column for column in table.columns if column.key in METRICS]
    rows = []
    for record in records:
        scores = record.scores.get(table.context["target"], {})
        values = []
        for column in columns:
            score = scores.get(column.key)
            value = None if score is None else score.value
            shown = "–" if value is None else f"{value * column.scale + 0.0:.{column.digits}f}"
            values.append(shown)
        seconds = f"{record.training.seconds:.0f}" if record.training else "–"
        spec = record.spec
        rows.append([str(spec.fold), str(spec.seed), *values, seconds, spec.id])
    heads = [column.head for column in columns]
    return {"heads": ["Fold", "Seed", *heads, "Training (s)", "Run"], "rows": rows}


def _curves(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """The mean loss of epochs, evenly thinned, the first and the last among them."""
    found = []
    for record in records:
        curve = record.training.curve if record.training else ()
        if curve:
            epochs = thinned(len(curve))
            found.append(
                {
                    "run": f"fold {record.spec.fold}, seed {record.spec.seed}",
                    "epochs": [place + 1 for place in epochs],
                    "loss": [float(f"{curve[place]:.4g}") for place in epochs],
                }
            )
    return found


def thinned(count: int) -> list[int]:
    """Up to forty places from 0 to count - 1, both ends among them, as even as can be."""
    if count <= _CURVE_POINTS:
        return list(range(count))
    return [round(step * (count - 1) / (_CURVE_POINTS - 1)) for step in range(_CURVE_POINTS)]


def _images(subject: Subject, entry: Entry, cases: Cases, pictures: Pictures) -> dict[str, Any]:
    """The examples with their captions, and a sentence on where they come from or why not."""
    if pictures.dataset is None:
        return {"images": [], "about_images": pictures.reason}
    found = examples(subject.root, entry, cases, pictures.dataset)
    if not found:
        return {"images": [], "about_images": "No predictions of this row are kept."}
    licence = pictures.dataset.manifest.licence
    run = next(each.spec for each in entry.records if each.spec.id == found[0].run)
    return {
        "images": [
            {"src": each.source, "which": each.which, "image": each.image, "dice": each.dice}
            for each in found
        ],
        "about_images": (
            f"The best, the median and the worst test image by Dice of fold {run.fold}, seed "
            f"{run.seed}. Licence of the images: {licence.rstrip('.')}."
        ),
    }


def _provenance(entry: Entry) -> list[Pair]:
    records, spec = entry.records, entry.specs[0]
    network = [("Network's source", spec.source), ("Scored weights", spec.weights or "")]
    if not records:
        return [pair for pair in network if pair[1]]
    dirty = sum(bool(each.code.git_dirty) for each in records)
    changed = f"; uncommitted changes in {dirty} of {len(records)} runs" if dirty else ""
    commits = _unlike(records, lambda each: each.code.git_commit or "unknown")
    times = [each.started for each in records] + [each.finished for each in records]
    folds = {each.spec.fold: each.spec.fold_hash for each in records}
    environment: list[tuple[str, Callable[[RunRecord], str]]] = [
        ("Device", lambda each: each.env.device),
        ("Processor", lambda each: f"{each.env.cpu}, {_threads(each.env.threads)}"),
        ("Platform", lambda each: each.env.platform),
        ("Python", lambda each: each.env.python),
        ("Packages", lambda each: ", ".join(f"{k} {v}" for k, v in each.env.packages.items())),
        ("CUDA", lambda each: each.env.cuda or ""),
        ("Driver", lambda each: each.env.driver or ""),
        ("Deterministic", lambda each: "yes" if each.env.deterministic else "no"),
    ]
    found = [
        ("covbench", _unlike(records, lambda each: each.code.version)),
        ("Commit", commits + changed),
        ("Class", _unlike(records, lambda each: each.code.network_class)),
        *network,
        *((name, _unlike(records, get)) for name, get in environment),
        ("Run", f"{min(times)} to {max(times)}"),
        ("Data", _unlike(records, lambda each: each.data.manifest_hash)),
        *((f"Fold {number}", folds[number]) for number in sorted(folds)),
    ]
    return [pair for pair in found if pair[1]]


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def _unlike(records: Iterable[RunRecord], get: Callable[[RunRecord], str]) -> str:
    """What runs have, each value once."""
    return "; ".join(dict.fromkeys(value for record in records if (value := get(record))))
