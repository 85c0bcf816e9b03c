"""Which networks, and with which options: the selection language.

`unet,miniseg*,@demo,!enet,miniseg[strict=true]`: names, globs, tags, negations, and options in
brackets, comma-separated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from zoo.cards import Card
from zoo.errors import CovbenchError, unknown
from zoo.plugins import entry_points
from zoo.registry import cards, find, missing_packages, require_packages

Scalar = bool | int | float | str | None


@dataclass(frozen=True)
class Row:
    """One network with its options: what a run trains and a table shows.

    Attributes:
        name: Name of the network.
        options: Its options in alphabetical order, without those that have their default.
    """

    name: str
    options: tuple[tuple[str, Scalar], ...] = ()

    @property
    def label(self) -> str:
        """The canonical text, which selects this row again: `miniseg[strict=true]`."""
        if not self.options:
            return self.name
        options = ",".join(f"{option}={_text(value)}" for option, value in self.options)
        return f"{self.name}[{options}]"


def select(selection: str | Sequence[str]) -> list[Row]:
    """The rows that a selection means.

    Args:
        selection: Terms, comma-separated, or several such texts. A term is a name (a registered
            one, an entry point, a file, or one that an open pattern covers), a glob over the
            registered names (`miniseg*`), a tag (`@demo`), or `all`: every built-in network whose
            packages are installed. `[option=value,...]` behind a term sets options. `!` before a
            term takes away what it means, wherever it stands; without options, all rows of those
            names. Where every term takes away, it is taken from `all`.

    Returns:
        The rows in the order of their first mention, each once; the networks of one glob, tag or
        `all` in alphabetical order. Globs and tags pass over networks whose packages are missing
        (`passed_over`).

    Raises:
        CovbenchError: A term means nothing, an option is wrong, the packages of a named network or
            of all of a group are missing, or nothing is left.
    """
    found = _terms(selection)
    wanted = [term for term in found if not term.startswith("!")] or ["all"]
    rows = {row: None for term in wanted for row in _rows(term)}
    for term in found:
        if term.startswith("!"):
            for row in _rows(term[1:].strip(), installed=False):
                gone = [row] if "[" in term else [each for each in rows if each.name == row.name]
                for each in gone:
                    rows.pop(each, None)
    if not rows:
        raise CovbenchError(
            f"The selection {','.join(found)!r} leaves no model.", "Take away less: a term with !."
        )
    return list(rows)


def list_models(selection: str | Sequence[str] = "all") -> list[str]:
    """The labels of the rows that a selection means, as `select` takes it."""
    return [row.label for row in select(selection)]


def passed_over(selection: str | Sequence[str]) -> dict[str, list[str]]:
    """The networks that globs, tags and `all` of a selection leave out.

    Args:
        selection: What `select` takes.

    Returns:
        Networks that a group of the selection covers and whose packages are missing, by name, with
        those packages as pip names them; without what the selection takes away.
    """
    found = _terms(selection)
    wanted = [term for term in found if not term.startswith("!")] or ["all"]
    left_out = {
        card.name: missing
        for term in wanted
        for card in _group(term.partition("[")[0].strip()) or ()
        if (missing := missing_packages(card))
    }
    for term in found:
        if term.startswith("!") and "[" not in term:
            for card in _cards(term[1:].strip(), installed=False):
                left_out.pop(card.name, None)
    return left_out


def _terms(selection: str | Sequence[str]) -> list[str]:
    """All terms of a selection; raises CovbenchError where there is none."""
    texts = [selection] if isinstance(selection, str) else selection
    found = [term for text in texts for term in terms(text)]
    if not found:
        raise CovbenchError("The selection of models is empty.", "Name some, or write: all")
    return found


def terms(text: str) -> list[str]:
    """The terms of a selection: what stands between the commas outside of brackets."""
    return [term for part in re.split(r",(?![^\[\]]*\])", text) if (term := part.strip())]


def _rows(term: str, *, installed: bool = True) -> list[Row]:
    """The rows that one term without its `!` means; `installed` is that of `_cards`."""
    match = re.fullmatch(r"([^\[\]]+?)\s*(?:\[([^\[\]]+)\])?", term)
    if match is None:
        raise CovbenchError(
            f"The term {term!r} can't be read.", "Write NAME or NAME[option=value,option=value]."
        )
    name, options = match[1], match[2]
    found = _cards(name, installed=installed)
    return [Row(card.name, _options(card, options) if options else ()) for card in found]


def _cards(name: str, *, installed: bool = True) -> list[Card]:
    """The networks that a name, glob, tag or `all` means.

    Args:
        name: The term without brackets.
        installed: Whether only networks whose packages are installed are asked for. What is taken
            away from a selection need not be.

    Returns:
        The networks, those of a group in alphabetical order.

    Raises:
        CovbenchError: The name means nothing, or what it means needs packages that are missing.
    """
    group = _group(name)
    if group is None:
        found = find(name)
        for card in found if installed else ():
            require_packages(card)
        return found
    if not group:
        known = cards()
        if name.startswith("@"):
            tags = {tag for card in known.values() for tag in card.tags}
            raise unknown("tag", name[1:], tags, ", ".join(sorted(tags)) or "none")
        raise unknown("model pattern", name, {*known, *entry_points()}, "covbench models")
    if not installed:
        return group
    usable = [card for card in group if not missing_packages(card)]
    if not usable:
        packages = " ".join(sorted({each for card in group for each in missing_packages(card)}))
        raise CovbenchError(
            f"All that {name!r} means needs what is not installed: {packages}.",
            f"pip install {packages}",
        )
    return usable


def _group(name: str) -> list[Card] | None:
    """The networks that a glob, a tag or `all` covers, installed or not; None for a plain name."""
    every = [card for _, card in sorted(cards().items())]
    if name == "all":
        return [card for card in every if card.source == "built-in"]
    if name.startswith("@"):
        return [card for card in every if name[1:] in card.tags]
    if "*" in name or "?" in name:
        return [card for card in every if fnmatchcase(card.name, name)]
    return None


def _options(card: Card, text: str) -> tuple[tuple[str, Scalar], ...]:
    """The options of a row, typed and checked against the card, without those at their default."""
    defaults = card.options
    given: dict[str, Scalar] = {}
    for part in text.split(","):
        option, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not option or not value:
            raise CovbenchError(
                f"The option {part.strip()!r} of {card.name} can't be read.",
                "Write option=value.",
            )
        if option not in defaults:
            listing = ", ".join(defaults) or "it has none"
            raise unknown(f"option of {card.name}", option, defaults, listing)
        if option in given:
            raise CovbenchError(
                f"The option {option!r} of {card.name} is given twice.", "Keep one of them."
            )
        given[option] = _value(value, defaults[option], f"{card.name}[{option}=...]")
    return tuple((key, given[key]) for key in sorted(given) if given[key] != defaults[key])


def _value(text: str, default: object, where: str) -> Scalar:
    """A value of the type of its default; where that is None, of the type that it looks like."""
    if default is None:
        return _guess(text)
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float) and math.isfinite(number := float(text)):
            return number
    except (KeyError, ValueError):
        pass
    if isinstance(default, str):
        return text
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    kind = kinds.get(type(default), "set in Python, not in a selection")
    raise CovbenchError(
        f"{text!r} is no value for {where}.", f"It must be {kind}; the default is {default!r}."
    )


def _guess(text: str) -> Scalar:
    """The value that a text looks like."""
    words: dict[str, Scalar] = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _text(value: Scalar) -> str:
    """A value as a selection writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
