"""Records as one long table: a line for every score of every run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from reports.tables.table import Cell
from results.record import Failure, RunRecord
from results.spec import RunSpec

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "row",
    "model",
    "task",
    "dataset",
    "protocol",
    "fold",
    "seed",
    "run",
    "status",
    "target",
    "metric",
    "value",
    "unit",
    "higher_is_better",
    "aggregation",
    "n",
    "undefined",
    "penalised",
    "params",
    "macs",
)


def tidy(records: Iterable[RunRecord], failures: Iterable[Failure] = ()) -> pd.DataFrame:
    """All scores in long form.

    Args:
        records: Finished runs.
        failures: Failed ones; each is one line without a metric.

    Returns:
        A frame with the columns `COLUMNS`. `run` is the id, `status` "done" or "failed (...)",
        `value` NaN where the score is undefined, `macs` multiply-adds of one image.
    """
    import pandas as pd

    lines = [line for record in records for line in _lines(record)]
    lines += [
        {**_identity(failure.spec), "status": f"failed ({failure.status})"} for failure in failures
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype({"value": float})


Over = Literal["runs", "seeds", "folds"]


def summarise(frame: pd.DataFrame, over: Over = "runs") -> dict[str, Cell]:
    """Mean, sample standard deviation and number of runs of every metric in a tidy frame.

    Runs in which a score is undefined are left out; what there is one of has no spread.

    Args:
        frame: Runs of one row.
        over: What the deviation is taken over: all runs; seeds, each the mean of its folds; or
            folds, each the mean of its seeds. The mean is over runs, whatever is chosen.
    """
    found = {}
    for metric, own in frame.groupby("metric", sort=False):
        defined = own[own["value"].notna()]
        values = defined["value"]
        if over != "runs":
            values = defined.groupby(over.removesuffix("s"))["value"].mean()
        found[str(metric)] = Cell(
            float(defined["value"].mean()) if len(defined) else None,
            float(values.std()) if len(values) > 1 else None,
            len(defined),
            runs=tuple(defined["run"]),
        )
    return found


def _lines(record: RunRecord) -> list[dict[str, Any]]:
    shared = {
        **_identity(record.spec),
        "status": "done",
        "params": record.cost.params,
        "macs": record.cost.headline,
    }
    return [
        {**shared, "target": target, "metric": metric, **score.model_dump()}
        for target, scores in record.scores.items()
        for metric, score in scores.items()
    ]


def _identity(spec: RunSpec) -> dict[str, Any]:
    return {
        "row": spec.row,
        "model": spec.model,
        "task": spec.task,
        "dataset": spec.dataset,
        "protocol": spec.protocol,
        "fold": spec.fold,
        "seed": spec.seed,
        "run": spec.id,
    }
