"""The fairness lint: what makes the rows of one table unequal, and which numbers can't be."""

from __future__ import annotations

from reports.lint.files import copies, damaged, scores_left_out
from reports.lint.finding import Finding, ReportRefused, Severity, footnotes, refuse, table_notes
from reports.lint.grid import changed_folds, fewer_runs, given_weights, more_runs, sources
from reports.lint.impossible import impossible, impossible_transfers, other_truth
from reports.lint.leak import leaks, transfer_leaks
from reports.lint.memory import in_parts
from reports.lint.origin import traits, uncommitted
from reports.lint.settings import parted, spread
from reports.subject import Holdings

__all__ = ["Finding", "ReportRefused", "Severity", "footnotes", "lint", "refuse", "table_notes"]

RULES = (
    *(damaged, scores_left_out, copies),
    *(impossible, impossible_transfers, other_truth),
    *(leaks, transfer_leaks),
    *(spread, changed_folds, more_runs, parted),
    uncommitted,
    *(fewer_runs, sources, given_weights, in_parts),
    traits,
)
"""In the order in which their findings are told: what makes numbers wrong comes first."""


def lint(holdings: Holdings) -> tuple[Finding, ...]:
    """Find what makes rows of one table unequal, and what can't be.

    Args:
        holdings: What a store holds.

    Returns:
        The findings, each once. Of a clean store there is none.
    """
    found = (finding for rule in RULES for finding in rule(holdings))
    return tuple(dict.fromkeys(found))
