"""`covbench evaluate`: score given weights, or trained runs on another dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runners.cli import options
from zoo.errors import CovbenchError, one_line

if TYPE_CHECKING:
    from results.record import RunRecord
    from runners.plan import Plan


def evaluate(
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights to score: .safetensors, or a PyTorch state dict.", show_default=False
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Or a store, whose trained runs are tested on all slices of another dataset.",
            show_default=False,
        ),
    ] = None,
    models: options.Models = None,
    runs: Annotated[
        str | None,
        typer.Option(help="With --from: only the runs whose ids begin so; comma-separated."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", "-d", help="Prepared datasets; with --weights the phantom by default."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            "-p",
            help="With --weights: identical by default, or a path to your own TOML. With --from: "
            "only runs under it.",
        ),
    ] = None,
    set_: options.Set = None,
    folds: options.Folds = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", "--seed", help="With --from: only runs with these: 0-2."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of the records; runs by default, or the store of --from."
        ),
    ] = None,
    plugin: options.Plugin = None,
    gpus: Annotated[str | None, typer.Option(help="GPUs to use: 0,1 or none.")] = None,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Score weights on the test folds of a dataset, or trained runs on a dataset they never saw.

    With --weights the preparation of the images comes from the protocol; a released checkpoint
    names the one that it was trained with, and is refused under another. With --from weights,
    protocol and normalisation are those of each run.
    """
    from results.record import RunRecord
    from results.store import Store
    from runners.trial import load_named

    if (weights is None) == (from_ is None):
        raise CovbenchError(
            "What is to be scored?" if weights is None else "--weights and --from are two things.",
            "Give --weights FILE, or --from runs --data OTHER for trained runs on another dataset.",
        )
    if weights is not None:
        for option, given in (("--runs", runs), ("--seeds", seeds), ("--plugin", plugin)):
            if given is not None:
                raise CovbenchError(
                    f"{option} goes with trained runs.", "Give it with --from, not with --weights."
                )
        out = out or Path("runs")
        plan, failed = _score_weights(
            weights, models, data or ["phantom"], protocol or "identical", set_, folds, out, gpus
        )
    else:
        assert from_ is not None, "one of both is given"
        if set_:
            raise CovbenchError(
                "Runs are tested under the settings that they were trained with.",
                "Leave --set out; --protocol NAME chooses among the runs of a store.",
            )
        if not data:
            raise CovbenchError("Tested on which dataset?", "Give --data, such as --data ct100.")
        out = out or from_
        load_named(plugin or ())
        plan, failed = _score_runs(
            from_, models, runs, data, protocol, folds, seeds, out, gpus, tuple(plugin or ())
        )
    store = Store(out)
    found = [store.read(job.spec) for job in plan.jobs]
    records = [record for record in found if isinstance(record, RunRecord)]
    if as_json:
        options.print_json(_as_dict(record) for record in records)
    else:
        for record in records:
            _print(record)
    return 2 if failed else 0


def _score_weights(
    weights: Path,
    models: list[str] | None,
    data: list[str],
    protocol: str,
    set_: list[str] | None,
    folds: str | None,
    out: Path,
    gpus: str | None,
) -> tuple[Plan, int]:
    """Score a file of weights; returns the plan and how many of its runs failed."""
    from benchmark.datasets import data_root
    from benchmark.protocols import load_protocol
    from runners.machine import slots_and_threads
    from runners.plan import Resources, make_plan
    from runners.selecting import choose_rows
    from runners.weights import check_preprocessing, load_weights, read_weights
    from zoo.registry import create_model, get_card

    chosen = choose_rows(models)
    settings = load_protocol(protocol, set_ or [])
    tensors = read_weights(weights)
    for row in chosen.rows:
        check_preprocessing(row.name, tensors, weights, settings)
        channels, classes = settings.input.channels, settings.num_classes()
        network = create_model(row.name, channels, classes, **dict(row.options))
        load_weights(network, weights, get_card(row.name))
    del tensors
    options.check_writable(out)
    slots, device, threads = slots_and_threads(gpus, None)
    plan = make_plan(
        chosen.rows,
        options.split_commas(data),
        settings,
        Resources(out, data_root(), chosen.plugins, device, threads),
        folds=options.parse_numbers(folds, "fold", 1),
        weights=weights,
        retry_failed=True,
    )
    return plan, _drive(plan, slots)


