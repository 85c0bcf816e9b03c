"""Small words of captions and messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


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


def no_formula(value: object) -> object:
    """A text that a spreadsheet doesn't compute: an apostrophe stands before what it might."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
