"""Labels of masks: the one that is never counted, and what is scored of the others."""

from __future__ import annotations

from collections.abc import Mapping

IGNORE = 255
"""Padding, and pixels that nobody annotated: no loss and no metric counts them."""

ALL = "all lesions"
"""The first target of several classes: all of them together."""


def unnamed(label: int) -> str:
    """What a class is called that nobody named."""
    return f"class-{label}"


def kinds_of(classes: Mapping[int, str]) -> dict[int, str]:
    """Label to name of several kinds of lesion; empty where there is one.

    Args:
        classes: Label to name; 0 is the background.
    """
    named = {label: name for label, name in classes.items() if label}
    return named if len(named) > 1 else {}


def targets_of(classes: Mapping[int, str]) -> dict[str, int | None]:
    """What is scored, in order: the name of a target, and its label; None is any but 0.

    Args:
        classes: Label to name; 0 is the background.
    """
    if kinds := kinds_of(classes):
        return {ALL: None, **{name: label for label, name in kinds.items()}}
    return {name: None for label, name in classes.items() if label}
