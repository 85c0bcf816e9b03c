"""All datasets by name: which there are, and how one is opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmark.datasets import coronacases20, ct100, folder, fused, medseg9, mosmed, phantom
from benchmark.datasets.manifest import MANIFEST
from benchmark.datasets.prepared import PreparedDataset, data_root
from benchmark.datasets.recipes import REVISION, DatasetCard, Recipe
from benchmark.window import LUNG_WINDOW, Window
from zoo.errors import CovbenchError, unknown

RECIPES: dict[str, Recipe] = {
    recipe.card.name: recipe
    for recipe in (
        phantom.RECIPE,
        ct100.RECIPE,
        medseg9.RECIPE,
        coronacases20.RECIPE,
        fused.RECIPE,
        mosmed.RECIPE,
        folder.RECIPE,
    )
}
_OWN = folder.CARD


def get_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        CovbenchError: There is none.
    """
    if name not in RECIPES:
        raise unknown("kind of dataset", name, RECIPES, ", ".join(RECIPES))
    return RECIPES[name]


def list_datasets(root: Path | None = None) -> list[DatasetCard]:
    """The cards of the datasets that covbench knows, then of the user's own prepared ones.

    The last card, `folder`, stands for data that a user has yet to prepare. A damaged dataset is
    listed without slices.
    """
    where = data_root(root)
    cards = [_card(where / name, RECIPES[name].card) for name in RECIPES if name != _OWN.name]
    for name in _prepared_names(where):
        if name not in RECIPES:
            blank = DatasetCard(name, "damaged", (), "unknown", "unknown", _OWN.obtain)
            cards.append(_card(where / name, blank))
    return [*cards, _OWN]


def open_dataset(
    name: str,
    root: Path | None = None,
    *,
    task: str = "infection",
    window: Window = LUNG_WINDOW,
) -> PreparedDataset:
    """Open a prepared dataset; a built-in one is prepared now if it isn't yet.

    Args:
        name: Its name.
        root: Where prepared datasets live; see `data_root`.
        task: What its masks are to be the truth of; one of `TASKS`.
        window: The Hounsfield units that are shown black and white: a protocol's `input.window`.

    Raises:
        CovbenchError: Nobody knows the name, or it isn't prepared, or its copy is damaged, or it
            has no lungs for their task, or it is 8-bit and another window is asked for.
    """
    from benchmark.datasets.prepare import prepare_dataset  # which needs the recipes above

    where = data_root(root)
    prepared = _prepared_names(where)
    if name not in prepared and (name not in RECIPES or name == _OWN.name):
        known = sorted({*RECIPES, *prepared} - {_OWN.name})
        if name == _OWN.name:
            raise CovbenchError(
                f"{name} is the way to prepare images of your own, not a dataset.",
                f"Give them a name: `{_OWN.obtain}`; then --data NAME.",
            )
        raise unknown("dataset", name, known, ", ".join(known))
    built_in = name in RECIPES and RECIPES[name].built_in
    if name in prepared:
        opened = PreparedDataset(where / name)
        if built_in and opened.manifest.revision != REVISION:
            opened = prepare_dataset(name, root=root, **opened.manifest.parameters)
        return PreparedDataset(opened.path, fresh=opened.fresh, task=task, window=window)
    if not built_in:
        raise CovbenchError(
            f"The dataset {name} is not prepared in {where}.",
            f"Download it, then run `{RECIPES[name].card.obtain}`.",
        )
    made = prepare_dataset(name, root=root)
    return PreparedDataset(made.path, fresh=made.fresh, task=task, window=window)


def verify_dataset(name: str, root: Path | None = None) -> None:
    """Hash a prepared dataset's files again.

    Raises:
        CovbenchError: A file is not what was prepared (the error names it), or there is no such
            dataset.
    """
    open_dataset(name, root).verify()


def _prepared_names(where: Path) -> list[str]:
    return sorted(path.parent.name for path in where.glob(f"[a-z0-9]*/{MANIFEST}"))


def _card(path: Path, card: DatasetCard) -> DatasetCard:
    """The card with what the prepared copy adds, where there is a whole one."""
    try:
        made = PreparedDataset(path).manifest
    except CovbenchError:
        return card
    own = card.name != made.recipe and made.recipe in RECIPES and made.recipe != _OWN.name
    return replace(
        card,
        title=RECIPES[made.recipe].card.title if made.recipe in RECIPES else made.recipe,
        obtain=f"{RECIPES[made.recipe].card.obtain} --as {card.name}" if own else card.obtain,
        tasks=made.tasks,
        licence=made.licence,
        citation=made.citation,
        slices=made.slices,
        manifest_hash=made.manifest_hash,
    )
