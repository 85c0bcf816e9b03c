"""Which trained runs of a store a user means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from results.record import RunRecord
from results.spec import RunSpec
from results.store import load_records
from zoo.errors import CovbenchError
from zoo.selection import Row


@dataclass(frozen=True)
class Wanted:
    """Which trained runs of a store are meant; None where that is left open.

    Attributes:
        rows: Networks; the options that a row names must be the run's.
        runs: Beginnings of ids.
        protocol: Name of the protocol.
        folds: Folds that they were trained on.
        seeds: Their seeds.
    """

    rows: tuple[Row, ...] | None = None
    runs: tuple[str, ...] | None = None
    protocol: str | None = None
    folds: tuple[int, ...] | None = None
    seeds: tuple[int, ...] | None = None

    def holds(self, spec: RunSpec) -> bool:
        """Whether a run is one of them, whatever its id."""
        return (
            (self.rows is None or any(_is_of(spec, row) for row in self.rows))
            and self.protocol in (None, spec.protocol)
            and (self.folds is None or spec.fold in self.folds)
            and (self.seeds is None or spec.seed in self.seeds)
        )


def trained_runs(source: Path, wanted: Wanted) -> list[RunRecord]:
    """The trained runs of a store that are meant, each once.

    Runs of given weights are none of them, nor are those of a part of a fold, which serve a
    cascade.

    Raises:
        CovbenchError: There is none.
    """
    records = load_records(source)
    trained = {
        record.spec.id: record
        for record in records
        if record.training is not None and record.spec.trained is None and record.spec.inner is None
    }
    if not trained:
        raise CovbenchError(
            f"There are no trained runs below {source}.", "Train some: covbench run --out FOLDER"
        )
    for start in wanted.runs or ():
        if any(run.startswith(start) for run in trained):
            continue
        other = next((each for each in records if each.spec.id.startswith(start)), None)
        if other is not None:
            raise CovbenchError(
                f"{other.spec.title} can't be tested on other data: it is itself a test, or a part "
                "of a fold.",
                "Name a run that was trained on a whole fold.",
            )
        raise CovbenchError(
            f"No trained run below {source} has an id that begins with {start!r}.",
            "Ids are what the names of the runs' folders end with: `covbench status --json`.",
        )
    found = [
        record
        for run, record in trained.items()
        if wanted.holds(record.spec) and (not wanted.runs or run.startswith(wanted.runs))
    ]
    if not found:
        rows = sorted({record.spec.row for record in trained.values()})
        raise CovbenchError(
            f"None of the {len(trained)} trained runs below {source} is what is asked for.",
            f"Its rows: {', '.join(rows)}; leave --models, --protocol, --folds or --seeds out.",
        )
    return found


def _is_of(spec: RunSpec, row: Row) -> bool:
    given = dict(row.options)
    return spec.model == row.name and all(spec.options.get(key) == given[key] for key in given)
