"""The two-line error that covbench shows to its users."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_CHARACTERS = 4000


class CovbenchError(Exception):
    """A mistake that a user can mend, or a machine's limit: two lines, never a traceback.

    Args:
        problem: What is wrong, in one line.
        remedy: What to do about it, in one line.
    """

    exit_code = 1
    """What the command line ends with."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = one_line(problem)
        self.remedy = one_line(remedy)
        super().__init__(f"{self.problem}\n{self.remedy}")

    def __reduce__(self) -> tuple[type[CovbenchError], tuple[str, str]]:
        return type(self), (self.problem, self.remedy)


class WeightsUnavailable(CovbenchError):
    """Pretrained weights that a network asks for can't be had; it is never built without them."""


def first_line(text: str, most: int = 200) -> str:
    """The beginning of a text of several lines, or of none, that a terminal shows as it is."""
    return one_line(next(iter(text.strip().splitlines()), ""))[:most]


def reason_of(error: BaseException) -> str:
    """What an exception says, as the end of a sentence: its first line, or else its kind."""
    return first_line(str(error)).rstrip(".") or type(error).__name__


def one_line(text: str) -> str:
    """A text as one line that a terminal shows as it is, whatever names and values it quotes.

    Line breaks, control characters and what can't be encoded become escapes; a text of thousands
    of characters loses its middle.
    """
    text = _cut(text)
    if text.isprintable():
        return text
    escaped = (
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    return _cut("".join(escaped))


def _cut(text: str) -> str:
    """A text without the middle of thousands of characters."""
    half = _MOST_CHARACTERS // 2
    return text if len(text) <= 2 * half else f"{text[:half]} … {text[-half:]}"


def unknown(kind: str, word: str, known: Iterable[str], listing: str) -> CovbenchError:
    """The error for a name that nobody knows, with the nearest known one.

    Args:
        kind: What the name should have been: "model", "dataset", "protocol key".
        word: The name as the user gave it.
        known: All valid names.
        listing: What shows the valid names: a command, or the names themselves.

    Returns:
        The error, to be raised by the caller.
    """
    word = word if len(word) <= 200 else word[:200] + "…"
    near = difflib.get_close_matches(word.lower(), sorted(known), n=3, cutoff=0.55)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return CovbenchError(f"Unknown {kind} {word!r}.", f"{hint}All of them: {listing}")
