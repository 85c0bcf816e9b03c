"""`covbench row`: train one's own network alone, and set it among the rows of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import options
from runners.cli.training import announce, train_missing
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from benchmark.metrics import Metric
    from benchmark.protocols import Protocol
    from reports.boards.my_row import MyRow
    from reports.subject import Holdings, Subject


def row(
    network: Annotated[
        str, typer.Argument(help="Your file, ./my_net.py or ./my_net.py:MyNet; or any network.")
    ],
    beside: Annotated[
        Path,
        typer.Option(
            help="The store of the other rows: a folder, a file of `covbench export`, or shipped."
        ),
    ] = Path("runs"),
    data: options.WhichData = None,
    protocol: options.WhichProtocol = None,
    task: options.WhichTask = None,
    metric: options.Ranked = "dice",
    spread: options.Spread = "runs",
    machine: options.Machine = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of your network's records.")
    ] = Path("runs"),
    to: Annotated[Path, typer.Option(help="Folder for the tables and figures.")] = Path("row"),
    gpus: Annotated[
        str | None, typer.Option(help="GPUs to use: 0,1 or none; all of them by default.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Runs at a time on a CPU; one a core, up to 4, by default.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't stop at long runs.")] = False,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Train your network on the folds and seeds of a store, and say where it stands there.

    Nothing else is trained: the other rows are taken as they are recorded.
    """
    from benchmark.datasets import data_root
    from reports.boards.my_row import my_row
    from reports.boards.rows import Form, spread_named
    from reports.sides import metric_named
    from reports.subject import one_subject, read_holdings
    from reports.tables.layout import GENERAL, load_layout
    from results.machines import find_profile
    from results.shared import opened
    from results.store import Store
    from runners.machine import slots_and_threads
    from runners.plan import Resources, make_plan, save_plan
    from runners.selecting import choose_rows
    from runners.stages import Ask

    judged = metric_named(metric)
    beside_means = spread_named(spread)
    profile = find_profile(machine) if machine else None
    chosen = choose_rows([network])
    if len(chosen.rows) != 1:
        raise CovbenchError(
            f"{network} names {len(chosen.rows)} networks.", "Name one: ./my_net.py:MyNet"
        )
    console = options.messages()
    with opened(beside) as folder:
        others = read_holdings(folder, profile)
        place = one_subject(others.subjects, beside, data, protocol, task)
        spec, wanted = place.comparison.spec, place.comparison.wanted
        settings = _settings(place)
        _check_data(spec.dataset, spec.truth, spec.data_hash)
        for each in (out, to):
            options.check_writable(each)
        slots, device, threads = slots_and_threads(gpus, jobs, None)
        plan = make_plan(
            chosen.rows,
            [spec.dataset],
            settings,
            Resources(out, data_root(), chosen.plugins, device, threads),
            ask=Ask(spec.truth),
            folds=sorted({fold for fold, _, _ in wanted}),
            seeds=sorted({seed for _, _, seed in wanted}),
        )
        announce(plan, len(slots), console, yes=yes, on_gpu=device == "cuda")
        save_plan(out, plan)
        outcome = train_missing(plan, slots, Store(out), console)
        if outcome.stopped:
            raise KeyboardInterrupt
        subject = _together(others, out, place)
    form = Form(load_layout(GENERAL), beside_means, profile)
    found = my_row(subject, plan.jobs[0].spec.row, form, judged)
    paths = _write(found, subject, judged, to)
    _show(found, as_json)
    names = ", ".join(map(str, paths))
    console.print(f"Written: {names}", highlight=False, soft_wrap=True)
    return 2 if outcome.failures or plan.failed else 0


def _settings(place: Subject) -> Protocol:
    """The store's protocol, with all its changes."""
    settings = place.comparison.protocol
    if settings is None:
        raise CovbenchError(
            f"The protocol of {place.comparison.spec.dataset} is of another version of covbench.",
            "Install that version, or run the other networks anew.",
        )
    return settings


def _check_data(name: str, task: str, data_hash: str) -> None:
    """Refuse to train on other data than the other rows."""
    from benchmark.datasets import open_dataset

    if open_dataset(name, task=task).data_hash != data_hash:
        raise CovbenchError(
            f"{name} here holds other data than the store's.",
            "Prepare the very files that the store's runs used: see `covbench data`.",
        )


def _together(others: Holdings, out: Path, place: Subject) -> Subject:
    """The comparison with the new runs in it.

    Raises:
        CovbenchError: They can't stand in one table.
    """
    from reports.subject import merge, read_holdings

    merged = merge(read_holdings(out), others, place.machine)
    for each in merged.subjects:
        if each.comparison.key == place.comparison.key:
            return each
    raise CovbenchError(
        "The new runs can't stand beside the store's.", "Run its networks again with this covbench."
    )


def _write(found: MyRow, subject: Subject, metric: Metric, to: Path) -> list[Path]:
    """The tables, the row alone, the sentences, and where it lies between score and cost."""
    from reports.figures import accuracy
    from reports.tables.files import TABLE_FORMATS, write_tables
    from reports.tables.render import escape_markdown
    from results.files import write_atomically

    paths = [*write_tables([found.table], to, "leaderboard", TABLE_FORMATS)]
    if found.statistics is not None:
        paths += write_tables([found.statistics], to, "statistics", TABLE_FORMATS)
    text = "\n\n".join(map(escape_markdown, (*found.sentences, found.methods)))
    for name, content in (("row.tex", found.latex), ("row.md", text)):
        paths.append(to / name)
        write_atomically(paths[-1], content + "\n")
    drawn = accuracy.draw(subject, found.table, metric=metric, own=found.label)
    if drawn is not None:
        for kind in ("png", "pdf"):
            paths.append(to / f"accuracy.{kind}")
            write_atomically(paths[-1], drawn(kind))
    return paths


def _show(found: MyRow, as_json: bool) -> None:
    tables = [found.table, *([found.statistics] if found.statistics else [])]
    if as_json:
        options.print_json(
            {"table": table.title, **row, "sentences": list(found.sentences)}
            for table in tables
            for row in table.to_objects()
        )
        return
    options.print_tables(tables)
    print("\n".join([*found.sentences, "", found.latex]))
