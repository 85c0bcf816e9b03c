"""What a network may cost: limits as a user writes them, and how far a number is from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from zoo.errors import CovbenchError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class Limit:
    """One limit.

    Attributes:
        option: The option that sets it, such as `--max-params`.
        field: What it limits: a field of `Candidate`.
        value: The largest or the least allowed number, which is allowed itself.
        words: The limit for readers, such as `at most 1.00 M parameters`.
    """

    option: str
    field: str
    value: float
    words: str

    @property
    def least(self) -> bool:
        """Whether numbers below it fail, rather than those above."""
        return self.option.startswith("--min")

    def excess(self, number: float) -> float:
        """How many times too large or too small a number is; 1 or less where it is allowed."""
        return self.value / number if self.least else number / self.value


LIMITS = {
    "--max-params": ("params", "at most {} parameters"),
    "--max-macs": ("macs", "at most {} MACs"),
    "--max-latency-ms": ("latency_ms", "a latency of at most {} ms"),
    "--min-fps": ("fps", "at least {} images a second"),
}
"""The options that set limits, each with what it limits and its words."""

UNMEASURED = {
    "params": "without counted parameters",
    "macs": "without counted MACs",
    "latency_ms": "without a measured latency",
    "fps": "without a measured fps",
}
SPEEDS = ("latency_ms", "fps")


def amount(text: str, option: str) -> float:
    """A number as tables print it: `472.44K`, `1M`, `2.27G`, `100`.

    Args:
        text: What the user wrote; K, M, G and T are powers of 1,000.
        option: The option, for the error.

    Raises:
        CovbenchError: It is no number above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE](\d{1,2}))?\s*([KMGTkmgt]?)", text.strip())
    value = 0.0
    if found:
        number, exponent, unit = found.groups()
        value = float(Decimal(number) * 10 ** int(exponent or 0) * _UNITS[unit.upper()])
    if value <= 0:
        raise CovbenchError(
            f"{option} {text!r} is no number above 0.",
            "Write it like 472.44K, 1M, 2.27G or 100, with a point and without spaces.",
        )
    return value


def limits_of(given: Mapping[str, str | None]) -> list[Limit]:
    """The limits that a user sets.

    Args:
        given: What was written behind each option of `LIMITS`; None where it is left out.

    Raises:
        CovbenchError: One is no number.
    """
    return [
        Limit(option, LIMITS[option][0], amount(text, option), LIMITS[option][1].format(text))
        for option, text in given.items()
        if text is not None
    ]
