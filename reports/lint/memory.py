"""A rule on trainings whose batches did not fit on the GPU and were taken in parts."""

from __future__ import annotations

from collections.abc import Iterator

from reports.lint.finding import Finding
from reports.lint.runs import done
from reports.subject import Holdings


def in_parts(holdings: Holdings) -> Iterator[Finding]:
    """Rows with runs that trained with fewer images at a time than a batch has."""
    for subject in holdings.subjects:
        for entry in done(subject.comparison):
            parts = [each.training.micro_batch for each in entry.records if each.training]
            found = [most for most in parts if most is not None]
            if not found:
                continue
            least = f"{min(found)} image{'s' if min(found) > 1 else ''}"
            which = "" if len(entry.records) == 1 else f"{len(found)} of {len(entry.records)} runs "
            text = (
                f"{which}trained with no more than {least} at a time, since GPU memory ran out. "
                "Gradients are those of whole batches, but batch normalisation saw fewer images."
            )
            text = text[:1].upper() + text[1:]
            yield Finding("memory", "note", subject.name, (entry.label,), text)
