"""`covbench data`: from downloaded files to a verified local copy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runners.cli import listing, options
from runners.cli.tables import print_fields
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.datasets import PreparedDataset

_SECONDS_BETWEEN_LINES = 10.0

app = typer.Typer(help="Prepare, verify and look at datasets.")
app.command("list")(listing.datasets)

Name = Annotated[str, typer.Argument(help="A dataset; `covbench datasets` lists them.")]


@app.callback(invoke_without_command=True)
def _data(context: typer.Context) -> None:
    """Prepare, verify and look at datasets."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def prepare(
    name: Annotated[
        str, typer.Argument(help="ct100, phantom, or folder for your own images/ and masks/.")
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of the files that you downloaded.", show_default=False),
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="The same, as an option.", show_default=False)
    ] = None,
    as_name: Annotated[
        str | None,
        typer.Option("--as", help="Keep it under this name.", show_default=False),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="key=value, such as window=-1250,250; repeatable."),
    ] = None,
    limit: options.Limit = None,
) -> int:
    """Make the verified local copy that every run reads; repeating it does nothing."""
    from benchmark.datasets import prepare_dataset
    from benchmark.datasets.catalogue import get_recipe

    if folder is not None and from_ is not None:
        raise CovbenchError("The folder is given twice.", "Leave --from out.")
    settings = _key_values(option or [])
    get_recipe(name).parse(settings)  # before they meet the arguments of prepare_dataset
    console = options.messages()
    with _progress(name, console) as progress:
        dataset = prepare_dataset(
            name, folder or from_, as_name=as_name, progress=progress, **settings
        )
    if not dataset.fresh:
        print(f"Nothing to do: {dataset.name} is prepared in {dataset.path}.")
        return 0
    _print_dataset(dataset)
    console.print(
        f"Next: covbench data show {dataset.name}, or covbench run --data {dataset.name} ...",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0


@app.command()
def verify(name: Name) -> int:
    """Hash the files of a prepared dataset again, and compare."""
    from benchmark.datasets import open_dataset

    dataset = open_dataset(name)
    dataset.verify()
    print(f"{name} is as it was prepared: {len(dataset)} slices in {dataset.path}.")
    return 0


@app.command()
def show(
    name: Name,
    to: Annotated[
        Path | None,
        typer.Option(help="The PNG file to write; NAME.png by default.", show_default=False),
    ] = None,
) -> int:
    """Write a contact sheet: slices from all over the dataset, their masks outlined."""
    from benchmark.datasets import contact_sheet, open_dataset

    path = to or Path(f"{name}.png")
    if path.suffix.lower() != ".png":
        raise CovbenchError(f"{path} is no PNG file.", "Give a name that ends in .png.")
    print(f"Written: {contact_sheet(open_dataset(name), path)}")
    return 0


def _key_values(words: list[str]) -> dict[str, Any]:
    """The options of a preparation."""
    given: dict[str, Any] = {}
    for word in words:
        key, equals, value = (part.strip() for part in word.partition("="))
        if not key or not equals:
            raise CovbenchError(f"The option {word!r} can't be read.", "Write --option key=value.")
        if key in given:
            raise CovbenchError(f"The option {key!r} is given twice.", "Keep one of them.")
        given[key] = value
    return given


@contextmanager
def _progress(name: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """What shows how far a preparation is: a bar in a terminal, now and then a line elsewhere."""
    from rich.progress import Progress

    if console.is_terminal:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(f"Preparing {name}", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            console.print(f"Preparing {name}: {done} of {total}", highlight=False)

    yield tell


def _print_dataset(dataset: PreparedDataset) -> None:
    """What has been prepared, and what a user of it must know."""
    made = dataset.manifest
    labelled = sum(count for label, count in made.class_pixels.items() if label in made.classes)
    shares = [
        f"{title} {made.class_pixels.get(label, 0) / labelled:.3%}"
        for label, title in made.classes.items()
        if label
    ]
    known = {"all": "known", "some": "partly known", "none": "not known"}[made.groups_known]
    print_fields(
        [
            ("prepared", dataset.name),
            ("folder", dataset.path),
            ("slices", len(dataset)),
            ("groups", f"{made.groups} ({known})"),
            ("share of pixels", ", ".join(shares)),
            ("licence", made.licence),
            ("cite", made.citation),
            *(("note", note) for note in made.notes),
        ]
    )
