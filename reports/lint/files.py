"""Rules on the files of a store: damaged, edited, or recorded twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from reports.comparison import Comparison
from reports.lint.finding import Finding
from reports.lint.runs import command, in_words
from reports.subject import Holdings, Subject
from results.files import parse_json
from results.record import RunRecord
from results.spec import RunSpec
from zoo.errors import CovbenchError
from zoo.limits import read_limited


def damaged(holdings: Holdings) -> Iterator[Finding]:
    """Records that can't be read, or were altered after they were written."""
    for each in holdings.damaged:
        spec = _spec_in(each.path)
        yield Finding(
            "damaged",
            "fault",
            "",
            (),
            f"The record {each.path} is left out: {each.reason}.",
            _again(holdings, spec) if spec else "",
        )


def scores_left_out(holdings: Holdings) -> Iterator[Finding]:
    """Runs whose per-image scores are missing or are not those of their record."""
    read = {record.spec.id for record in holdings.cases.records}
    for each in holdings.cases.left_out:
        if each.spec is None or each.spec.id in read:  # a damaged record; a copy of a whole run
            continue
        subject = _subject(holdings, each.spec)
        yield Finding(
            "cases",
            "fault",
            subject.name if subject else "",
            tuple(_labels(subject, each.spec)) if subject else (),
            f"The per-image scores in {each.path} are left out: {each.reason}.",
            _again(holdings, each.spec, "--force"),
        )


def copies(holdings: Holdings) -> Iterator[Finding]:
    """Runs of which the store holds several records with different numbers."""
    records: dict[str, list[RunRecord]] = defaultdict(list)
    for record in holdings.records:
        records[record.spec.id].append(record)
    for own in records.values():
        spec = own[0].spec
        subject = _subject(holdings, spec)
        if subject and any(_numbers(record) != _numbers(own[0]) for record in own):
            run = in_words([(spec.fold, spec.seed)])
            yield Finding(
                "copies",
                "fault",
                subject.name,
                tuple(_labels(subject, spec)),
                f"{run} has {len(own)} records whose numbers differ; one of them is shown.",
            )


def _numbers(record: RunRecord) -> tuple[object, ...]:
    return record.scores, record.counts, record.data


def _spec_in(path: Path) -> RunSpec | None:
    """What a damaged record says that was run, as far as it can be read."""
    try:
        return RunSpec.model_validate(parse_json(read_limited(path, "record_bytes"))["spec"])
    except (OSError, ValueError, KeyError, TypeError, CovbenchError):
        return None


def _subject(holdings: Holdings, spec: RunSpec) -> Subject | None:
    key = Comparison(spec, ()).key
    return next((each for each in holdings.subjects if each.comparison.key == key), None)


def _labels(subject: Subject, spec: RunSpec) -> Iterator[str]:
    """The row that has a run."""
    for entry in subject.comparison.entries:
        if any(each.id == spec.id for each in entry.specs):
            yield entry.label


def _again(holdings: Holdings, spec: RunSpec, *flags: str) -> str:
    """The command that does a run again."""
    return command(holdings.root, Comparison(spec, ()), [spec], [(spec.fold, spec.seed)], *flags)
