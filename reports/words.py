"""Small words of captions and messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def numbers(values: Iterable[int]) -> str:
    """Whole numbers with their runs joined: `1–3, 5`."""
    parts: list[list[int]] = []
    for value in sorted(set(values)):
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))


def plural(word: str, values: Sequence[object]) -> str:
    """A word for so many things: `fold`, `folds`."""
    return word if len(values) == 1 else f"{word}s"


def without_control(text: str) -> str:
    """A text with spaces for control characters, which a terminal obeys; lines and tabs stay."""
    return _CONTROL.sub(" ", text)


def csv_value(value: object) -> object:
    """A value of a CSV: spaces for control characters, and nothing that a spreadsheet computes.

    Line breaks stay, within quotes. An apostrophe stands before what it might compute.
    """
    if not isinstance(value, str):
        return value
    value = without_control(value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t")) else value
