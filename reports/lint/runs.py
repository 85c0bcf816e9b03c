"""Runs in words and as a command that does them again."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from benchmark.datasets.inside import Cascade
from benchmark.protocols import load_protocol
from benchmark.protocols.load import shipped
from reports.comparison import Comparison, Entry
from reports.sides import named
from results.record import Failure, RunRecord
from results.spec import SCORING_REVISION, TRAINING_REVISION, RunSpec
from results.store import RECORD, Store
from zoo.errors import CovbenchError
from zoo.selection import Row

Run = tuple[int, int]
"""Number of a fold, and a seed: what a user asks for."""


def runs_of(runs: Iterable[RunRecord | Failure]) -> set[Run]:
    """Folds and seeds of some runs."""
    return {(run.spec.fold, run.spec.seed) for run in runs}


def usual_runs(comparison: Comparison) -> set[Run]:
    """The runs, finished or failed, of at least half of the rows: what the others are held to."""
    entries = comparison.entries
    counts = Counter(run for entry in entries for run in runs_of([*entry.records, *entry.failures]))
    return {run for run, count in counts.items() if 2 * count >= len(entries)}


def done(comparison: Comparison) -> list[Entry]:
    """The rows that have finished runs."""
    return [entry for entry in comparison.entries if entry.records]


def rows_or_table(comparison: Comparison, rows: Collection[str]) -> tuple[str, ...]:
    """The rows that a finding is about, or none where that is every row with finished runs."""
    return () if set(rows) >= {entry.label for entry in done(comparison)} else tuple(sorted(rows))


def in_words(runs: Iterable[Run]) -> str:
    """Runs at the beginning of a sentence: `Folds 1–3 with seeds 0, 1; fold 4 with seed 0`."""
    text = "; ".join(
        f"{named('fold', folds)} with {named('seed', seeds)}" for folds, seeds in _blocks(runs)
    )
    return text[:1].upper() + text[1:]


def _blocks(runs: Iterable[Run]) -> list[tuple[list[int], list[int]]]:
    """Runs as folds that have the same seeds."""
    seeds: dict[int, set[int]] = defaultdict(set)
    for fold, seed in runs:
        seeds[fold].add(seed)
    folds: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for fold in sorted(seeds):
        folds[tuple(sorted(seeds[fold]))].append(fold)
    return [(own, list(of)) for of, own in folds.items()]


def command(
    root: Path, comparison: Comparison, specs: Iterable[RunSpec], runs: Iterable[Run], *flags: str
) -> str:
    """What a user types to have runs done under the settings of a table.

    Args:
        root: The folder of the store.
        comparison: What the table holds.
        specs: A spec of each row.
        runs: Which folds and seeds.
        *flags: Such as `--force`.

    Returns:
        One or several `covbench run`, joined by `&&`; empty where none can do these runs: for
        settings or code of another version of covbench, and for weights whose file is not known.
    """
    settings = _settings(comparison)
    by_task: dict[tuple[str, ...], list[str | None]] = defaultdict(list)
    for spec in {spec.row: spec for spec in specs}.values():
        by_task[_task(spec)].append(_term(root, spec))
    if settings is None or not by_task or any(None in models for models in by_task.values()):
        return ""
    blocks = _blocks(runs)
    return " && ".join(
        shlex.join(
            [
                *("covbench", "run", "--models", ",".join(map(str, models))),
                *("--data", comparison.spec.dataset, *task, *settings),
                *("--folds", ",".join(map(str, folds))),
                *("--seeds", ",".join(map(str, seeds))),
                *("--out", str(root)),
                *flags,
            ]
        )
        for task, models in by_task.items()
        for folds, seeds in blocks
    )


def _task(spec: RunSpec) -> tuple[str, ...]:
    """The options that give a run's task; none for the infection found directly."""
    words = [] if spec.task == "infection" else ["--task", spec.task]
    if (cascade := spec.cascade) is not None:
        usual = Cascade()
        for flag, value, default in (
            ("--lung-model", cascade.lung_row, usual.lung_row),
            ("--lungs", cascade.lungs, usual.lungs),
            ("--lung-mask", cascade.mask, usual.mask),
            ("--dilation", cascade.dilation, usual.dilation),
            ("--inner-folds", cascade.inner_folds, usual.inner_folds),
        ):
            if value != default:
                words += [flag, str(value)]
    return tuple(words)


def putting_aside(root: Path, specs: Iterable[RunSpec], then: str) -> str:
    """A command, after records that it would leave in their place are renamed as `--force` does."""
    paths = [Store(root).folder(spec) / RECORD for spec in specs]
    moves = [shlex.join(["mv", str(path), f"{path}.old"]) for path in paths if path.exists()]
    return " && ".join([*moves, then]) if then else ""


def _settings(comparison: Comparison) -> list[str] | None:
    """The options that give a comparison's settings; None where no options do."""
    spec = comparison.spec
    revisions = spec.training_revision, spec.scoring_revision
    if comparison.protocol is None or revisions != (TRAINING_REVISION, SCORING_REVISION):
        return None
    # The path of a user's own file is not recorded, but what it changes is.
    name = spec.protocol if shipped(spec.protocol) else "identical"
    try:
        again = load_protocol(name, comparison.changes)
    except CovbenchError:
        return None
    if again.canonical() != spec.settings:
        return None
    return ["--protocol", name, *(word for each in comparison.changes for word in ("--set", each))]


def _term(root: Path, spec: RunSpec) -> str | None:
    """What selects a row; None where a file of weights, whose place is not known, is part of it."""
    if spec.weights or str(spec.options.get("weights")).endswith(".safetensors"):
        return None
    # A network from a user's file can be run from the copy that is kept beside its record.
    name = spec.model
    for kept in Store(root).folder(spec).glob("*.py"):
        attribute = name.removeprefix(f"{kept.stem}:")
        name = f"{kept}:{attribute}" if attribute != name else str(kept)
        break
    return Row(name, tuple(sorted(spec.options.items()))).label
