"""`covbench data`: from downloaded files to a verified local copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
        str,
        typer.Argument(
            help="A public dataset (`covbench data list`), or folder for your own images/ and "
            "masks/."
        ),
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
    lists: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the folds as lists: train0.txt, val0.txt, train1.txt, ...",
            show_default=False,
        ),
    ] = None,
    download: Annotated[
        bool,
        typer.Option(
            "--download", help="Fetch the files first, into FOLDER or the data folder; resumes."
        ),
    ] = False,
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
    if download:
        folder = _download(name, folder or from_, console)
    with _progress(name, console) as progress:
        dataset = prepare_dataset(
            name, folder or from_, as_name=as_name, progress=progress, lists=lists, **settings
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
def verify(name: Name, as_json: options.Json = False) -> int:
    """Hash the files of a prepared dataset again, and look for patients on both sides of a fold."""
    from benchmark.datasets import open_dataset

    dataset = open_dataset(name)
    dataset.verify()
    if as_json:
        options.print_json([_verified(dataset)])
        return 0
    print(f"{name} is as it was prepared: {len(dataset)} slices in {dataset.path}.")
    print_fields(_folds(dataset))
    return 0


def _verified(dataset: PreparedDataset) -> dict[str, Any]:
    """What was verified, for JSON; `folds` is null where none can be made."""
    from benchmark.datasets.leakage import find_leaks
    from benchmark.protocols import SplitRule

    made = dataset.manifest
    try:
        leaks = find_leaks(dataset, SplitRule())
        folds = [
            {
                "fold": fold.number,
                "train": len(fold.train),
                "test": len(fold.test),
                "groups_disjoint": fold.groups_disjoint,
                "shared": [
                    {"group": leak.group, "train": leak.train, "test": leak.test}
                    for leak in leaks
                    if leak.fold == fold.number
                ],
            }
            for fold in dataset.folds(SplitRule())
        ]
    except CovbenchError:
        folds = None
    return {
        "name": dataset.name,
        "path": str(dataset.path),
        "slices": made.slices,
        "groups": made.groups,
        "groups_known": made.groups_known,
        "manifest_hash": made.manifest_hash,
        "folds": folds,
    }


_NAMED = 3  # slices of a leak that are listed


def _folds(dataset: PreparedDataset) -> list[tuple[str, str]]:
    """The folds under the default rule, and the groups that they have on both sides."""
    from benchmark.datasets.leakage import find_leaks
    from benchmark.protocols import SplitRule

    try:
        folds = dataset.folds(SplitRule())
        leaks = find_leaks(dataset, SplitRule())
    except CovbenchError as error:
        return [("folds", f"none by default: {error.problem} {error.remedy}")]
    found = f"{len(leaks)} leak{'s' * (len(leaks) > 1)}" if leaks else ""
    known = {
        "all": "no group is on both sides",
        "some": "no known group is on both sides; most are not known",
        "none": "whether they share patients is not known",
    }[dataset.manifest.groups_known]
    return [
        ("folds", f"{len(folds)}: {found or known}"),
        *(
            (
                "leak",
                f"fold {leak.fold}: {leak.group} trains ({_ids(leak.train)}) "
                f"and tests ({_ids(leak.test)})",
            )
            for leak in leaks
        ),
    ]


def _ids(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


@app.command()
def show(
    name: Name,
    to: Annotated[
        Path | None,
        typer.Option(help="The PNG file to write; NAME.png by default.", show_default=False),
    ] = None,
) -> int:
    """Write a contact sheet: slices from all over the dataset, masks and lungs outlined."""
    from benchmark.datasets import contact_sheet, open_dataset

    path = to or Path(f"{name}.png")
    if path.suffix.lower() != ".png":
        raise CovbenchError(f"{path} is no PNG file.", "Give a name that ends in .png.")
    print(f"Written: {contact_sheet(open_dataset(name), path)}")
    return 0


def _download(name: str, folder: Path | None, console: Console) -> Path:
    """Fetch a dataset's files; licence and citation are shown before."""
    from benchmark.datasets import data_root
    from benchmark.datasets.catalogue import get_recipe
    from benchmark.datasets.download import download

    recipe = get_recipe(name)
    if not recipe.downloads:
        raise CovbenchError(
            f"The dataset {name} has no address that it can be downloaded from.",
            f"{recipe.card.where} Then `{recipe.card.obtain}`."
            if recipe.card.where
            else f"Use files that you have: `{recipe.card.obtain}`.",
        )
    to = folder or data_root() / "downloads" / name
    for text in (
        f"Downloading {name} to {to}",
        f"Licence: {recipe.card.licence}",
        f"Cite: {recipe.card.citation}",
    ):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    with _progress(name, console, "Downloading", 2**20, " MiB") as progress:
        return download(recipe.downloads, to, progress)


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
def _progress(
    name: str, console: Console, doing: str = "Preparing", unit: int = 1, called: str = ""
) -> Iterator[Callable[[int, int], None]]:
    """What shows how far a work is: a bar in a terminal, now and then a line elsewhere."""
    from rich.progress import Progress

    from runners.display import Seldom

    if console.is_terminal:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(f"{doing} {name}", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total or None)
        return
    seldom = Seldom(lambda text: console.print(text, highlight=False))
    yield lambda done, total: seldom(
        lambda: f"{doing} {name}: {done // unit} of {total // unit}{called}"
    )


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
            *_folds(dataset),
            ("licence", made.licence),
            ("cite", made.citation),
            *(("note", note) for note in made.notes),
        ]
    )
