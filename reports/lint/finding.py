"""A finding of the lint: as a footnote of a row, as a note of a table, as a refusal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from zoo.errors import CovbenchError

Severity = Literal["note", "fault"]
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """Something that makes rows of a table unequal, or a number that can't be.

    Attributes:
        rule: Short key of the rule that found it, such as `folds`, `code`, `leak`, `impossible`.
        severity: A fault makes `--strict` refuse; a note is only said.
        subject: Name of the subject that it is about; empty for the store.
        rows: Labels of the rows; none where it is about a whole table.
        text: One whole sentence. It does not name its rows, so that it can be their footnote.
        rerun: The command that would mend it; empty where none can.
    """

    rule: str
    severity: Severity
    subject: str
    rows: tuple[str, ...]
    text: str
    rerun: str = ""

    def __str__(self) -> str:
        return f"{listed(self.rows)}: {self.text}" if self.rows else self.text


class ReportRefused(CovbenchError):
    """A report was asked for with `--strict`, and its rows are unequal."""

    exit_code = 3


def footnotes(findings: Iterable[Finding], subject_name: str) -> dict[str, tuple[str, ...]]:
    """What is to be said of single rows.

    Args:
        findings: What the lint found.
        subject_name: `Subject.name` of the table.

    Returns:
        Sentences by the row's label; rows of which there is nothing to say are left out.
    """
    found: dict[str, dict[str, None]] = {}
    for finding in findings:
        if finding.subject == subject_name:
            for row in finding.rows:
                found.setdefault(row, {})[finding.text] = None
    return {row: tuple(texts) for row, texts in found.items()}


def table_notes(findings: Iterable[Finding], subject_name: str) -> tuple[str, ...]:
    """What is to be said of a whole table, and of its store.

    Args:
        findings: What the lint found.
        subject_name: `Subject.name` of the table.

    Returns:
        Sentences, each once.
    """
    return tuple(
        dict.fromkeys(
            finding.text
            for finding in findings
            if not finding.rows and finding.subject in ("", subject_name)
        )
    )


def refuse(findings: Iterable[Finding]) -> None:
    """Refuse a report that holds faults.

    Args:
        findings: What the lint found.

    Raises:
        ReportRefused: There is a fault. The first three are named, and how to mend them.
    """
    faults = [finding for finding in findings if finding.severity == "fault"]
    if not faults:
        return
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    shown = " ".join(map(str, faults[:_SHOWN]))
    more = f" And {len(faults) - _SHOWN} more." if len(faults) > _SHOWN else ""
    commands = dict.fromkeys(finding.rerun for finding in faults[:_SHOWN] if finding.rerun)
    mend = f"Run {'; '.join(f'`{each}`' for each in commands)}. " if commands else ""
    raise ReportRefused(
        f"--strict refuses this report for {count}: {shown}{more}",
        f"{mend}`covbench report` without --strict prints them all as footnotes.",
    )


def listed(words: Iterable[object], most: int = _SHOWN) -> str:
    """Words in one line: `a, b, c and 4 more`."""
    known = list(map(str, words))
    shown, rest = known[:most], len(known) - most
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")
