"""What a published table can't have measured: printed scores that contradict each other.

A score is taken for any number that rounds to the printed digits, and a rule is broken only where
none of these numbers keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmark.metrics import METRICS
from results.published import PublishedTable, half_unit, method_of

Span = tuple[float, float]
"""The least and the largest number that a printed one may stand for, as a fraction."""


@dataclass(frozen=True)
class Rule:
    """What holds between scores of the same masks.

    Attributes:
        measures: The scores that it is about, the one that breaks it first.
        broken: Whether no numbers that round to the printed ones keep it.
        words: What is printed against it, and why that can't be.
        always: Whether it holds for means over images too, not only for one confusion matrix.
    """

    measures: tuple[str, ...]
    broken: Callable[..., bool]
    words: str
    always: bool = False


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0


def _jaccard(dice: float) -> float:
    return dice / (2 - dice)


def _apart(first: Span, second: Span) -> bool:
    """Whether two spans share no number; ends that touch do, whatever floats make of them."""
    return first[0] > second[1] + _TINY or second[0] > first[1] + _TINY


_TINY = 1e-9

# Jaccard is a convex function of Dice, and Dice a concave one of precision and sensitivity, so that
# the first three hold for means over images too (Jensen's inequality).
RULES = (
    Rule(
        ("jaccard", "dice"),
        lambda jaccard, dice: jaccard[0] > dice[1] + _TINY,
        "Jaccard above Dice, which no mask has, nor any mean over images",
        always=True,
    ),
    Rule(
        ("jaccard", "dice"),
        lambda jaccard, dice: jaccard[1] < _jaccard(dice[0]) - _TINY,
        "Jaccard below Dice / (2 - Dice), which no mask has, nor any mean over images",
        always=True,
    ),
    Rule(
        ("dice", "precision", "sensitivity"),
        lambda dice, *both: dice[0] > _harmonic(*(each[1] for each in both)) + _TINY,
        "Dice above the harmonic mean of precision and sensitivity, which no mask has, nor any "
        "mean over images",
        always=True,
    ),
    Rule(
        ("dice", "precision", "sensitivity"),
        lambda dice, *both: dice[1] < _harmonic(*(each[0] for each in both)) - _TINY,
        "Dice below the harmonic mean of precision and sensitivity, which no single confusion "
        "matrix gives; means over images can",
    ),
    Rule(
        ("accuracy", "sensitivity", "specificity"),
        lambda accuracy, *both: _apart(
            accuracy, (min(each[0] for each in both), max(each[1] for each in both))
        ),
        "accuracy outside of sensitivity and specificity, which no single confusion matrix gives",
    ),
    Rule(
        ("miou", "dice"),
        lambda miou, dice: miou[0] > (1 + _jaccard(dice[1])) / 2 + _TINY,
        "mIoU and Dice that no single confusion matrix gives together (the background's IoU would "
        "be above 1), so that they are averaged differently",
    ),
)


def impossible(published: PublishedTable) -> list[str]:
    """The scores of a published table that contradict each other.

    Args:
        published: The table.

    Returns:
        A sentence for each broken rule, which names the rows, or says how many they are.
    """
    found = []
    for rule in RULES:
        rows = [line for line in published.rows if _breaks(rule, published, line)]
        if rows:
            found.append(f"{published.source} prints {rule.words}: {_named(rows, published)}.")
    return found


def doubtful(published: PublishedTable, line: Mapping[str, str]) -> set[str]:
    """The columns of a line whose number is not what it is called, whatever was averaged."""
    names = _names(published)
    return {
        names[rule.measures[0]] for rule in RULES if rule.always and _breaks(rule, published, line)
    }


def _names(published: PublishedTable) -> dict[str, str]:
    """The column of each measure."""
    return {METRICS[key].measure: name for name, key in published.scores.items()}


def _breaks(rule: Rule, published: PublishedTable, line: Mapping[str, str]) -> bool:
    names = _names(published)
    if not all(line.get(names.get(measure, "")) for measure in rule.measures):
        return False
    return rule.broken(*(_span(line[names[each]], published) for each in rule.measures))


def _span(printed: str, published: PublishedTable) -> Span:
    scale = 100 if published.percent else 1
    value, half = float(printed), half_unit(printed)
    return (value - half) / scale, (value + half) / scale


def _named(rows: list[Mapping[str, str]], published: PublishedTable) -> str:
    if len(rows) > _SHOWN:
        return f"{len(rows)} of {len(published.rows)} rows"
    return ", ".join(_called(line) for line in rows)


def _called(line: Mapping[str, str]) -> str:
    """A row's name, with what it segments where a table has a row for each."""
    part = line.get("segmentation", "")
    name = method_of(line)
    return " ".join(each for each in (name, f"({part})" if part and name else part) if each)


_SHOWN = 12
