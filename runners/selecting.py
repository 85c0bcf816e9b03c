"""From the words after --models and --rows to the rows of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.errors import CovbenchError
from zoo.registry import cards, get_card
from zoo.selection import Row, select


@dataclass(frozen=True)
class Choice:
    """The chosen rows, and the user's files and entry points that workers must load again."""

    rows: tuple[Row, ...]
    plugins: tuple[str, ...]


def choose_rows(models: Sequence[str] | None, table: str | None = None) -> Choice:
    """Work out the rows that a command asks for.

    Args:
        models: The words after --models.
        table: The name after --rows: a published table.

    Returns:
        The rows in the order asked for.

    Raises:
        CovbenchError: Neither or both are given, or a name is unknown.
    """
    if bool(models) == bool(table):
        raise CovbenchError(
            "Which networks?" if not models else "--models and --rows exclude each other.",
            "Give --models, such as all, @demo or unet,miniseg (or --rows miniseg-table3).",
        )
    if table:
        return Choice(tuple(_rows_of(table)), ())
    rows = tuple(select(models or []))
    origins = (get_card(row.name).origin for row in rows)
    return Choice(rows, tuple(dict.fromkeys(origin for origin in origins if origin)))


def _rows_of(table: str) -> list[Row]:
    """The rows of a published table whose networks are here; `weights=imagenet` where it says so.

    Raises:
        CovbenchError: No such table, or none of its networks is here.
    """
    from results.published import published_table

    published = published_table(table)
    here = cards()
    rows = []
    for method in published.rows:
        card = here.get(method.network)
        if card is None:
            continue
        pretrained = method.imagenet and "weights" in card.options
        rows.append(Row(card.name, (("weights", "imagenet"),) if pretrained else ()))
    return rows
