"""Rules on the rows of one table: the same folds, the same images in them, the same seeds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from reports.comparison import Comparison, Entry
from reports.lint.finding import Finding, listed
from reports.lint.runs import (
    Run,
    command,
    done,
    in_words,
    putting_aside,
    rows_or_table,
    runs_of,
    usual_runs,
)
from reports.subject import Holdings
from results.spec import RunSpec


def changed_folds(holdings: Holdings) -> Iterator[Finding]:
    """Folds of one number that don't hold the same images in every row."""
    for subject in holdings.subjects:
        root, comparison = subject.root, subject.comparison
        for fold, rows_by_hash in hashes(comparison).items():
            if len(rows_by_hash) < 2:
                continue
            usual = _usual(rows_by_hash)
            if usual is None:
                held = "; ".join(
                    f"{key[:8]} in {listed(rows)}" for key, rows in sorted(rows_by_hash.items())
                )
                text = f"Fold {fold} does not hold the same images in every row: {held}."
                yield Finding("folds", "fault", subject.name, (), text)
                continue
            for key, rows in sorted(rows_by_hash.items()):
                if key != usual:
                    specs = [
                        record.spec
                        for entry in comparison.entries
                        for record in entry.records
                        if entry.label in rows and record.spec.fold_hash == key
                    ]
                    runs = {(spec.fold, spec.seed) for spec in specs}
                    yield Finding(
                        "folds",
                        "fault",
                        subject.name,
                        tuple(sorted(rows)),
                        f"Fold {fold} holds other images here ({key[:8]}) than in the other rows "
                        f"({usual[:8]}).",
                        putting_aside(
                            root,
                            specs,
                            command(root, comparison, specs, runs),
                        ),
                    )


def more_runs(holdings: Holdings) -> Iterator[Finding]:
    """Rows with folds or seeds that most others don't have."""
    for subject in holdings.subjects:
        root, comparison = subject.root, subject.comparison
        usual = usual_runs(comparison)
        for entry in done(comparison):
            extra = runs_of(entry.records) - usual
            if not extra:
                continue
            seeds = {seed for _, seed in extra} - {seed for _, seed in usual}
            folds = {fold for fold, _ in extra} - {fold for fold, _ in usual}
            others = [
                _spec(other) for other in comparison.entries if not extra <= runs_of(other.records)
            ]
            yield Finding(
                "seeds" if seeds and not folds else "folds",
                "fault",
                subject.name,
                (entry.label,),
                f"{in_words(extra)} {_counts(extra)} here, and not in most other rows.",
                command(root, comparison, others, extra),
            )


def fewer_runs(holdings: Holdings) -> Iterator[Finding]:
    """Rows that lack runs which most others have, and runs that failed."""
    for subject in holdings.subjects:
        root, comparison = subject.root, subject.comparison
        usual = usual_runs(comparison)
        for entry in comparison.entries:
            # Folds count by their number here: other images in one are told by `changed_folds`.
            failed = runs_of(entry.failures) - runs_of(entry.records)
            missing = usual - runs_of(entry.records) - failed
            if failed:
                why = listed(dict.fromkeys(failure.status for failure in entry.failures))
                yield Finding(
                    "failed",
                    "note",
                    subject.name,
                    (entry.label,),
                    f"{in_words(failed)} failed ({why}).",
                    command(root, comparison, [_spec(entry)], failed, "--retry-failed"),
                )
            if missing:
                yield Finding(
                    "incomplete",
                    "note",
                    subject.name,
                    (entry.label,),
                    f"{in_words(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
                    command(root, comparison, [_spec(entry)], missing),
                )


def sources(holdings: Holdings) -> Iterator[Finding]:
    """Networks of one label that are not the same."""
    for subject in holdings.subjects:
        root, comparison = subject.root, subject.comparison
        variants: dict[str, list[Entry]] = defaultdict(list)
        for entry in comparison.entries:
            variants[_spec(entry).row].append(entry)
        for entries in variants.values():
            if len(entries) > 1:
                yield Finding(
                    "sources",
                    "note",
                    subject.name,
                    tuple(entry.label for entry in entries),
                    f"The network's source changed between its runs: its {len(entries)} variants "
                    "are rows of their own.",
                    command(root, comparison, [_spec(entries[0])], usual_runs(comparison)),
                )


def given_weights(holdings: Holdings) -> Iterator[Finding]:
    """Rows that were not trained under the protocol of their table."""
    for subject in holdings.subjects:
        comparison = subject.comparison
        rows = [entry.label for entry in done(comparison) if _spec(entry).weights]
        if rows:
            yield Finding(
                "weights",
                "note",
                subject.name,
                rows_or_table(comparison, rows),
                "The weights were given and scored: they were not trained under this protocol.",
            )


def hashes(comparison: Comparison) -> dict[int, dict[str, set[str]]]:
    """The rows that have a fold with certain images, by the fold's number and hash."""
    found: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for entry in done(comparison):
        for record in entry.records:
            found[record.spec.fold][record.spec.fold_hash].add(entry.label)
    return found


def _usual(rows_by_hash: dict[str, set[str]]) -> str | None:
    """The hash that more rows have than any other, or None where there is none."""
    counts = Counter({key: len(rows) for key, rows in rows_by_hash.items()}).most_common(2)
    return counts[0][0] if counts[0][1] > counts[1][1] else None


def _spec(entry: Entry) -> RunSpec:
    return entry.specs[0]


def _counts(runs: set[Run]) -> str:
    return "counts" if len(runs) == 1 else "count"
