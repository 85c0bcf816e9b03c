"""`covbench evaluate`: score given weights without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runners.cli import options

if TYPE_CHECKING:
    from results.record import RunRecord


def evaluate(
    weights: Annotated[
        Path, typer.Option(help="Weights to score: .safetensors, or a PyTorch state dict.")
    ],
    models: options.Models = None,
    data: options.Data = ["phantom"],  # noqa: B006 (Typer copies it)
    protocol: options.Protocol = "identical",
    set_: options.Set = None,
    folds: options.Folds = None,
    out: options.Out = Path("runs"),
    gpus: Annotated[str | None, typer.Option(help="GPUs to use: 0,1 or none.")] = None,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Score weights on the test folds of a dataset, and record the result.

    The preparation of the images comes from the protocol; a released checkpoint names the one
    that it was trained with, and is refused under another.
    """
    from benchmark.datasets import data_root
    from benchmark.protocols import load_protocol
    from results.record import RunRecord
    from results.store import Store
    from runners.drive import drive
    from runners.machine import slots_and_threads
    from runners.plan import Resources, make_plan
    from runners.run_one import num_classes_of
    from runners.selecting import choose_rows
    from runners.weights import check_preprocessing, load_weights, read_weights
    from zoo.registry import create_model, get_card

    chosen = choose_rows(models)
    settings = load_protocol(protocol, set_ or [])
    tensors = read_weights(weights)
    for row in chosen.rows:
        check_preprocessing(row.name, tensors, weights, settings)
        channels, classes = settings.input.channels, num_classes_of(settings)
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
    from runners.display import Display
    from runners.executors.local import LocalExecutor

    store = Store(out)
    failed = 0
    if plan.todo:
        with Display(len(plan.todo), options.messages()) as display:
            failed = len(drive(plan, LocalExecutor(slots), store, display).failures)
    found = [store.read(job.spec) for job in plan.jobs]
    records = [record for record in found if isinstance(record, RunRecord)]
    if as_json:
        options.print_json(_as_dict(record) for record in records)
    else:
        for record in records:
            _print(record)
    return 2 if failed else 0


def _as_dict(record: RunRecord) -> dict[str, Any]:
    target = next(iter(record.scores))
    return {
        "name": record.spec.row,
        "dataset": record.spec.dataset,
        "fold": record.spec.fold,
        "counts": record.counts[target].model_dump(),
        "scores": {key: score.value for key, score in record.scores[target].items()},
    }


def _print(record: RunRecord) -> None:
    target = next(iter(record.scores))
    counts = record.counts[target]
    print(f"{record.spec.title}: {record.data.n_test} images")
    print(f"  TP {counts.tp:,}  FP {counts.fp:,}  FN {counts.fn:,}  TN {counts.tn:,}")
    for key, score in record.scores[target].items():
        value = "undefined" if score.value is None else f"{score.value:.4f}"
        left_out = f"  ({score.undefined} undefined)" if score.undefined else ""
        print(f"  {key:28} {value:>10} {score.unit}{left_out}")
