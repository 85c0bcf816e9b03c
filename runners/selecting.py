"""From the words after --models and --rows to the rows of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from results.published import method_of, published_table
from runners.trial import try_files
from zoo.errors import CovbenchError
from zoo.pretrained import check_word
from zoo.registry import cards, get_card
from zoo.selection import Row, Scalar, passed_over, select

CASCADES = {"chsnet": "raiunet"}
"""Rows that are cascades by name, and the network that plays both of their parts."""


@dataclass(frozen=True)
class Choice:
    """What a command asks for.

    Attributes:
        rows: The chosen rows.
        plugins: The user's files and entry points, which workers must load again.
        missing: Rows of a published table whose network, or its weights, are not here.
        scratch: Networks that were to start from given weights and take none.
        joined: Networks that are run as cascades, for the rows that are cascades by name.
        apart: Networks of a group that can't be trained by themselves, and were left out.
        uninstalled: Networks of a group that were left out, since packages of theirs are missing.
        packages: Those packages, as pip names them.
    """

    rows: tuple[Row, ...]
    plugins: tuple[str, ...] = ()
    joined: tuple[Row, ...] = ()
    missing: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    uninstalled: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def choose_rows(
    models: Sequence[str] | None, table: str | None = None, weights: str | None = None
) -> Choice:
    """Work out the rows that a command asks for.

    Args:
        models: The words after --models.
        table: The name after --rows: a published table.
        weights: What --weights says: "imagenet", or a .safetensors file of an encoder. It holds
            for every network that can start from such weights, unless its own brackets say more.

    Returns:
        The rows in the order asked for.

    Raises:
        CovbenchError: Neither or both are given, a name is unknown, no network takes the weights,
            or all that is named can't be trained by itself.
    """
    if bool(models) == bool(table):
        raise CovbenchError(
            "Which networks?" if not models else "--models and --rows exclude each other.",
            "Give --models, such as all, @demo or unet,miniseg (or --rows miniseg-table3).",
        )
    if table and weights:
        raise CovbenchError(
            "--rows and --weights exclude each other.",
            "The rows of a table say themselves which networks start from ImageNet.",
        )
    if table:
        return _rows_of(table)
    try_files(models or [])
    chosen = select(models or [])
    joined = [row for row in chosen if row.name in CASCADES]
    rows = [row for row in chosen if get_card(row.name).trainable]
    apart = [row.name for row in chosen if row not in rows and row not in joined]
    if not rows and not joined:
        raise CovbenchError(
            f"{apart[0]} can't be trained by itself.",
            f"`covbench models {apart[0]}` says which networks it is joined of: train those.",
        )
    scratch: list[str] = []
    if weights is not None:
        rows, scratch = _started_from(weights, rows)
    origins = (get_card(row.name).origin for row in rows)
    left_out = passed_over(models or [])
    return Choice(
        tuple(rows),
        tuple(dict.fromkeys(origin for origin in origins if origin)),
        joined=tuple(Row(CASCADES[row.name], row.options) for row in joined),
        scratch=tuple(scratch),
        apart=tuple(apart),
        uninstalled=tuple(left_out),
        packages=tuple(sorted({each for missing in left_out.values() for each in missing})),
    )


def _started_from(weights: str, rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The rows with these weights where they take any, and the names of those that don't."""
    if not weights.endswith(".safetensors"):
        check_word(weights)
    elif not Path(weights).is_file():
        raise CovbenchError(f"There is no weights file {weights}.", "Check the path.")
    started, scratch = [], []
    for row in rows:
        options: dict[str, Scalar] = dict(row.options)
        if "weights" in get_card(row.name).options:
            options.setdefault("weights", weights)
            started.append(Row(row.name, tuple(sorted(options.items()))))
        else:
            scratch.append(row.name)
            started.append(row)
    if len(scratch) == len(rows):
        raise CovbenchError(
            f"None of the networks takes pretrained weights: {', '.join(scratch)}.",
            "Leave --weights out, or choose networks that `covbench models NAME` shows weights of.",
        )
    return started, scratch


def _rows_of(table: str) -> Choice:
    """The rows of a published table, with `weights=imagenet` where it says so.

    Raises:
        CovbenchError: No such table, or none of its networks is here.
    """
    here = cards()
    rows, joined, missing, apart = [], [], [], []
    for printed in published_table(table).rows:
        card = here.get(printed.get("network", ""))
        pretrained = printed.get("imagenet") == "yes"
        if card is None or (pretrained and "weights" not in card.options):
            method = method_of(printed)
            missing.append(f"{method} (ImageNet)" if pretrained else method)
        elif card.name in CASCADES:
            joined.append(Row(CASCADES[card.name]))
        elif not card.trainable:
            apart.append(card.name)
        else:
            rows.append(Row(card.name, (("weights", "imagenet"),) if pretrained else ()))
    if not rows:
        raise CovbenchError(
            f"None of the networks of {table} is here.", "Tables with networks: miniseg-table3."
        )
    return Choice(
        tuple(dict.fromkeys(rows)),
        joined=tuple(dict.fromkeys(joined)),
        missing=tuple(missing),
        apart=tuple(apart),
    )
