"""`covbench export`: the records of a store as one file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import options
from zoo.errors import CovbenchError, unknown

if TYPE_CHECKING:
    from results.archive import Packed
    from results.spec import RunSpec


class Predictions(StrEnum):
    """Whose predictions go along."""

    NONE = "none"
    FIRST_SEED = "first-seed"
    ALL = "all"


def export(
    from_: Annotated[Path, typer.Option("--from", help="Folder of the records.")] = Path("runs"),
    to: Annotated[Path, typer.Option(help="The file to write.")] = Path("runs.covbench"),
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            "-m",
            help="Only these rows: names, globs, !glob; comma-separated, repeatable.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", "-d", help="Only these datasets.", show_default=False),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", "-p", help="Only these protocols.", show_default=False),
    ] = None,
    folds: options.OnlyFolds = None,
    seeds: options.OnlySeeds = None,
    predictions: Annotated[
        Predictions, typer.Option(help="Predictions too: of no run, one seed a fold, or all.")
    ] = Predictions.NONE,
    masks: Annotated[
        bool,
        typer.Option("--masks", help="Predictions as masks alone: some 50 times smaller."),
    ] = False,
    weights: Annotated[bool, typer.Option("--weights", help="Trained weights too.")] = False,
    sources: Annotated[
        bool, typer.Option("--sources", help="The files of your own networks too.")
    ] = False,
    hide_cases: Annotated[
        bool, typer.Option("--hide-cases", help="Give images and patients other names.")
    ] = False,
    limit: options.Limit = None,
) -> int:
    """Pack records and per-image scores into one file, without what tells of people or machines."""
    chosen = options.parse_numbers(folds, "fold", 1), options.parse_numbers(seeds, "seed", 0)
    if not from_.is_dir():
        raise CovbenchError(
            f"There is no folder {from_}.", "Give the folder of a `covbench run` with --from."
        )
    if to.is_dir():
        raise CovbenchError(f"{to} is a folder.", "Give the name of a file: --to FILE.covbench")
    from results.archive import Keep, pack
    from results.record import RunRecord
    from results.store import Store

    store = Store(from_)
    specs = [each.spec for each in store.records() if isinstance(each, RunRecord)]
    specs += [failure.spec for failure in store.all_failures()]
    words = (
        _rows(models, specs),
        _named("dataset", data, [spec.dataset for spec in specs]),
        _named("protocol", protocol, [spec.protocol for spec in specs]),
    )

    def wanted(spec: RunSpec) -> bool:
        own = (spec.row, spec.dataset, spec.protocol, spec.fold, spec.seed)
        both = zip((*words, *chosen), own, strict=True)
        return all(given is None or each in given for given, each in both)

    packed = pack(from_, to, wanted, Keep(predictions.value, masks, weights, sources, hide_cases))
    for line in packed.left_out:
        print(f"Left out: {line}")
    print(f"{describe(packed.specs)}; {_contents(packed)}.")
    print(f"Written: {to} ({to.stat().st_size / 1000:,.0f} kB)")
    return 0


def describe(specs: Collection[RunSpec]) -> str:
    """What runs are of: `90 runs of 15 rows on phantom under smoke (folds 1–3, seeds 0, 1)`."""
    from reports.sides import named

    if not specs:
        return "No finished runs"
    rows = len({spec.row for spec in specs})
    data, protocols = (
        ", ".join(sorted(names))
        for names in ({spec.dataset for spec in specs}, {spec.protocol for spec in specs})
    )
    folds = named("fold", sorted({spec.fold for spec in specs}))
    seeds = named("seed", sorted({spec.seed for spec in specs}))
    what = f"{plural(len(specs), 'run')} of {plural(rows, 'row')}"
    return f"{what} on {data} under {protocols} ({folds}, {seeds})"


def plural(count: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _contents(packed: Packed) -> str:
    """What goes along, and what was asked to be hidden."""
    parts = [
        plural(packed.manifest.failures, "account") + " of failed attempts",
        plural(packed.predictions, "file") + " of predictions",
        plural(packed.weights, "file") + " of weights",
        plural(packed.sources, "file") + " of source code",
    ]
    shown = [part for part in parts if not part.startswith("0 ")] or ["records and scores alone"]
    if packed.manifest.hidden_cases:
        shown.append("images and patients have other names")
    return ", ".join(shown)


def _named(kind: str, given: Sequence[str] | None, known: Iterable[str]) -> set[str] | None:
    """The names that were given, each of which some run has; None for all."""
    if given is None:
        return None
    words, names = options.split_commas(given), set(known)
    for word in words:
        if word not in names:
            raise unknown(kind, word, names, ", ".join(sorted(names)) or "none")
    return set(words)


def _rows(given: Sequence[str] | None, specs: Iterable[RunSpec]) -> set[str] | None:
    """The rows of a store that terms mean; they need not be networks of this machine."""
    if given is None:
        return None
    from zoo.selection import terms

    models = {spec.row: spec.model for spec in specs}
    wanted: set[str] = set()
    taken: set[str] = set()
    words = [term for text in given for term in terms(text)]
    for word in words:
        bare = word.removeprefix("!").strip()
        found = {
            row
            for row, model in models.items()
            if bare in ("all", row, model) or ("[" not in bare and fnmatchcase(model, bare))
        }
        if not found:
            raise unknown("row", bare, models, ", ".join(sorted(models)) or "none")
        (taken if word.startswith("!") else wanted).update(found)
    if all(word.startswith("!") for word in words):
        wanted = set(models)
    return wanted - taken
