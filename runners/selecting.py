"""From the words after --models and --rows to the rows of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results.published import method_of, published_table
from zoo.errors import CovbenchError
from zoo.registry import cards, get_card
from zoo.selection import Row, select


@dataclass(frozen=True)
class Choice:
    """What a command asks for.

    Attributes:
        rows: The chosen rows.
        plugins: The user's files and entry points, which workers must load again.
        missing: Rows of a published table whose network, or its weights, are not here.
    """

    rows: tuple[Row, ...]
    plugins: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


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
        return _rows_of(table)
    rows = tuple(select(models or []))
    origins = (get_card(row.name).origin for row in rows)
    return Choice(rows, tuple(dict.fromkeys(origin for origin in origins if origin)))


def _rows_of(table: str) -> Choice:
    """The rows of a published table, with `weights=imagenet` where it says so.

    Raises:
        CovbenchError: No such table, or none of its networks is here.
    """
    here = cards()
    rows, missing = [], []
    for printed in published_table(table).rows:
        card = here.get(printed.get("network", ""))
        pretrained = printed.get("imagenet") == "yes"
        if card is None or (pretrained and "weights" not in card.options):
            method = method_of(printed)
            missing.append(f"{method} (ImageNet)" if pretrained else method)
        else:
            rows.append(Row(card.name, (("weights", "imagenet"),) if pretrained else ()))
    if not rows:
        raise CovbenchError(
            f"None of the networks of {table} is here.", "Tables with networks: miniseg-table3."
        )
    return Choice(tuple(dict.fromkeys(rows)), missing=tuple(missing))
