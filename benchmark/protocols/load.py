"""Read a protocol from its TOML file, change it with "key=value", and say what is wrong with it."""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from benchmark.protocols.schema import Protocol
from zoo.errors import CovbenchError, unknown

# Section name to its keys, as the schema has them.
_SECTIONS: dict[str, list[str]] = {
    name: list(cast(type[BaseModel], field.annotation).model_fields)
    for name, field in Protocol.model_fields.items()
    if name not in ("name", "description")
}
_KEYS = [f"{section}.{key}" for section, keys in _SECTIONS.items() for key in keys]
_TITLES = ("name", "description")


def _short_keys() -> dict[str, list[str]]:
    """Bare key to the full keys it may mean; `size` alone is the network's input size."""
    short: dict[str, list[str]] = {}
    for key in _KEYS:
        short.setdefault(key.split(".")[1], []).append(key)
    return short | {"size": ["input.size"]}


def list_protocols() -> list[Protocol]:
    """All shipped protocols, `identical` first, the others by name."""
    names = sorted(_shipped_names(), key=lambda name: (name != "identical", name))
    return [load_protocol(name) for name in names]


def load_protocol(
    name_or_path: str | Path, overrides: Mapping[str, Any] | Sequence[str] = ()
) -> Protocol:
    """A shipped protocol by its name, or one's own from a file that ends in .toml.

    Args:
        name_or_path: "identical", or "path/to/mine.toml".
        overrides: "section.key=value" strings, or a mapping of keys to values. A key that only
            one section has may stand alone: "epochs=30", "size=128" (the input size). String
            values are read as TOML ("0.01", "[0.5, 1.5]", "true"), else as the text they are.

    Returns:
        The protocol; its name stays that of the file, see `Protocol.changes`.

    Raises:
        CovbenchError: The protocol or a key is not known, a value is not allowed, or the file
            cannot be read.
    """
    text, stem, source = _read(name_or_path)
    data = {"name": stem} | _parse(text, source)
    _check_keys(data, source)
    for key, value in _pairs(overrides):
        section, field = _full_key(key).split(".")
        data.setdefault(section, {})[field] = _value(value) if isinstance(value, str) else value
    try:
        return Protocol.model_validate(data)
    except ValidationError as error:
        raise _explain(error, data, source) from None


@functools.cache
def shipped(name: str) -> Protocol | None:
    """The protocol that ships under this name, or None."""
    return load_protocol(name) if name in _shipped_names() else None


def format_value(value: object) -> str:
    """A value as one writes it after "key=", readable by `load_protocol`."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


@functools.cache
def _shipped_names() -> frozenset[str]:
    files = resources.files(__package__).iterdir()
    return frozenset(file.name[:-5] for file in files if file.name.endswith(".toml"))


def _read(name_or_path: str | Path) -> tuple[str, str, str]:
    """The text of a protocol file, its stem, and how to call it in an error."""
    word = str(name_or_path)
    if not word.endswith(".toml"):
        if word not in _shipped_names():
            known = _shipped_names()
            listing = f"{', '.join(sorted(known))}; a file of your own ends in .toml."
            raise unknown("protocol", word, known, listing)
        file = resources.files(__package__) / f"{word}.toml"
        return file.read_text(encoding="utf-8"), word, f"protocol {word}"
    try:
        return Path(word).read_text(encoding="utf-8"), Path(word).stem, word
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CovbenchError(
            f"Cannot read the protocol {word}: {reason}.",
            "Give the path of a TOML file, or the name of a shipped protocol: "
            f"{', '.join(sorted(_shipped_names()))}.",
        ) from None


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"^(.*) \(at line (\d+), column \d+\)$", str(error))
        # The parser gives no number where the file ends too early.
        reason, line = found.groups() if found else (str(error), str(text.count("\n") + 1))
        raise CovbenchError(
            f"{source}, line {line}: {reason}.",
            'The file must be valid TOML: [section] lines and key = value; text in "quotes".',
        ) from None


def _check_keys(data: Mapping[str, Any], source: str) -> None:
    """Refuse sections and keys that a protocol does not have."""
    for name, content in data.items():
        if name in _TITLES:
            continue
        if name not in _SECTIONS:
            known = [*_TITLES, *_SECTIONS, *_KEYS]
            listing = ", ".join([*_TITLES, *(f"[{section}]" for section in _SECTIONS)])
            raise unknown(f"key in {source}:", name, known, listing)
        if not isinstance(content, dict):
            raise CovbenchError(
                f"{name} = {format_value(content)} in {source} is not a section.",
                f"Write a line [{name}] and below it its keys: {', '.join(_SECTIONS[name])}.",
            )
        for key in content:
            if key not in _SECTIONS[name]:
                listing = f"{', '.join(_SECTIONS[name])} in [{name}]"
                raise unknown(f"key in {source}:", f"{name}.{key}", _KEYS, listing)


def _pairs(overrides: Mapping[str, Any] | Sequence[str]) -> list[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    pairs = []
    for text in [overrides] if isinstance(overrides, str) else overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise CovbenchError(
                f"{text!r} changes nothing: it has no '='.",
                "Write key=value, such as optim.epochs=30.",
            )
        pairs.append((key.strip(), value.strip()))
    return pairs


def _full_key(key: str) -> str:
    if key in _KEYS:
        return key
    short = _short_keys()
    meant = short.get(key, [])
    if len(meant) > 1:
        raise CovbenchError(
            f"The protocol key {key!r} is in more than one section.", f"Write {' or '.join(meant)}."
        )
    if not meant:
        section = key.partition(".")[0]
        listing = ", ".join(_SECTIONS.get(section, [])) + f" in [{section}]"
        if section not in _SECTIONS:
            listing = f"those in [{'], ['.join(_SECTIONS)}], which `covbench protocols` shows"
        bare = [word for word, full in short.items() if len(full) == 1]
        raise unknown("protocol key", key, _KEYS if "." in key else bare, listing)
    return meant[0]


def _value(text: str) -> Any:
    """A text read as TOML, also "0.5, 1.5" as an array and ".5" as a number; else the text."""
    for candidate in (text, f"[{text}]"):
        try:
            parsed = tomllib.loads(f"value = {candidate}")
        except tomllib.TOMLDecodeError:
            continue
        if parsed.keys() == {"value"}:
            return parsed["value"]
    try:
        return float(text)
    except ValueError:
        return text


def _explain(error: ValidationError, data: Mapping[str, Any], source: str) -> CovbenchError:
    """The first wrong value of a protocol and what would be right, in two lines."""
    details = error.errors(include_url=False, include_context=False)
    place = details[0]["loc"][:2]
    value: Any = data
    for part in place:
        value = value[part]
    allowed = dict.fromkeys(
        _allowed(detail["msg"]) for detail in details if detail["loc"][:2] == place
    )
    key = ".".join(str(part) for part in place)
    return CovbenchError(
        f"{key} = {json.dumps(value, default=str)} is not allowed ({source}).",
        f"{key} must be {', or '.join(allowed)}.",
    )


def _allowed(message: str) -> str:
    """What goes after "must be": pydantic's message without its opening and its repetition."""
    if message == "Field required":
        return "an array with one more entry"
    message = re.sub("^(Input should be|Value error,|(Tuple|String) should have) ", "", message)
    return re.sub(" after validation.*", "", message)
