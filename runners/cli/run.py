"""`covbench run`: plan, train what is missing, and leave a leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import options
from runners.cli.asking import ask_of, cascades_of, plugins_of
from runners.cli.training import announce, train_missing
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from rich.console import Console

    from runners.drive import Outcome
    from runners.plan import Plan


_CASCADE = "Cascade (--task hierarchical)"
_ENGINE = "Where and how runs are done"


def run(
    models: options.Models = None,
    rows: Annotated[
        str | None,
        typer.Option(help="The rows of a published table instead: miniseg-table3, chsnet-table3."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Start from pretrained weights, every network that can: imagenet, or a "
            ".safetensors file of its encoder. Never from scratch in silence."
        ),
    ] = None,
    data: options.Data = ["phantom"],  # noqa: B006 (Typer copies it)
    task: options.Task = "infection",
    lung_model: Annotated[
        str,
        typer.Option(
            help="The network that predicts the lungs; same: each row its own.",
            rich_help_panel=_CASCADE,
        ),
    ] = "same",
    lungs: Annotated[
        str, typer.Option(help="Predicted, or truth (an oracle).", rich_help_panel=_CASCADE)
    ] = "predicted",
    lung_mask: Annotated[
        str,
        typer.Option(
            help="hard (what is not lung is black), soft (darkened by probability), "
            "channel (the mask beside the image).",
            rich_help_panel=_CASCADE,
        ),
    ] = "hard",
    dilation: Annotated[
        int, typer.Option(help="Widen the lungs by so many pixels.", rich_help_panel=_CASCADE)
    ] = 0,
    inner_folds: Annotated[
        int,
        typer.Option(
            help="Parts that predict each other's training lungs.", rich_help_panel=_CASCADE
        ),
    ] = 3,
    protocol: options.Protocol = "identical",
    set_: options.Set = None,
    folds: options.Folds = None,
    seeds: options.Seeds = None,
    out: options.Out = Path("runs"),
    executor: Annotated[
        str, typer.Option(help="Engine: local, slurm or ray.", rich_help_panel=_ENGINE)
    ] = "local",
    profile: Annotated[
        Path | None,
        typer.Option(
            help="Slurm: a TOML file with partition, time, memory, gres, ...",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray: the cluster to join, HOST:6379 or auto.", rich_help_panel=_ENGINE),
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            help="GPUs to use: 0,1 or none; all of them by default.", rich_help_panel=_ENGINE
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Runs at a time on a CPU; one a core, up to 4, by default.",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    jobs_per_gpu: Annotated[
        int | None,
        typer.Option(
            help="Runs at a time on each GPU (with NVIDIA MPS where it is installed).",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="CPU threads of each run; more than one changes the last digits.",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="On a GPU: deterministic algorithms alone, slower; a network that has operators "
            "without any fails, and names them, before it is trained.",
            rich_help_panel=_ENGINE,
        ),
    ] = False,
    log: options.Log = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run again what is recorded; old records are kept.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.")
    ] = False,
    retries: Annotated[
        int | None,
        typer.Option(
            help="Further attempts of a run that fails, where they may help; 2.",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    timeout_minutes: Annotated[
        float | None,
        typer.Option(
            help="End a run that shows no progress for so long, as hung.", rich_help_panel=_ENGINE
        ),
    ] = None,
    fail_fast: Annotated[
        bool,
        typer.Option("--fail-fast", help="Stop at the first failure.", rich_help_panel=_ENGINE),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't stop at long runs.")] = False,
    limit: options.Limit = None,
) -> int:
    """Train and score networks under one protocol, and write the leaderboard.

    What is recorded is skipped, so the same command continues where it was stopped.
    """
    from benchmark.datasets import data_root
    from benchmark.protocols import load_protocol
    from results.store import Store
    from runners.engines import choose_engine
    from runners.loggers import check_loggers
    from runners.plan import Resources, make_plan, save_plan
    from runners.run_one import SUMMED, sums_colours
    from runners.selecting import choose_rows

    engine = choose_engine(
        executor,
        gpus=gpus,
        jobs=jobs,
        threads=threads,
        jobs_per_gpu=jobs_per_gpu,
        profile=profile,
        address=address,
    )
    for name, value in (("retries", retries), ("timeout-minutes", timeout_minutes)):
        if value is not None and value < 0:
            raise CovbenchError(f"--{name} {value:g} is too few.", "Give 0 or more.")
    chosen = choose_rows(models, rows, weights)
    settings = load_protocol(protocol, set_ or [])
    ask = ask_of(task, lung_model, lungs, lung_mask, dilation, inner_folds)
    joined = cascades_of(chosen, ask)
    summed = [row.name for row in chosen.rows if sums_colours(settings, dict(row.options))]
    console = options.messages()
    loggers = check_loggers(options.split_commas(log or []))
    if not dry_run:
        options.check_writable(out)
    for what, names in (
        ("Not here yet", chosen.missing),
        ("Start from random weights, since they take none", chosen.scratch),
        ("Left out, since they can't be trained by themselves", chosen.apart),
        (
            f"Left out, since they are cascades, which have no task {task}",
            () if joined else [row.name for row in chosen.joined],
        ),
        (SUMMED, summed),
        (
            f"Left out, since packages are missing (pip install {' '.join(chosen.packages)})",
            chosen.uninstalled,
        ),
    ):
        if names:
            console.print(f"{what}: {', '.join(names)}.", highlight=False, soft_wrap=True)
    plan = make_plan(
        chosen.rows,
        options.split_commas(data),
        settings,
        Resources(
            out,
            data_root(),
            plugins_of(chosen.plugins, ask),
            engine.device,
            engine.threads,
            deterministic,
            loggers,
        ),
        ask=ask,
        joined=joined,
        folds=options.parse_numbers(folds, "fold", 1),
        seeds=options.parse_numbers(seeds, "seed", 0),
        retry_failed=retry_failed,
        force=force,
    )
    for line in plan.notes:
        console.print(line, highlight=False, soft_wrap=True)
    announce(
        plan,
        len(engine.slots),
        console,
        yes=yes or dry_run,
        on_gpu=engine.device == "cuda",
        elsewhere=engine.name != "local",
    )
    if dry_run:
        for job in plan.todo:
            print(job.spec.title)
        return 0
    store = Store(out)
    for job in plan.jobs if force else plan.again:
        store.set_aside(job.spec)
    save_plan(out, plan)
    outcome = train_missing(
        plan,
        engine,
        store,
        console,
        fail_fast=fail_fast,
        retries=retries,
        timeout_minutes=timeout_minutes,
    )
    return _finish(plan, outcome, out, console)


def _finish(plan: Plan, outcome: Outcome, out: Path, console: Console) -> int:
    """Write and print the leaderboard; say what failed and how to go on."""
    from reports.boards.leaderboard import write_leaderboard

    written = write_leaderboard(out)
    options.print_tables(written.tables)
    if written.paths:
        names = ", ".join(str(path) for path in written.paths)
        console.print(f"Written: {names}", highlight=False, soft_wrap=True)
    if outcome.stopped:
        raise KeyboardInterrupt
    failed = len(outcome.failures) + len(plan.failed)
    if failed:
        what = "1 run" if failed == 1 else f"{failed} runs"
        console.print(
            f"{what} failed; see `covbench status --out {out}` and the logs that it names.",
            highlight=False,
            soft_wrap=True,
        )
    if outcome.cancelled:
        what = "1 run was" if len(outcome.cancelled) == 1 else f"{len(outcome.cancelled)} runs were"
        console.print(
            f"{what} cancelled; the same command continues.", highlight=False, soft_wrap=True
        )
    return 2 if failed or outcome.cancelled else 0
