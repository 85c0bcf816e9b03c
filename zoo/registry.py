"""The registry: every network by its name.

A network enters by the decorator `register_model`, by an entry point of the group
`covbench.models`, from a user's file (both in `zoo.plugins`), or by an open pattern such as
`smp:<architecture>/<encoder>`. The built-in ones are imported when the registry is first asked.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from zoo.cards import Builder, Card, Source
from zoo.compiler import import_compiler
from zoo.errors import CovbenchError, unknown
from zoo.pretrained import load_encoder

B = TypeVar("B", bound=Builder)
P = TypeVar("P", bound=Callable[[str], Card])


@dataclass(frozen=True)
class Pattern:
    """An open family of networks, one for every name that begins with `prefix`.

    Attributes:
        prefix: The beginning of the names: `smp:`.
        form: The whole name, for people: `smp:<architecture>/<encoder>`.
        card: The card of the network with a given whole name; raises CovbenchError.
    """

    prefix: str
    form: str
    card: Callable[[str], Card]


_cards: dict[str, Card] = {}
_patterns: dict[str, Pattern] = {}
_aliases: dict[str, str] = {}
_source: tuple[Source, str] = ("session", "")


def register_model(
    name: str, *, tags: Iterable[str] = (), unused: Iterable[str] = (), **card: Any
) -> Callable[[B], B]:
    """Enter a function or class that builds a network into the registry.

    In a notebook, registering a name again replaces the earlier network.

    Args:
        name: The name by which it is selected.
        tags: Names of groups, selected by `@tag`.
        unused: Patterns of parameter names that receive no gradient, by design.
        **card: Further fields of `zoo.cards.Card`.

    Returns:
        A decorator that leaves the builder as it is.

    Raises:
        CovbenchError: The name is taken or can't be selected, or the builder does not accept
            in_channels and num_classes. Built-in names can't be overwritten.
    """
    # Who calls decides what is built in, since a module under zoo.nets may be imported directly.
    module = sys._getframe(1).f_globals.get("__name__", "")

    def decorate(builder: B) -> B:
        enter(name, builder, module, tags=frozenset(tags), unused=tuple(unused), **card)
        return builder

    return decorate


def enter(name: str, builder: Builder, module: str, **card: Any) -> None:
    """Enter a builder on behalf of a module; otherwise as `register_model`."""
    builtin = module.startswith("zoo.nets.")
    source: Source = "built-in" if builtin else _source[0]
    origin = "" if builtin else _source[1]
    if not builtin:
        _import_builtin()
        _check(name, builder)
    taken = _cards.get(_aliases.get(name, name))
    if taken is not None and not (taken.source == source == "session"):
        raise CovbenchError(
            f"The model name {name!r} is taken (source: {taken.source}).",
            "Give yours another name, in @register_model(...) or in its file's name.",
        )
    _cards[name] = Card(name, builder, source=source, origin=origin, module=module, **card)


def _check(name: str, builder: Builder) -> None:
    """Refuse what could never be selected or built."""
    if not name or name in ("all",) or name[0] in "@!" or set(name) & set(",*?[]= \t\n"):
        raise CovbenchError(
            f"{name!r} can't be the name of a model.",
            "Use letters, digits and '-', such as 'mynet-small'.",
        )
    try:
        inspect.signature(builder).bind(in_channels=3, num_classes=2)
    except TypeError as error:
        raise CovbenchError(
            f"The builder of {name!r} can't be called with in_channels and num_classes: {error}.",
            "Write it as def mynet(in_channels: int, num_classes: int, *, option=default).",
        ) from error


def register_pattern(prefix: str, form: str) -> Callable[[P], P]:
    """Enter an open family of networks: every name with this prefix gets its card on demand.

    Args:
        prefix: The beginning of the names: `smp:`.
        form: The whole name, for people: `smp:<architecture>/<encoder>`.

    Returns:
        A decorator for the function that takes a whole name and returns its card, with the source
        "pattern", or raises CovbenchError where no such network exists.
    """

    def decorate(card: P) -> P:
        _patterns[prefix] = Pattern(prefix, form, card)
        return card

    return decorate


def register_alias(alias: str, name: str, *, tags: Iterable[str] = ()) -> None:
    """Give a registered network another name to be selected by; its card and its runs stay one.

    Args:
        alias: The other name: one of its own, or what an open pattern would cover.
        name: The name on its card.
        tags: Groups that the network joins beside those on its card.
    """
    _aliases[alias] = name
    _cards[name] = replace(_cards[name], tags=_cards[name].tags | frozenset(tags))


@contextmanager
def registering(source: Source, origin: str) -> Iterator[None]:
    """Mark what is registered inside the block; all of it is undone where the block raises."""
    global _source
    before, _source = _source, (source, origin)
    known = dict(_cards)
    try:
        yield
    except BaseException:
        for name in set(_cards) - set(known):
            if _cards[name].source == source:
                del _cards[name]
        raise
    finally:
        _source = before


def forget(module: str) -> None:
    """Take back what a plug-in's module registered, before its file is read again."""
    for name in [name for name, card in _cards.items() if card.module == module]:
        del _cards[name]


