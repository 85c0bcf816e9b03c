"""Trivial predictors beside the networks: scored from the truth whenever a report is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmark.datasets import open_dataset
from benchmark.trivial import trivial_rows
from reports.comparison import Comparison
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    import pandas as pd

Frames = dict[str, "pd.DataFrame"]
_NO_RUN: dict[str, Any] = {"run": "", "seed": 0}
TrivialFrames = Callable[[Comparison, str], tuple[Frames, list[str]]]


def trivial_frames(comparison: Comparison, target: str) -> tuple[Frames, list[str]]:
    """The trivial predictors on the folds of a comparison.

    Args:
        comparison: Runs on one dataset under one protocol.
        target: What was segmented.

    Returns:
        For each predictor a frame with the columns metric, value, undefined, penalised and fold, a
        line for every metric and fold; and notes: why there are none, where the data aren't here.
    """
    import pandas as pd

    spec, protocol = comparison.spec, comparison.protocol
    if not target == spec.task == "infection":
        return {}, ["Trivial predictors are left out: they are defined for the infection alone."]
    if protocol is None:
        return {}, ["Trivial predictors are left out: the protocol is of another covbench version."]
    try:
        dataset = open_dataset(spec.dataset, window=protocol.input.window)
        if dataset.manifest_hash != spec.data_hash:
            return {}, [f"Trivial predictors are left out: {spec.dataset} here holds other data."]
        folds = {(fold.number, fold.hash): fold for fold in dataset.folds(protocol.split)}
    except CovbenchError as error:
        return {}, [f"Trivial predictors are left out: {error.problem}"]
    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for identity in sorted({(number, fold_hash) for number, fold_hash, _ in comparison.wanted}):
        if identity not in folds:
            return {}, [f"Trivial predictors are left out: fold {identity[0]} is another one here."]
        for name, (_, scores) in trivial_rows(dataset, folds[identity], protocol.score).items():
            lines[f"{name} (trivial)"] += [
                {**_NO_RUN, "fold": identity[0], "metric": key, **score.model_dump()}
                for key, score in scores.items()
            ]
    frames = {name: pd.DataFrame(own).astype({"value": float}) for name, own in lines.items()}
    return frames, ["Trivial predictors need no training; a spread of theirs is over folds alone."]
