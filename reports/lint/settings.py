"""Rules on what differs between the tables of a store: a row must not be spread over several."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

from benchmark.settings import format_value
from reports.lint.finding import Finding, listed
from reports.lint.runs import Run, command, done, in_words, runs_of, usual_runs
from reports.sentences import flat_settings
from reports.subject import Holdings, Subject
from results.record import RunRecord
from results.spec import RunSpec

KINDS = {
    "selection": ("run.select",),
    "precision": ("run.precision",),
    "empty masks": ("score.both_empty", "score.pred_empty"),
    "revisions": ("training_revision", "scoring_revision"),
    "data": ("data",),
}
"""What hardly shows in a table's title or in its scores, by the rule that watches it."""


def spread(holdings: Holdings) -> Iterator[Finding]:
    """Rows that lack runs here, which were done under other settings instead.

    A row's runs there that are just the ones that it lacks here were meant for this table. Where
    another row has such a run both here and there, the user really ran two protocols.
    """
    for here, there in permutations(holdings.subjects, 2):
        if not _related(here, there):
            continue
        for entry in done(here.comparison):
            spec = entry.records[0].spec
            own, strays = runs_of(entry.records), runs_of(_records(there, spec.row))
            lacks = {(fold, seed) for fold, _, seed in here.comparison.wanted} - own
            if not strays or not strays <= lacks or not _belongs(here, there, spec.row):
                continue
            if strays & _in_both(here, there):
                continue
            were, them = ("was", "it") if len(strays) == 1 else ("were", "them")
            yield Finding(
                "protocols",
                "fault",
                here.name,
                (entry.label,),
                f"{in_words(strays)} {were} run with {_changes(here, there)}, so that the row "
                f"lacks {them} here.",
                _again(here, there, [spec], strays),
            )


def parted(holdings: Holdings) -> Iterator[Finding]:
    """Tables that a user would read as one: each has rows that the other lacks.

    They are of the same data, task and protocol by their names, and differ in what `KINDS` lists
    alone; where more differs, they are two protocols, which is only said. A table that holds all
    rows is fair by itself.
    """
    for here, there in permutations(holdings.subjects, 2):
        names = {each.comparison.spec.protocol for each in (here, there)}
        own, specs = _specs(here), _specs(there)
        alone = sorted(specs.keys() - own.keys())
        if len(names) > 1 or not _related(here, there) or not alone or own.keys() <= specs.keys():
            continue
        changed = _changed(here, there).keys()
        found = {rule: changed & set(keys) for rule, keys in KINDS.items()}
        if changed - {key for keys in KINDS.values() for key in keys}:
            found = {"protocols": set(changed)}
        for rule, keys in found.items():
            if keys:
                yield Finding(
                    rule,
                    "note" if rule == "protocols" else "fault",
                    here.name,
                    (),
                    f"Other rows were run with {_changes(here, there, keys)}, and are not in this "
                    f"table: {listed(alone)}.",
                    _again(
                        here, there, [specs[each] for each in alone], usual_runs(here.comparison)
                    ),
                )


def _again(here: Subject, there: Subject, specs: list[RunSpec], runs: set[Run]) -> str:
    """The command that does runs of another table here; none where that has other data.

    Which of the two the dataset's name means today is not known to a store.
    """
    if here.comparison.spec.data_hash != there.comparison.spec.data_hash:
        return ""
    return command(here.root, here.comparison, specs, runs)


def _related(one: Subject, other: Subject) -> bool:
    """Whether two tables are of the same task on the same data, by their hash or their name."""
    first, second = one.comparison.spec, other.comparison.spec
    same_data = first.data_hash == second.data_hash or first.dataset == second.dataset
    return same_data and first.truth == second.truth


def _in_both(here: Subject, there: Subject) -> set[Run]:
    """The runs that some row has in both tables."""
    rows = _specs(here).keys() & _specs(there).keys()
    return {
        run for row in rows for run in runs_of(_records(here, row)) & runs_of(_records(there, row))
    }


def _belongs(here: Subject, there: Subject, row: str) -> bool:
    """Whether a row has its place in the one table rather than in the other: more runs of it."""

    def weight(subject: Subject) -> tuple[int, int, str]:
        records = subject.comparison.records
        return len(_records(subject, row)), len(records), subject.comparison.key

    return weight(here) > weight(there)


def _records(subject: Subject, row: str) -> list[RunRecord]:
    return [each for each in subject.comparison.records if each.spec.row == row]


def _specs(subject: Subject) -> dict[str, RunSpec]:
    """A spec of each row that has finished runs."""
    return {record.spec.row: record.spec for record in subject.comparison.records}


def _changed(here: Subject, there: Subject) -> dict[str, tuple[Any, Any]]:
    """What differs between two tables: there, and here."""
    before, after = (
        {**flat_settings(each.comparison.spec), "data": each.comparison.spec.data_hash[:8]}
        for each in (here, there)
    )
    return {
        key: (after.get(key), before.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def _changes(here: Subject, there: Subject, keys: set[str] | None = None) -> str:
    """The same in words: `optim.lr=0.01 (here 0.001)`."""
    return listed(
        f"{key}={format_value(other)} (here {format_value(own)})"
        for key, (other, own) in _changed(here, there).items()
        if keys is None or key in keys
    )
