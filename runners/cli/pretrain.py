"""`covbench pretrain`: train encoders on a folder of images by class, to start networks from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import options
from runners.cli.training import HOURS_WITHOUT_ASKING, stopping
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.pretraining import Recipe
    from benchmark.pretraining.images import ImageFolder
    from runners.pretraining.result import PretrainResult
    from zoo.selection import Row


def pretrain(
    data: Annotated[
        Path,
        typer.Option(
            "--data", "-d", help="Folder of images: train/CLASS/* and val/CLASS/*, as ImageNet's."
        ),
    ],
    models: options.Models = None,
    protocol: Annotated[
        str,
        typer.Option("--protocol", "-p", help="The recipe: imagenet, or a path to your own TOML."),
    ] = "imagenet",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change a field of the recipe: epochs=30, precision=bf16; repeatable.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the encoders.")] = Path(
        "pretrained"
    ),
    gpus: Annotated[
        str | None,
        typer.Option(
            help="GPUs to use: 0,1 or none; one for each network, all of them by default."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Networks at a time on a CPU; one by default.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="CPU threads of each; more than one changes the last digits on a CPU, and "
            "decodes images beside a GPU."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't stop at long trainings.")] = False,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Pretrain the encoders of networks by classification, as on ImageNet.

    OUT/NAME/encoder.safetensors is then what `covbench run --weights` takes.
    What is there is not trained again, so the same command continues where it was stopped.
    """
    if not models:
        raise CovbenchError("Which networks?", "Give --models, such as miniseg.")
    from benchmark.pretraining import load_recipe
    from benchmark.pretraining.images import open_folder
    from runners.machine import slots_and_threads
    from runners.pretraining.drive import Outcome
    from runners.pretraining.plan import Resources, check_rows, make_plan, missing_rows
    from runners.trial import try_files
    from zoo.selection import select

    recipe = load_recipe(protocol, set_ or [])
    try_files(models)
    rows = select(models)
    slots, device, threads = slots_and_threads(gpus, 1 if jobs is None else jobs, threads)
    check_rows(rows, recipe, device)
    images = open_folder(data)
    console = options.messages()
    missing = missing_rows(rows, recipe, out)
    on_cpu = len(slots) if device == "cpu" else None
    _announce(rows, missing, images, recipe, threads, on_cpu, console, yes=yes or dry_run)
    if dry_run:
        for row in missing:
            print(row.label)
        return 0
    options.check_writable(out)
    manifest_hash = _check(images, out, console)
    plan = make_plan(rows, images, manifest_hash, recipe, Resources(out, device, threads))
    outcome = Outcome()
    if plan.todo:
        from runners.executors.local import LocalExecutor
        from runners.machine import preload_for
        from runners.pretraining.display import PretrainDisplay
        from runners.pretraining.drive import drive
        from runners.pretraining.work import work

        with stopping(console) as should_stop:
            preload = ["runners.pretraining.work", *preload_for(row.name for row in rows)]
            with PretrainDisplay(console) as display:
                outcome = drive(
                    plan.todo, LocalExecutor(slots, preload, work), display, should_stop
                )
    results = [*plan.done, *((out / folder.name, result) for folder, result in outcome.done)]
    _print(results, as_json)
    if outcome.stopped:
        raise KeyboardInterrupt
    return 2 if outcome.failed else 0


def _announce(
    rows: Sequence[Row],
    missing: Sequence[Row],
    images: ImageFolder,
    recipe: Recipe,
    threads: int,
    slots: int | None,
    console: Console,
    *,
    yes: bool,
) -> None:
    """Say what is to be trained and about how long it takes; refuse long trainings on a CPU.

    `slots` is None beside a GPU, where nothing is estimated.
    """
    from runners.display import duration
    from runners.pretraining.plan import estimate_seconds

    word = "1 network" if len(rows) == 1 else f"{len(rows)} networks"
    what = (
        f"{word}, recipe {recipe.name}, {recipe.optim.epochs} epochs: {len(images.train):,} images "
        f"of {len(images.classes):,} classes to train on, {len(images.val):,} to validate on"
    )
    seconds = None
    if not missing:
        about = "nothing is missing"
    elif slots is None:
        about = "no estimate on a GPU"
    else:
        seconds = estimate_seconds(missing, images, recipe, threads, slots)
        about = f"about {duration(seconds)}"
    console.print(f"{what}; {about}.", highlight=False, soft_wrap=True)
    if seconds is not None and seconds > HOURS_WITHOUT_ASKING * 3600 and not yes:
        raise CovbenchError(
            f"This takes about {duration(seconds)} on this machine, which has no GPU.",
            "Try fewer images, epochs or pixels (--set size=64 --set resize=73), or add --yes.",
        )


def _check(images: ImageFolder, out: Path, console: Console) -> str:
    """Read every image once, with a bar on a terminal; the identity of what they hold."""
    from benchmark.pretraining.images import check_images
    from runners.machine import cpu_count
    from runners.pretraining.display import CheckDisplay

    with CheckDisplay(console) as display:
        return check_images(images, out, cpu_count(), display)


def _print(results: Sequence[tuple[Path, PretrainResult]], as_json: bool) -> None:
    """The table of the encoders that are there, and how one goes on with the first."""
    from runners.cli.tables import print_table
    from runners.pretraining.result import ENCODER

    if as_json:
        options.print_json(
            {
                "name": result.spec.title,
                "encoder": str(folder / ENCODER),
                "epochs": result.epochs,
                "top1": result.top1,
                "top5": result.top5,
                "id": result.spec.id,
            }
            for folder, result in results
        )
        return
    if not results:
        return
    rows = [
        (
            result.spec.title,
            str(result.epochs),
            f"{result.top1:.2%}",
            "-" if result.top5 is None else f"{result.top5:.2%}",
            str(folder / ENCODER),
        )
        for folder, result in results
    ]
    print_table(("network", "epochs", "top-1", "top-5", "encoder"), rows)
    folder, result = results[0]
    print(f"Next: covbench run --models {result.spec.title} --weights {folder / ENCODER}")
