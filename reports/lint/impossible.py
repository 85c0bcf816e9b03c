"""Rules on numbers: a record by itself, against its cases.csv, and against the rows beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.metrics import METRICS, Confusion, InconsistentScores, aggregate
from benchmark.metrics.aggregate import pooled_counts
from benchmark.metrics.cases import overlaps_of, status_of
from benchmark.protocols.sections import ScoreRule
from reports.comparison import Comparison
from reports.lint.finding import Finding, listed
from reports.lint.numbers import contradictions, differ, impossible_scores, number
from reports.lint.runs import command, done, in_words, rows_or_table
from reports.subject import Holdings
from reports.transfer import transfers
from results.cases import cases_name
from results.record import RunRecord
from results.spec import SCORING_REVISION

Line = dict[str, Any]
_SHOWN = 2


def impossible(holdings: Holdings) -> Iterator[Finding]:
    """Runs whose numbers contradict each other, which a valid SHA-256 does not rule out."""
    lines = _lines(holdings)
    for subject in holdings.subjects:
        comparison = subject.comparison
        for entry in done(comparison):
            for record in entry.records:
                problems = _problems(record, lines.get(record.spec.id), comparison)
                if problems:
                    run = (record.spec.fold, record.spec.seed)
                    yield Finding(
                        "impossible",
                        "fault",
                        subject.name,
                        (entry.label,),
                        f"{in_words([run])} has numbers that can't be: {listed(problems, _SHOWN)}.",
                        command(subject.root, comparison, [record.spec], [run], "--force"),
                    )


def impossible_transfers(holdings: Holdings) -> Iterator[Finding]:
    """The same of tests on data that a network was not trained on."""
    lines = _lines(holdings)
    for transfer in transfers(holdings.records):
        for (trained, tested), records in transfer.tests.items():
            for record in records:
                problems = _problems(record, lines.get(record.spec.id), transfer.comparison)
                if problems:
                    yield Finding(
                        "impossible",
                        "fault",
                        transfer.name,
                        (transfer.names[trained],),
                        f"The test {record.spec.folder} on {transfer.names[tested]} has numbers "
                        f"that can't be: {listed(problems, _SHOWN)}.",
                    )


def _problems(
    record: RunRecord, lines: Mapping[str, Sequence[Line]] | None, comparison: Comparison
) -> list[str]:
    """What can't be of a run's numbers; `lines` by what was segmented."""
    against = [
        problem
        for target, own in (lines or {}).items()
        for problem in _against_cases(record, target, own, comparison)
    ]
    return [*contradictions(record), *impossible_scores(record), *against]


def other_truth(holdings: Holdings) -> Iterator[Finding]:
    """Runs that were scored on other masks than the rows beside them, on the same fold."""
    for subject in holdings.subjects:
        comparison = subject.comparison
        folds: dict[tuple[int, str], list[tuple[str, RunRecord]]] = defaultdict(list)
        for entry in done(comparison):
            for record in entry.records:
                folds[record.spec.fold, record.spec.fold_hash].append((entry.label, record))
        for (fold, _), runs in folds.items():
            truths = Counter(_truth(record) for _, record in runs).most_common()
            if len(truths) < 2:
                continue
            told = truths[0][1] > truths[1][1]  # else nobody knows who is right
            odd = [(row, r) for row, r in runs if not told or _truth(r) != truths[0][0]]
            again = [
                command(subject.root, comparison, [r.spec], [(fold, r.spec.seed)], "--force")
                for _, r in odd
            ]
            yield Finding(
                "truth",
                "fault",
                subject.name,
                rows_or_table(comparison, {row for row, _ in odd}),
                f"Fold {fold} was scored on other images or masks than in other runs: the numbers "
                "of images, or of true pixels, differ.",
                " && ".join(filter(None, again)),
            )


def _truth(record: RunRecord) -> tuple[object, ...]:
    """What the truth alone decides: images, and pixels of foreground and background."""
    pixels = tuple(
        (target, counts.tp + counts.fn, counts.fp + counts.tn)
        for target, counts in sorted(record.counts.items())
    )
    return record.data.n_train, record.data.n_test, pixels


def _lines(holdings: Holdings) -> dict[str, dict[str, list[Line]]]:
    """The lines of each run's per-image scores, by its id and what was segmented."""
    first = {record.spec.id: next(iter(record.scores)) for record in holdings.cases.records}
    lines: dict[str, dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for target, cases in [("", holdings.cases), *holdings.class_cases.items()]:
        for line in cases.frame.to_dict("records"):
            run = str(line["run"])
            own = {str(name): value for name, value in line.items()}
            lines[run][target or first[run]].append(own)
    return lines


def _against_cases(
    record: RunRecord, target: str, lines: Sequence[Line], comparison: Comparison
) -> Iterator[str]:
    """Where a record does not follow from its per-image scores, or these from their counts."""
    name = cases_name(list(record.scores), target)
    if len({line["id"] for line in lines}) < len(lines):
        yield f"its {name} names an image twice"
    if len(lines) != record.data.n_test:
        yield f"its {name} has {len(lines)} images, and {record.data.n_test} were tested"
    protocol = comparison.protocol
    if protocol is None or record.spec.scoring_revision != SCORING_REVISION:
        return  # scored by rules that this covbench does not know
    try:
        counts = pooled_counts(lines)
        expected = aggregate(lines, [str(line["group"]) for line in lines], protocol.score)
        wrong = [str(line["id"]) for line in lines if _wrong(line, protocol.score)]
    except (InconsistentScores, KeyError, ValueError):
        yield f"its {name} has no pixel counts that can be added up"
        return
    if wrong:
        yield f"its {name} has scores that don't follow from an image's counts ({listed(wrong)})"
    own = record.counts.get(target)
    if own is not None and Confusion(own.tp, own.fp, own.fn, own.tn) != counts:
        yield f"its pixel counts are not the sum of those in its {name}"
    for key, score in record.scores[target].items():
        if key not in expected or METRICS[key].aggregation == "pooled":
            continue
        made = expected[key]
        label = METRICS[key].label
        if differ(score.value, made.value):
            yield f"{label} is {number(score.value)} where its {name} gives {number(made.value)}"
        elif (score.n, score.undefined, score.penalised) != (
            made.n,
            made.undefined,
            made.penalised,
        ):
            yield f"{label} counts other images as defined or penalised than its {name}"


def _wrong(line: Line, rule: ScoreRule) -> bool:
    """Whether an image's ratios are not those of its pixel counts."""
    counts = Confusion(*(int(line[name]) for name in ("tp", "fp", "fn", "tn")))
    status = status_of(counts)
    if min(counts.tp, counts.fp, counts.fn, counts.tn) < 0 or line["status"] != status:
        return True
    expected = overlaps_of(counts, status, rule)
    return any(name in line and differ(line[name], value) for name, value in expected.items())
