"""Rules on where runs come from: machine, packages, code."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reports.comparison import Entry
from reports.lint.finding import Finding, listed
from reports.lint.runs import Run, command, done, rows_or_table, runs_of
from reports.subject import Holdings, Subject
from results.record import RunRecord


@dataclass(frozen=True)
class Trait:
    """Something of a run that should be the same in every row, though scores hardly depend on it.

    Attributes:
        rule: Key of the rule.
        word: What stands before a value: `on`, `with`.
        value: The value of a run in words; None where it has none.
    """

    rule: str
    word: str
    value: Callable[[RunRecord], str | None]


def _machine(record: RunRecord) -> str:
    return record.env.cpu if record.env.device == "cpu" else record.env.device


def _threads(record: RunRecord) -> str:
    return f"{record.env.threads} CPU thread{'s' if record.env.threads > 1 else ''}"


def _code(record: RunRecord) -> str:
    code = record.code
    return f"covbench {code.version}, commit {(code.git_commit or 'unknown')[:7]}"


def _package(name: str) -> Callable[[RunRecord], str | None]:
    """The version of a package; a run had no use for one that was missing."""

    def version(record: RunRecord) -> str | None:
        found = record.env.packages.get(name)
        return f"{name} {found}" if found else None

    return version


_TRAITS = (
    Trait("code", "by", _code),
    Trait("machines", "on", _machine),
    Trait("threads", "with", _threads),
    Trait("packages", "with", lambda record: f"Python {record.env.python}"),
    Trait("packages", "with", lambda record: record.env.cuda and f"CUDA {record.env.cuda}"),
)


def traits(holdings: Holdings) -> Iterator[Finding]:
    """Rows that were run elsewhere, or by other versions, than the rows beside them."""
    packages = sorted({name for record in holdings.records for name in record.env.packages})
    of_packages = [Trait("packages", "with", _package(name)) for name in packages]
    for subject in holdings.subjects:
        for trait in (*_TRAITS, *of_packages):
            yield from _unequal(subject, trait)


def _unequal(subject: Subject, trait: Trait) -> Iterator[Finding]:
    """Rows whose values are not those that most rows have."""

    def values(entry: Entry) -> tuple[str, ...]:
        return tuple(sorted({v for record in entry.records if (v := trait.value(record))}))

    rows = {entry.label: values(entry) for entry in done(subject.comparison)}
    if len({value for own in rows.values() for value in own}) < 2:
        return
    (usual, _), *others = Counter(rows.values()).most_common()
    if not others:
        text = f"Every row has runs {trait.word} {_and(usual)}."
        yield Finding(trait.rule, "note", subject.name, (), text)
    for own, _ in others:
        labels = [label for label, found in rows.items() if found == own]
        beside = sorted({value for found in rows.values() if found != own for value in found})
        odd = {
            entry.label: runs_of(r for r in entry.records if trait.value(r) not in usual)
            for entry in done(subject.comparison)
            if entry.label in labels
        }
        yield Finding(
            trait.rule,
            "note",
            subject.name,
            tuple(sorted(labels)),
            f"Run {trait.word} {_and(own) or 'none'}; other rows {trait.word} {_and(beside)}.",
            _again(subject, odd),
        )


def uncommitted(holdings: Holdings) -> Iterator[Finding]:
    """Runs of code that was changed since its commit, so that nobody can get it back."""
    for subject in holdings.subjects:
        entries = done(subject.comparison)
        dirty = {
            entry.label: runs_of(record for record in entry.records if record.code.git_dirty)
            for entry in entries
        }
        if entries and all(dirty.values()):
            records = subject.comparison.records
            yield _uncommitted(subject, dirty, len(records))
            continue
        groups: dict[tuple[frozenset[Run], int], list[str]] = defaultdict(list)
        for entry in entries:
            groups[frozenset(dirty[entry.label]), len(entry.records)].append(entry.label)
        for (runs, total), rows in groups.items():
            if runs:
                yield _uncommitted(subject, {row: set(runs) for row in rows}, total)


def _uncommitted(subject: Subject, dirty: dict[str, set[Run]], total: int) -> Finding:
    rows = rows_or_table(subject.comparison, dirty)
    found = len(next(iter(dirty.values()))) if rows else sum(map(len, dirty.values()))
    return Finding(
        "uncommitted",
        "fault",
        subject.name,
        rows,
        f"{found} of {total} runs used code with uncommitted changes, which can't be had again.",
        _again(subject, dirty),
    )


def _again(subject: Subject, runs_by_row: dict[str, set[Run]]) -> str:
    """The command that does runs of some rows again; rows with the same runs go together."""
    rows: dict[frozenset[Run], list[str]] = defaultdict(list)
    for row, own in runs_by_row.items():
        rows[frozenset(own)].append(row)
    comparison = subject.comparison
    commands = []
    for runs, labels in rows.items():
        specs = [entry.specs[0] for entry in comparison.entries if entry.label in labels]
        commands.append(command(subject.root, comparison, specs, runs, "--force"))
    return " && ".join(filter(None, commands))


def _and(values: tuple[str, ...] | list[str]) -> str:
    return " and ".join(values) if len(values) == 2 else listed(values)
