"""What the options of `covbench run` on tasks and cascades ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from runners.selecting import Choice
    from runners.stages import Ask
    from zoo.selection import Row


def ask_of(
    task: str, lung_model: str, lungs: str, lung_mask: str, dilation: int, inner_folds: int
) -> Ask:
    """What the options of a cascade ask for.

    Raises:
        CovbenchError: A value does not fit.
    """
    from pydantic import ValidationError

    from benchmark.datasets.inside import Cascade
    from runners.selecting import choose_rows
    from runners.stages import Ask

    given: dict[str, Any] = {
        "lungs": lungs,
        "mask": lung_mask,
        "dilation": dilation,
        "inner_folds": inner_folds,
    }
    try:
        cascade = Cascade.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        flag = {"mask": "--lung-mask", "inner_folds": "--inner-folds"}.get(key, f"--{key}")
        raise CovbenchError(
            f"{flag} {given[key]} does not fit.", f"{first['msg'].replace('Input', flag)}."
        ) from None
    if lung_model == "same":
        return Ask(task, cascade)
    chosen = choose_rows([lung_model])
    rows = chosen.rows
    if chosen.joined:
        names = ", ".join(row.name for row in chosen.joined)
        raise CovbenchError(
            f"--lung-model {lung_model} is itself a cascade.", f"Name its network: {names}."
        )
    if len(rows) != 1:
        raise CovbenchError(
            f"--lung-model {lung_model} names {len(rows)} networks.", "Name one, or same."
        )
    return Ask(task, cascade, rows[0])


def cascades_of(chosen: Choice, ask: Ask) -> tuple[Row, ...]:
    """The networks that are run as cascades; what is said of cascades must have one to mean.

    Raises:
        CovbenchError: There is none, or nothing but what can't serve the task.
    """
    from benchmark.datasets.inside import Cascade
    from runners.stages import HIERARCHICAL

    serves = ask.task in ("infection", HIERARCHICAL)
    if chosen.joined and not serves and not chosen.rows:
        names = ", ".join(row.name for row in chosen.joined)
        raise CovbenchError(
            f"A cascade has no task {ask.task}.", f"Name its network for that: {names}."
        )
    joined = chosen.joined if serves else ()
    if ask.task != HIERARCHICAL and not joined and (ask.lung or ask.cascade != Cascade()):
        raise CovbenchError(
            "Options of a cascade (--lung-model, --lungs, --lung-mask, --dilation, --inner-folds) "
            f"mean nothing for the task {ask.task}.",
            f"Leave them out, or give --task {HIERARCHICAL}.",
        )
    return joined


def plugins_of(chosen: tuple[str, ...], ask: Ask) -> tuple[str, ...]:
    """The plug-ins of the rows, and that of the network that predicts their lungs."""
    from zoo.registry import get_card

    origin = get_card(ask.lung.name).origin if ask.lung else None
    return tuple(dict.fromkeys([*chosen, origin])) if origin else chosen
