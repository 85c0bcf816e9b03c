"""`covbench compare`: two rows, two stores or two protocols, image by image."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import options
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from benchmark.metrics import Metric
    from reports.chosen import Place
    from reports.sides import Side
    from reports.tables.table import Table
    from results.spec import RunSpec


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B",
            help="Two rows of a store, or two folders of records; with --protocols, rows.",
            show_default=False,
        ),
    ] = None,
    from_: options.From = Path("runs"),
    metric: Annotated[
        str,
        typer.Option(help="What is compared: dice, hd95_px (means of patients), dice_slice, ..."),
    ] = "dice",
    data: options.WhichData = None,
    protocol: options.WhichProtocol = None,
    task: options.WhichTask = None,
    protocols: Annotated[
        str | None,
        typer.Option(
            help="Two protocols, P1,P2: the ranks of all rows under both. With --factors, or where "
            "P2 has no runs: what its score rules alone change."
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            "-m",
            help="The row by which two stores are compared; with --factors, rows.",
        ),
    ] = None,
    folds: options.OnlyFolds = None,
    seeds: options.OnlySeeds = None,
    factors: Annotated[
        bool,
        typer.Option(
            "--factors", help="Score stored predictions by other rules, one at a time: what moves."
        ),
    ] = False,
    thresholds: Annotated[
        str, typer.Option(help="With --factors: thresholds beside 0.5.")
    ] = "0.3,0.7",
    resample_seeds: Annotated[
        bool, typer.Option("--resample-seeds", help="Intervals for new trainings, too.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(help="Folder for compare.md, .tex and .csv.", show_default=False)
    ] = None,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Compare two networks, stores or protocols by patient: intervals, test, effect size."""
    words = tuple(names or ())
    chosen = options.parse_numbers(folds, "fold", 1), options.parse_numbers(seeds, "seed", 0)
    if to is not None:
        options.check_writable(to)
    from reports.chosen import of_task
    from reports.comparing.compare import pair_tables
    from reports.sides import metric_named
    from results.shared import opened

    wanted = metric_named(metric)

    def keep(spec: RunSpec) -> bool:
        both = zip((spec.fold, spec.seed), chosen, strict=True)
        return all(given is None or own in given for own, given in both)

    with ExitStack() as stack:
        open_ = cache(lambda store: stack.enter_context(opened(store)))

        def read(store: Path) -> list[Place]:
            found = _places(open_(store), keep, data, None if protocols is not None else protocol)
            if task is None and not factors and protocols is None:
                return found  # the names of rows tell it
            return of_task(found, task, lambda each: each.spec.truth)

        places = read(from_) if factors or protocols is not None else []
        if factors or (protocols is not None and _untrained(places, protocols)):
            rows = [*words, *options.split_commas([models or ""])]
            tables = _factors(places, open_(from_), wanted, rows, protocols, _numbers(thresholds))
        elif protocols is not None:
            tables = _protocols(places, protocols, words, wanted, resample_seeds)
        else:
            sides = _sides(words, from_, models, read)
            tables = pair_tables(*sides, wanted, resample_seeds=resample_seeds)
    _show(tables, to, as_json)
    return 0


def _places(
    folder: Path, keep: Callable[[RunSpec], bool], data: str | None, protocol: str | None
) -> list[Place]:
    """What a folder of records holds."""
    from reports.chosen import places_of
    from results.cases import read_cases

    return places_of(read_cases(folder, keep), folder, data, protocol)


def _sides(
    words: Sequence[str], folder: Path, row: str | None, read: Callable[[Path], list[Place]]
) -> tuple[Side, Side]:
    """The two rows, or the row of two stores, that the words name."""
    from reports.chosen import two_rows, two_stores

    if len(words) == 2 and all(Path(word).exists() for word in words):
        one, other = (Path(word) for word in words)
        return two_stores(read(one), read(other), (one, other), row)
    if len(words) == 2 and row is None:
        return two_rows(read(folder), words[0], words[1])
    raise CovbenchError(
        "What is compared with what?",
        "Name two rows of a store (covbench compare miniseg unet --from runs), two folders of "
        "records (and --models ROW), or --protocols P1,P2.",
    )


def _protocols(
    places: Sequence[Place],
    protocols: str,
    rows: Sequence[str],
    metric: Metric,
    resample_seeds: bool,
) -> list[Table]:
    """The ranking under two protocols, after the tables of the rows that are named."""
    from reports.chosen import two_protocols
    from reports.comparing.compare import pair_tables
    from reports.comparing.ranking import protocol_sides, ranking_table

    one, other = two_protocols(places, *_two(protocols))
    tables = []
    for row in rows:
        sides = protocol_sides(one, other, row)
        tables += pair_tables(*sides, metric, resample_seeds=resample_seeds)
    return [*tables, ranking_table(one, other, metric, resample_seeds=resample_seeds)]


def _two(protocols: str) -> tuple[str, str]:
    names = options.split_commas([protocols])
    if len(names) != 2:
        raise CovbenchError(
            f"--protocols names {len(names)} protocols.", "Name two: --protocols P1,P2"
        )
    return names[0], names[1]


def _untrained(places: Sequence[Place], protocols: str) -> bool:
    """Whether the first of two protocols has runs, and the second is a known one without."""
    from benchmark.protocols import list_protocols

    first, second = _two(protocols)
    run = {name for each in places for name in (each.spec.protocol, each.protocol)}
    known = {each.name for each in list_protocols()}
    return first in run and second not in run and (second in known or second.endswith(".toml"))


def _factors(
    places: Sequence[Place],
    folder: Path,
    metric: Metric,
    rows: Sequence[str],
    protocols: str | None,
    thresholds: Sequence[float],
) -> list[Table]:
    """The ranking of one place under other rules of scoring; all of them, or another protocol's."""
    from benchmark.protocols import load_protocol
    from reports.chosen import one_place, under
    from reports.comparing.factors import factors_table

    if protocols is None:
        place = one_place(places)
        return [factors_table(place, folder, metric, thresholds=thresholds, rows=rows)]
    first, second = _two(protocols)
    place = one_place(under(places, first))
    return [factors_table(place, folder, metric, towards=load_protocol(second), rows=rows)]


def _numbers(text: str) -> tuple[float, ...]:
    """Probabilities, comma-separated."""
    try:
        found = tuple(float(word) for word in options.split_commas([text]))
        if not all(0 < each < 1 for each in found):
            raise ValueError
    except ValueError:
        raise CovbenchError(
            f"--thresholds {text!r} is no list of probabilities.",
            "Write numbers between 0 and 1: --thresholds 0.3,0.7",
        ) from None
    return found


def _show(tables: Sequence[Table], to: Path | None, as_json: bool) -> None:
    """Print the tables, with their sentences wherever they go, and write the files."""
    if as_json:
        options.print_json(
            {
                "table": table.title,
                **row,
                "caption": table.caption,
                "notes": [*row.get("notes", ()), *table.notes],
            }
            for table in tables
            for row in table.to_objects()
        )
    else:
        options.print_tables(tables)
        if sys.stdout.isatty():  # a table in a terminal has no caption
            for table in tables:
                print("\n".join([table.caption, *(f"- {note}" for note in table.notes), ""]))
    if to is not None:
        from reports.tables.files import TABLE_FORMATS, write_tables

        paths = write_tables(tables, to, "compare", TABLE_FORMATS)
        names = ", ".join(map(str, paths))
        options.messages().print(f"Written: {names}", highlight=False, soft_wrap=True)
