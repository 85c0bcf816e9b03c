"""Settings from TOML files of one schema: read, changed with "key=value", and what is wrong said.

A schema is a pydantic model whose fields are `name`, `description` and sections. Protocols and
the recipes of pretraining are both of this form.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from zoo.errors import CovbenchError, unknown
from zoo.limits import check_nesting, read_limited

M = TypeVar("M", bound=BaseModel)

_TITLES = ("name", "description")
# The parser's time grows with the square of the parts of a key.
_LONG_KEY = re.compile(
    r"""(?:^|[{,])[ \t]*+\[{0,2}+[ \t]*+"""
    r"""(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""",
    re.MULTILINE | re.ASCII,
)
_FORM = 'The file must be valid TOML: [section] lines and key = value; text in "quotes".'


@dataclass(frozen=True)
class SettingsFiles(Generic[M]):
    """The files of one schema.

    Attributes:
        schema: The model that a file is checked against.
        package: The package in which the shipped files lie.
        kind: What such a file is called in an error: "protocol".
        shown_by: What shows all keys, for an error.
        short: Bare keys whose meaning is fixed although several sections have them.
    """

    schema: type[M]
    package: str
    kind: str
    shown_by: str
    short: tuple[tuple[str, str], ...] = ()

    @functools.cached_property
    def sections(self) -> dict[str, list[str]]:
        """Section name to its keys, as the schema has them."""
        return {
            name: list(cast(type[BaseModel], field.annotation).model_fields)
            for name, field in self.schema.model_fields.items()
            if name not in _TITLES
        }

    @functools.cached_property
    def keys(self) -> list[str]:
        """All keys, each `section.key`."""
        return [f"{section}.{key}" for section, keys in self.sections.items() for key in keys]

    @functools.cached_property
    def shipped(self) -> frozenset[str]:
        """The names of the shipped files."""
        files = resources.files(self.package).iterdir()
        return frozenset(file.name[:-5] for file in files if file.name.endswith(".toml"))

    def load(
        self, name_or_path: str | Path, overrides: Mapping[str, Any] | Sequence[str] = ()
    ) -> M:
        """Shipped settings by their name, or one's own from a file that ends in .toml.

        Args:
            name_or_path: "identical", or "path/to/mine.toml".
            overrides: "section.key=value" strings, or a mapping of keys to values. A key that only
                one section has may stand alone: "epochs=30". String values are read as TOML
                ("0.01", "[0.5, 1.5]", "true"), else as the text they are.

        Returns:
            The settings; their name stays that of the file.

        Raises:
            CovbenchError: The name or a key is not known, a value is not allowed, or the file
                cannot be read.
        """
        text, stem, source = self._read(name_or_path)
        data = {"name": stem} | parse_toml(text, source)
        self._check_keys(data, source)
        for key, value in _pairs(overrides):
            section, field = self._full_key(key).split(".")
            data.setdefault(section, {})[field] = _value(value) if isinstance(value, str) else value
        try:
            return self.schema.model_validate(data)
        except ValidationError as error:
            raise _explain(error, data, source) from None

    def _read(self, name_or_path: str | Path) -> tuple[str, str, str]:
        """The text of a file, its stem, and how to call it in an error."""
        word = str(name_or_path)
        if not word.endswith(".toml"):
            if word not in self.shipped:
                listing = f"{', '.join(sorted(self.shipped))}; a file of your own ends in .toml."
                raise unknown(self.kind, word, self.shipped, listing)
            file = resources.files(self.package) / f"{word}.toml"
            return file.read_text(encoding="utf-8"), word, f"{self.kind} {word}"
        try:
            text = read_limited(Path(word), "settings_bytes").decode()
            return text.replace("\r\n", "\n"), Path(word).stem, word
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise CovbenchError(
                f"Cannot read the {self.kind} {word}: {reason}.",
                f"Give the path of a TOML file, or the name of a shipped {self.kind}: "
                f"{', '.join(sorted(self.shipped))}.",
            ) from None

    def _check_keys(self, data: Mapping[str, Any], source: str) -> None:
        """Refuse sections and keys that the schema does not have."""
        sections = self.sections
        for name, content in data.items():
            if name in _TITLES:
                continue
            if name not in sections:
                known = [*_TITLES, *sections, *self.keys]
                listing = ", ".join([*_TITLES, *(f"[{section}]" for section in sections)])
                raise unknown(f"key in {source}:", name, known, listing)
            if not isinstance(content, dict):
                raise CovbenchError(
                    f"{name} = {format_value(content)} in {source} is not a section.",
                    f"Write a line [{name}] and below it its keys: {', '.join(sections[name])}.",
                )
            for key in content:
                if key not in sections[name]:
                    listing = f"{', '.join(sections[name])} in [{name}]"
                    raise unknown(f"key in {source}:", f"{name}.{key}", self.keys, listing)

    def _full_key(self, key: str) -> str:
        if key in self.keys:
            return key
        short = self._short_keys()
        meant = short.get(key, [])
        if len(meant) > 1:
            raise CovbenchError(
                f"The {self.kind} key {key!r} is in more than one section.",
                f"Write {' or '.join(meant)}.",
            )
        if not meant:
            section = key.partition(".")[0]
            listing = ", ".join(self.sections.get(section, [])) + f" in [{section}]"
            if section not in self.sections:
                listing = f"those in [{'], ['.join(self.sections)}], which {self.shown_by} shows"
            bare = [word for word, full in short.items() if len(full) == 1]
            raise unknown(f"{self.kind} key", key, self.keys if "." in key else bare, listing)
        return meant[0]

    def _short_keys(self) -> dict[str, list[str]]:
        """Bare key to the full keys it may mean."""
        short: dict[str, list[str]] = {}
        for key in self.keys:
            short.setdefault(key.split(".")[1], []).append(key)
        return short | {word: [full] for word, full in self.short}


def format_value(value: object) -> str:
    """A value as one writes it after "key=", readable by `SettingsFiles.load`."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """What a TOML file says.

    Args:
        text: Its text.
        source: How it is called in an error.

    Raises:
        CovbenchError: It is no TOML, or is nested too deeply.
    """
    try:
        if _LONG_KEY.search(text):
            raise RecursionError  # told as the parser's own
        data = tomllib.loads(text)
        check_nesting(data)
    except RecursionError:
        raise CovbenchError(f"{source} is nested too deeply.", _FORM) from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        found = re.search(r"^(.*) \(at line (\d+), column \d+\)$", str(error))
        # The parser gives no number where the file ends too early.
        reason, line = found.groups() if found else (str(error), str(text.count("\n") + 1))
        raise CovbenchError(
            f"{source}, line {line}: {reason}.",
            _FORM,
        ) from None
    return data


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


def _value(text: str) -> Any:
    """A text read as TOML, also "0.5, 1.5" as an array and ".5" as a number; else the text."""
    for candidate in (text, f"[{text}]"):
        try:
            parsed = tomllib.loads(f"value = {candidate}")
        except (ValueError, RecursionError):
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
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 200 else f"{shown[:200]}…"
    return CovbenchError(
        f"{key} = {shown} is not allowed ({source}).",
        f"{key} must be {', or '.join(allowed)}.",
    )


def _allowed(message: str) -> str:
    """What goes after "must be": pydantic's message without its opening and its repetition."""
    if message == "Field required":
        return "an array with one more entry"
    message = re.sub("^(Input should be|Value error,|(Tuple|String) should have) ", "", message)
    return re.sub(" after validation.*", "", message)
