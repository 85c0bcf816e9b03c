"""`covbench models`, `datasets` and `protocols`: what there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runners.cli import options
from runners.cli.tables import print_fields, print_table

if TYPE_CHECKING:
    from zoo.cards import Card
    from zoo.selection import Row


def models(
    selection: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SELECTION",
            help="Names, globs, !glob, @tag, all, ./file.py[:Class], smp:arch/encoder; all by "
            "default. One exact name shows its whole card.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """List networks; with one exact name, show all that is known of it."""
    from runners.trial import try_files
    from zoo.registry import cards, get_card
    from zoo.selection import Row, select

    terms = selection or ["all"]
    try_files(terms)
    # The card of a network can be read even where its packages are missing.
    rows = [Row(terms[0])] if len(terms) == 1 and terms[0] in cards() else select(terms)
    shown = [(row, get_card(row.name)) for row in rows]
    if as_json:
        options.print_json(_model(*each) for each in shown)
    elif len(shown) == 1 and _is_exact(terms):
        _print_card(*shown[0])
    else:
        print_table(
            ("name", "parameters", "GMACs", "paper", "year", "tags", "source"),
            [
                (
                    row.label,
                    _number(_params(row, card)),
                    _giga(card.macs if not row.options else None),
                    card.paper,
                    card.year or "",
                    ", ".join(sorted(card.tags)),
                    card.source,
                )
                for row, card in shown
            ],
            right=("parameters", "GMACs"),
            cut=("paper",),
        )
        _print_notes()
    return 0


def _is_exact(terms: list[str]) -> bool:
    """Whether a selection is one name rather than what may mean several."""
    name = terms[0].partition("[")[0]
    return len(terms) == 1 and name != "all" and name[0] not in "@!" and not set(name) & set("*?,")


def _params(row: Row, card: Card) -> int | None:
    """The number of parameters of a row: the card's, or counted; None where it can't be built."""
    if card.params is not None and not row.options:
        return card.params
    import torch

    from zoo.registry import build, missing_packages

    if missing_packages(card):
        return None
    settings: dict[str, Any] = dict(row.options)
    try:
        with torch.device("meta"):
            model = build(card, **settings)
    except Exception:  # whatever a user's network raises; `covbench check` says it
        return None
    return sum(each.numel() for each in model.parameters())


def _model(row: Row, card: Card) -> dict[str, Any]:
    """A network for JSON."""
    from zoo.source import licences

    plain = (bool, int, float, str, type(None))
    given = card.options | dict(row.options)
    return {
        "name": row.label,
        "params": _params(row, card),
        "macs": card.macs if not row.options else None,
        "paper": card.paper,
        "reference": card.reference,
        "year": card.year,
        "tags": sorted(card.tags),
        "rows": list(card.rows),
        "divisor": card.divisor,
        "min_size": card.min_size,
        "batch1": card.batch1,
        "trainable": card.trainable,
        "licence": "; ".join(licences(card)),
        "weights": card.weights,
        "options": {key: v if isinstance(v, plain) else repr(v) for key, v in given.items()},
        "notes": card.notes,
        "published": card.published,
        "source": card.source,
    }


def _print_card(row: Row, card: Card) -> None:
    """All that is known of one network."""
    from zoo.registry import missing_packages
    from zoo.selection import Row
    from zoo.source import licences

    size = f"multiples of {card.divisor}, " if card.divisor > 1 else ""
    padded = "; smaller and other sizes are padded and cropped back"
    settings = [Row("", ((key, value),)).label.strip("[]") for key, value in card.options.items()]
    missing = " ".join(missing_packages(card))
    needs = ", ".join(card.requires) + (f" (pip install {missing})" if missing else "")
    released = card.released
    print_fields(
        (
            ("name", row.label),
            ("paper", card.paper),
            ("reference", card.reference),
            ("year", card.year),
            ("table rows", ", ".join(card.rows)),
            ("parameters", _number(_params(row, card))),
            ("multiply-adds", f"{_giga(card.macs)} G at 3x512x512" if card.macs else ""),
            ("input size", f"{size}at least {card.min_size}x{card.min_size}{padded}"),
            ("batch of one", "trains" if card.batch1 else "can't train"),
            ("options", ", ".join(settings) or "none"),
            ("tags", ", ".join(sorted(card.tags))),
            ("notes", card.notes),
            ("published", card.published),
            ("code", "; ".join(licences(card))),
            ("weights=imagenet", card.weights),
            ("released", f"{released.origin}; protocol {released.protocol}" if released else ""),
            ("needs", needs),
            ("source", card.origin or card.source),
        )
    )


def _print_notes() -> None:
    """What the list leaves out: plug-ins, open patterns, networks whose packages are missing."""
    from zoo.plugins import entry_points
    from zoo.registry import cards, missing_packages, patterns

    print()
    forms = ", ".join(pattern.form for pattern in patterns().values())
    if forms:
        print(f"Also, by name: {forms}, ./my_net.py")
    plugins = ", ".join(sorted(entry_points()))
    if plugins:
        print(f"Installed plug-ins, loaded when named: {plugins}")
    hidden = {
        name: missing for name, card in cards().items() if (missing := missing_packages(card))
    }
    if hidden:
        packages = " ".join(sorted({package for each in hidden.values() for package in each}))
        print(f"Not shown: {', '.join(sorted(hidden))}. pip install {packages}")


def _giga(macs: int | None) -> str:
    """Multiply-adds in thousands of millions."""
    return "" if macs is None else f"{macs / 1e9:.2f}"


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def datasets(as_json: options.Json = False) -> int:
    """List datasets: what they are, whether they are prepared, and how to get them."""
    from benchmark.datasets import data_root
    from runners.holdings import holdings

    found = holdings()
    if as_json:
        options.print_json(each.as_dict() for each in found)
        return 0
    print_table(
        ("name", "what", "prepared", "how to get it", "licence"),
        [(each.name, each.title, each.summary, each.obtain, each.licence) for each in found],
    )
    print(f"\nPrepared datasets are in {data_root()} (set COVBENCH_DATA for another folder).")
    return 0


def protocols(
    name: Annotated[
        str | None,
        typer.Argument(help="A shipped protocol, or a path to your own TOML.", show_default=False),
    ] = None,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """List the protocols; with a name, show all of its settings as TOML."""
    from benchmark.protocols import list_protocols, load_protocol

    shown = [load_protocol(name)] if name else list_protocols()
    if as_json:
        options.print_json(protocol.model_dump(mode="json") for protocol in shown)
    elif name:
        _print_toml(shown[0].model_dump(mode="json"))
    else:
        print_table(("name", "what"), [(each.name, each.description) for each in shown])
        print("\n`covbench protocols NAME` shows all settings; --set key=value changes one.")
    return 0


def _print_toml(settings: dict[str, Any]) -> None:
    """The settings as a protocol file has them; TOML has no null, so "none" stands for it."""
    for key, value in settings.items():
        if not isinstance(value, dict):
            print(f"{key} = {_toml(value)}")
    for section, fields in settings.items():
        if isinstance(fields, dict):
            print(f"\n[{section}]")
            for key, value in fields.items():
                print(f"{key} = {_toml(value)}")


def _toml(value: object) -> str:
    return json.dumps("none" if value is None else value, ensure_ascii=False)