@cache
def _import_builtin() -> None:
    """Import every module under `zoo.nets` once, so that each registers its networks."""
    import zoo.nets

    for module in pkgutil.iter_modules(zoo.nets.__path__, "zoo.nets."):
        importlib.import_module(module.name)


def cards() -> dict[str, Card]:
    """All registered networks by name: the built-in ones, and what plug-ins have added."""
    _import_builtin()
    return dict(_cards)


def patterns() -> dict[str, Pattern]:
    """The open patterns by prefix."""
    _import_builtin()
    return dict(_patterns)


def find(name: str) -> list[Card]:
    """The networks that a name stands for; a plug-in that is named is loaded here.

    Args:
        name: A registered name or an alias of one, an entry point, a file of networks
            (`./my_net.py`, or `./my_net.py:MyNet` for one of its classes or functions), or a name
            that an open pattern covers.

    Returns:
        One card; several where a file registers several networks.

    Raises:
        CovbenchError: No network has that name (the nearest names are given), or a plug-in can't
            be loaded.
    """
    from zoo import plugins  # it registers what it finds, so it stands above this module

    known = cards()
    name = _aliases.get(name, name)
    if name in known:
        return [known[name]]
    loaded = plugins.load(name)
    if loaded:
        return [cards()[each] for each in loaded]
    for prefix, pattern in patterns().items():
        if name.startswith(prefix):
            return [pattern.card(name)]
    names = {*known, *_aliases, *plugins.entry_points()}
    raise unknown("model", name, names, "covbench models")


def get_card(name: str) -> Card:
    """The card of one network.

    Args:
        name: What `find` takes.

    Returns:
        The card.

    Raises:
        CovbenchError: No network has that name, or a file of that name holds several.
    """
    found = find(name)
    if len(found) > 1:
        names = ", ".join(card.name for card in found)
        raise CovbenchError(f"{name} holds several networks: {names}.", "Name one of them.")
    return found[0]


def missing_packages(card: Card) -> list[str]:
    """The packages that a network needs and that are not installed, as pip names them."""

    def installed(package: str) -> bool:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            return util.find_spec(package.replace("-", "_")) is not None
        return True

    return [package for package in card.requires if not installed(package)]


def require_packages(card: Card) -> None:
    """Raise CovbenchError, saying what to install, where a network's packages are missing."""
    missing = " ".join(missing_packages(card))
    if missing:
        raise CovbenchError(
            f"The model {card.name!r} needs what is not installed: {missing}.",
            f"pip install {missing}",
        )


def create_model(
    name: str, in_channels: int = 3, num_classes: int = 2, **options: Any
) -> nn.Module:
    """Build a network by its name.

    Args:
        name: What `find` takes.
        in_channels: Channels of the input image.
        num_classes: Classes; 1 means one sigmoid logit, 2 or more a softmax with class 0 the
            background.
        **options: Options of that network, as its card lists them. `weights`, where it is one of
            them, is "imagenet" or a .safetensors file of the network's encoder; on the meta
            device, which holds no values, it is left out.

    Returns:
        The network: `(N, in_channels, H, W)` in, `(N, num_classes, H, W)` logits out; in training
        mode a tuple with auxiliary outputs after the main one, where the network has them.

    Raises:
        CovbenchError: The name or an option is unknown, or a package is missing.
    """
    return build(get_card(name), in_channels, num_classes, **options)


def build(card: Card, in_channels: int = 3, num_classes: int = 2, **options: Any) -> nn.Module:
    """Build a network from its card; otherwise as `create_model`."""
    for option in options:
        if option not in card.options:
            raise unknown(
                f"option of {card.name}", option, card.options, ", ".join(card.options) or "none"
            )
    require_packages(card)
    # Asked of a tensor: before torch 2.7 the default device does not know `with torch.device(...)`.
    on_meta = torch.empty(0).device.type == "meta"
    if on_meta:
        import_compiler()
    weights = options.get("weights")
    if weights is None:
        return card.builder(in_channels=in_channels, num_classes=num_classes, **options)
    from_file = str(weights).endswith(".safetensors")
    if on_meta or from_file:
        options = options | {"weights": None}
    network = card.builder(in_channels=in_channels, num_classes=num_classes, **options)
    if from_file and not on_meta:
        load_encoder(network, card.encoder or "", Path(weights))
    return network
