"""Which datasets there are, and what of them is prepared on this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.datasets import data_root, list_datasets, open_dataset
from benchmark.datasets.catalogue import RECIPES
from benchmark.datasets.manifest import MANIFEST
from benchmark.protocols import SplitRule
from zoo.errors import CovbenchError

State = Literal["prepared", "not prepared", "made at first use", "damaged"]


@dataclass(frozen=True)
class Holding:
    """One dataset as a listing shows it.

    Attributes:
        name: Its name after --data, or "folder" for a user's own files.
        title: What it is.
        state: Whether it is prepared here.
        path: Folder of the prepared copy.
        slices: Number of slices.
        groups: Number of groups (patients, scans or studies).
        folds: Number of folds under the default split rule; None where it can't be met.
        tasks: What can be segmented.
        licence: Its licence.
        citation: What to cite.
        obtain: The command that prepares it.
        manifest_hash: The identity of the prepared data.
    """

    name: str
    title: str
    state: State
    path: str | None
    slices: int | None
    groups: int | None
    folds: int | None
    tasks: tuple[str, ...]
    licence: str
    citation: str
    obtain: str
    manifest_hash: str | None

    @property
    def summary(self) -> str:
        """The state, with the numbers of a prepared copy."""
        if self.state != "prepared":
            return self.state
        folds = "no folds" if self.folds is None else f"{self.folds} folds"
        return f"{self.slices} slices, {self.groups} groups, {folds}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def holdings(root: Path | None = None) -> list[Holding]:
    """All datasets that can be had, and the user's own prepared ones.

    Args:
        root: Where prepared datasets live; see `benchmark.datasets.data_root`.

    Returns:
        One entry a dataset. Nothing is prepared by asking.
    """
    found = []
    for card in list_datasets(root):
        path = data_root(root) / card.name
        state: State
        groups = folds = None
        if card.slices is not None:
            state = "prepared"
            dataset = open_dataset(card.name, root)
            groups = dataset.manifest.groups
            try:
                folds = len(dataset.folds(SplitRule()))
            except CovbenchError:
                folds = None  # such as fewer groups than folds; a run says what to set
        elif (path / MANIFEST).is_file():
            state = "damaged"
        else:
            built_in = card.name in RECIPES and RECIPES[card.name].built_in
            state = "made at first use" if built_in else "not prepared"
        found.append(
            Holding(
                name=card.name,
                title=card.title,
                state=state,
                path=str(path) if (path / MANIFEST).is_file() else None,
                slices=card.slices,
                groups=groups,
                folds=folds,
                tasks=card.tasks,
                licence=card.licence,
                citation=card.citation,
                obtain=card.obtain,
                manifest_hash=card.manifest_hash,
            )
        )
    return found
