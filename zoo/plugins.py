"""Networks that a user brings: a file, or an installed package with an entry point.

Plug-ins are code. One is loaded only when it is named; entry points are listed from the metadata
of the installed packages alone.
"""

from __future__ import annotations

import hashlib
import re
import sys
import traceback
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from zoo.cards import Card
from zoo.errors import CovbenchError, unknown
from zoo.limits import read_limited
from zoo.registry import cards, enter, forget, registering

GROUP = "covbench.models"

_files: dict[Path, tuple[str, ModuleType]] = {}


def entry_points() -> dict[str, metadata.EntryPoint]:
    """The installed plug-in networks by name; nothing of theirs is imported."""
    return {entry.name: entry for entry in metadata.entry_points(group=GROUP)}


def is_file(name: str) -> bool:
    """Whether a name means a file of networks: `my_net.py` or `my_net.py:MyNet`."""
    return _split(name) is not None


def load(name: str) -> list[str]:
    """Load the plug-in of that name, once; a file is read again after it has changed.

    Args:
        name: A file, `file:Class`, or an entry point: also the `origin` of a card.

    Returns:
        The names of its networks in the order of their registration; none where no plug-in has
        that name.

    Raises:
        CovbenchError: The plug-in can't be loaded or holds no network; a file's line is named.
    """
    file = _split(name)
    if file is not None:
        return _load_file(*file)
    entry = entry_points().get(name)
    return [] if entry is None else _load_entry_point(entry)


def _split(name: str) -> tuple[Path, str] | None:
    """The file and the attribute ("" for none) that a name means, if it means a file."""
    match = re.fullmatch(r"(.+\.py)(?::(\w+))?", name)
    return (Path(match[1]), match[2] or "") if match else None


def _load_entry_point(entry: metadata.EntryPoint) -> list[str]:
    with registering("entry point", entry.name):
        try:
            target = entry.load()
        except Exception as error:
            raise CovbenchError(
                f"The plug-in {entry.name!r} ({entry.value}) can't be loaded: {_summary(error)}.",
                "Mend or reinstall that package, or leave this model out.",
            ) from error
        if entry.name not in cards():
            if not callable(target):
                raise CovbenchError(
                    f"The plug-in {entry.name!r} ({entry.value}) registers no such network.",
                    f"Its entry point must name the function that builds {entry.name!r}.",
                )
            _register(entry.name, target, target.__module__)
    return [entry.name]


def _load_file(path: Path, attribute: str) -> list[str]:
    if not path.is_file():
        raise CovbenchError(
            f"There is no file {path}.", f"Check the path; it is looked up from {Path.cwd()}."
        )
    path = path.resolve()
    module = _module(path)
    if not path.is_file():
        raise CovbenchError(
            f"{path} was gone after it had been imported.",
            "Put it back; its runs are known by its text, so it must stay where it is.",
        )
    registered = [card for card in cards().values() if card.module == module.__name__]
    if attribute:
        return [_attribute(path, module, attribute, registered)]
    # A network that was named as file:Class before was registered by that, not by the file.
    decorated = [card.name for card in registered if card.origin == str(path)]
    if decorated:
        return decorated
    classes = _classes(module)
    if len(classes) == 1:
        with registering("file", str(path)):
            _register(path.stem, classes[0], module.__name__, path)
        return [path.stem]
    if classes:
        problem = f"{path} registers no network and has {len(classes)} classes that could be one."
        remedy = "Name one: " + ", ".join(f"{path.name}:{each.__name__}" for each in classes)
    else:
        problem = f"There is no network in {path}."
        remedy = "Put @register_model(NAME) over the function or class that builds it."
    raise CovbenchError(problem, remedy)


def _attribute(path: Path, module: ModuleType, attribute: str, registered: list[Card]) -> str:
    """The name of the network that one class or function of a file builds."""
    target: Any = getattr(module, attribute, None)
    if not callable(target):
        own = {
            k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__
        }
        raise unknown(f"class or function of {path.name}", attribute, own, ", ".join(sorted(own)))
    for card in registered:
        if card.builder is target:
            return card.name
    name = f"{path.stem}:{attribute}"
    with registering("file", f"{path}:{attribute}"):
        _register(name, target, module.__name__, path)
    return name


def _classes(module: ModuleType) -> list[type[nn.Module]]:
    """The networks and layers that a file defines itself."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, nn.Module)
        and value.__module__ == module.__name__
    ]


def _register(name: str, builder: Any, module: str, path: Path | None = None) -> None:
    """Register a plug-in's network on its behalf."""
    try:
        enter(name, builder, module)
    except CovbenchError as error:
        where = f"{path}: " if path else ""
        raise CovbenchError(f"{where}{error.problem}", error.remedy) from error


def _module(path: Path) -> ModuleType:
    """The executed module of a user's file, read again if its text has changed."""
    try:
        text = read_limited(path, "source_bytes")
    except OSError as error:
        raise CovbenchError(
            f"{path} can't be read ({error.strerror}).", "Give yourself the right to read it."
        ) from error
    digest = hashlib.sha256(text).hexdigest()
    if path in _files:
        before, module = _files[path]
        if before == digest:
            return module
        forget(module.__name__)
    key = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    module = ModuleType(f"covbench_file_{path.stem}_{key}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses, pickle and inspect look
    try:
        # What it prints must not stand between the lines of `--json`.
        with registering("file", str(path)), redirect_stdout(sys.stderr):
            exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _files.pop(path, None)
        del sys.modules[module.__name__]
        raise _broken(path, error) from error
    _files[path] = (digest, module)
    return module


def _broken(path: Path, error: BaseException) -> CovbenchError:
    """The two lines for a user's file that can't be executed, with the line that is to blame."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    where = f"{path}, line {line}" if line else str(path)
    if isinstance(error, CovbenchError):
        return CovbenchError(f"{where}: {error.problem}", error.remedy)
    if isinstance(error, ModuleNotFoundError):
        remedy = f"Install {error.name}; a file beside this one must be copied into it."
    else:
        remedy = "Mend that line and run the command again."
    return CovbenchError(f"{where}: {_summary(error)}.", remedy)


def _summary(error: BaseException) -> str:
    """An exception in one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first = text.strip().splitlines()[0].rstrip(".") if text.strip() else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