def _score_runs(
    source: Path,
    models: list[str] | None,
    runs: str | None,
    data: list[str],
    protocol: str | None,
    folds: str | None,
    seeds: str | None,
    out: Path,
    gpus: str | None,
    plugins: tuple[str, ...],
) -> tuple[Plan, int]:
    """Test trained runs on other datasets; returns the plan and how many of the tests failed."""
    from benchmark.datasets import data_root
    from results.shared import opened
    from runners.machine import slots_and_threads
    from runners.plan import Resources, save_plan
    from runners.selecting import choose_rows
    from runners.trained import Wanted
    from runners.transfer import plan_transfers

    if not out.is_dir() and out == source:
        raise CovbenchError(
            f"{source} is no folder that new records can go into.", "Give one with --out."
        )
    chosen = choose_rows(models) if models else None
    wanted = Wanted(
        rows=chosen.rows if chosen else None,
        runs=tuple(options.split_commas([runs])) if runs else None,
        protocol=protocol,
        folds=options.parse_numbers(folds, "fold", 1),
        seeds=options.parse_numbers(seeds, "seed", 0),
    )
    slots, device, threads = slots_and_threads(gpus, None)
    plugins += tuple(each for each in chosen.plugins if each not in plugins) if chosen else ()
    with opened(source) as root:
        resources = Resources(out, data_root(), plugins, device, threads)
        try:
            found = plan_transfers(root, options.split_commas(data), resources, wanted)
        except CovbenchError as error:
            if root == source or str(root) not in error.remedy:
                raise
            raise CovbenchError(  # the file that it names is gone when the command ends
                error.problem,
                f"`covbench import {source} --to FOLDER`, and give that file there: --plugin.",
            ) from error
        options.check_writable(out)
        plan = found.plan
        word = "test" if len(plan.jobs) == 1 else "tests"
        for line in (
            *found.notes,
            f"{len(plan.jobs)} {word}: {len(plan.done)} done, {len(plan.todo)} to do.",
        ):
            options.messages().print(line, highlight=False, soft_wrap=True)
        save_plan(out, plan)
        return plan, _drive(plan, slots)


def _drive(plan: Plan, slots: list[int | None]) -> int:
    """Do what is missing of a plan; returns how many of its runs failed."""
    from results.store import Store
    from runners.cli.training import train_missing

    if not plan.todo:
        return 0
    outcome = train_missing(plan, slots, Store(plan.todo[0].store), options.messages())
    if outcome.stopped:
        raise KeyboardInterrupt
    return len(outcome.failures)


def _as_dict(record: RunRecord) -> dict[str, Any]:
    target = next(iter(record.scores))
    trained = record.spec.trained
    origin = (
        {
            "trained_on": trained.dataset,
            "trained_fold": trained.fold,
            "trained_run": trained.run,
            "seed": record.spec.seed,
            "groups_disjoint": record.data.groups_disjoint,
            "shared_groups": list(record.data.shared_groups),
        }
        if trained
        else {}
    )
    return {
        "name": record.spec.row,
        "dataset": record.spec.dataset,
        "fold": record.spec.fold,
        **origin,
        "counts": record.counts[target].model_dump(),
        "scores": {key: score.value for key, score in record.scores[target].items()},
    }


def _print(record: RunRecord) -> None:
    target = next(iter(record.scores))
    counts = record.counts[target]
    print(f"{record.spec.title}: {record.data.n_test} images")
    if record.data.shared_groups and record.spec.trained:
        print(one_line(f"  trained on too: {', '.join(record.data.shared_groups)}"))
    print(f"  TP {counts.tp:,}  FP {counts.fp:,}  FN {counts.fn:,}  TN {counts.tn:,}")
    for key, score in record.scores[target].items():
        value = "undefined" if score.value is None else f"{score.value:.4f}"
        left_out = f"  ({score.undefined} undefined)" if score.undefined else ""
        print(f"  {key:28} {value:>10} {score.unit}{left_out}")
