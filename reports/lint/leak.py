"""The rule on patients: none may stand in training and in test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reports.lint.finding import Finding, listed
from reports.lint.grid import hashes
from reports.sides import named
from reports.subject import Holdings, Subject
from reports.transfer import transfers

Leaks = dict[str, set[int]]
"""The folds on both sides of which a patient stands, by patient."""


def leaks(holdings: Holdings) -> Iterator[Finding]:
    """Patients whose images stand in training and in test."""
    for subject in holdings.subjects:
        found = _recorded(subject)
        known = {patient for own in found.values() for patient in own}
        for patient, folds in _tested_twice(holdings, subject).items():
            if patient not in known:
                found[()][patient] = folds
        for rows, own in found.items():
            if own:
                yield Finding("leak", "fault", subject.name, rows, _text(own))
        records = subject.comparison.records
        if not any(found.values()) and not all(each.data.groups_disjoint for each in records):
            yield Finding(
                "leak",
                "note",
                subject.name,
                (),
                "The patients of some images are not known: images of one patient may stand on "
                "both sides of a fold.",
            )


def transfer_leaks(holdings: Holdings) -> Iterator[Finding]:
    """Patients who were trained on in one dataset and tested in another."""
    for transfer in transfers(holdings.records):
        for (trained, tested), records in transfer.tests.items():
            row, name = (transfer.names[trained],), transfer.names[tested]
            shared = sorted({group for each in records for group in each.data.shared_groups})
            if shared:
                have = "group has" if len(shared) == 1 else "groups have"
                yield Finding(
                    "leak",
                    "fault",
                    transfer.name,
                    row,
                    f"{len(shared)} {have} a name in {name} that was trained on here "
                    f"({listed(shared)}): if these are the same patients, the scores on {name} are "
                    "too high.",
                )
            elif not all(each.data.groups_disjoint for each in records):
                yield Finding(
                    "leak",
                    "note",
                    transfer.name,
                    row,
                    f"Whether patients of {name} were trained on here is not known.",
                )


def _recorded(subject: Subject) -> dict[tuple[str, ...], Leaks]:
    """What records name, by the rows that have such folds; none where those are all rows."""
    shared: dict[str, set[str]] = defaultdict(set)
    for record in subject.comparison.records:
        shared[record.spec.fold_hash] |= set(record.data.shared_groups)
    found: dict[tuple[str, ...], Leaks] = {(): {}}
    for fold, rows_by_hash in hashes(subject.comparison).items():
        for key, rows in rows_by_hash.items():
            own = found.setdefault(() if len(rows_by_hash) == 1 else tuple(sorted(rows)), {})
            for patient in shared[key]:
                own.setdefault(patient, set()).add(fold)
    return found


def _tested_twice(holdings: Holdings, subject: Subject) -> Leaks:
    """Patients who are tested in several folds, where a fold trains on what all others test."""
    split = subject.comparison.spec.settings.get("split")
    if not isinstance(split, dict) or split.get("kind") != "folds":
        return {}
    frame = holdings.cases.frame
    own = frame[frame["run"].isin({record.spec.id for record in subject.comparison.records})]
    folds: Leaks = defaultdict(set)
    for patient, fold in zip(own["group"], own["fold"], strict=True):
        folds[patient].add(int(fold))
    return {patient: where for patient, where in folds.items() if len(where) > 1}


def _text(found: Leaks) -> str:
    patients = sorted(found)
    folds = sorted({fold for own in found.values() for fold in own})
    stand = "patient stands" if len(patients) == 1 else "patients stand"
    return (
        f"{len(patients)} {stand} on both sides of {named('fold', folds)} ({listed(patients)}), "
        "so that the scores are too high for new patients."
    )
