"""The contract of a model, which every network of the zoo keeps (`zoo.clauses`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from zoo.cards import Card
from zoo.clauses import CLAUSES, Subject, one_line
from zoo.errors import CovbenchError
from zoo.registry import get_card
from zoo.selection import Row, select


@dataclass(frozen=True)
class ClauseResult:
    """Whether a network keeps one clause.

    Attributes:
        clause: What is asked.
        passed: Whether it is so.
        detail: One line: what was found, and what to do where it was not so.
    """

    clause: str
    passed: bool
    detail: str


def check_model(model: str | Card | Row) -> list[ClauseResult]:
    """Check one network against the contract.

    Args:
        model: Its name, as a selection writes it; its card; or a row with options.

    Returns:
        One result for each clause, in a fixed order. An exception inside a clause is a clause that
        is not kept.

    Raises:
        CovbenchError: The name is unknown or means several networks.
    """
    if isinstance(model, Card):
        subject = Subject(model, {})
    else:
        row = model if isinstance(model, Row) else _only(model)
        subject = Subject(get_card(row.name), dict(row.options))
    with torch.random.fork_rng(devices=[]):
        return [_result(subject, clause, check) for clause, check in CLAUSES]


def _result(subject: Subject, clause: str, check: Callable[[Subject], str]) -> ClauseResult:
    try:
        return ClauseResult(clause, True, check(subject))
    except Exception as error:
        return ClauseResult(clause, False, one_line(error))


def _only(selection: str) -> Row:
    rows = select(selection)
    if len(rows) > 1:
        names = ", ".join(row.label for row in rows)
        raise CovbenchError(f"{selection} means several networks: {names}.", "Name one of them.")
    return rows[0]
