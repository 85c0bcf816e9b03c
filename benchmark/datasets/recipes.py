"""What a dataset is to covbench: a card, its options, and how its source files are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from benchmark.datasets.folds import GroupsKnown
from benchmark.labels import IGNORE
from zoo.errors import CovbenchError, unknown

REVISION = 3
"""Raised by hand when the same source files would be decoded to other pixels."""


@dataclass(frozen=True)
class DatasetCard:
    """What a listing shows of a dataset.

    `obtain` is the command that prepares it; `slices` and `manifest_hash` are None until it is.
    """

    name: str
    title: str
    tasks: tuple[str, ...]
    licence: str
    citation: str
    obtain: str
    slices: int | None = None
    manifest_hash: str | None = None


@dataclass(frozen=True)
class Slice:
    """One decoded slice on its way into the prepared copy; its arrays are (H, W) uint8.

    An `image` of int16 holds Hounsfield units, and then every image of the dataset does.
    `lung` is 1 inside the lungs, left and right alike, and None where nobody outlined them: then
    no slice of the dataset has it. `source` names the collection, where a dataset has several.
    """

    id: str
    group: str
    image: NDArray[np.uint8] | NDArray[np.int16]
    mask: NDArray[np.uint8]
    spacing_mm: tuple[float, float] | None = None
    lung: NDArray[np.uint8] | None = None
    source: str = ""


@dataclass(frozen=True)
class Decoded:
    """All slices of a source, in order, one list per step of progress.

    `fold_list` names the shipped folds that fit these slices; `notes` say what was recognised.
    """

    steps: Iterator[list[Slice]]
    groups_known: GroupsKnown
    fold_list: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """The files that a preparation reads, found but not yet decoded, and the number of steps."""

    files: Mapping[str, Path]
    steps: int
    decode: Callable[[], Decoded]


class Options(BaseModel):
    """What a user may choose when preparing a dataset.

    `later` names the options that came after a first version: at its default, each is left out of
    the manifest, so that what was prepared before keeps its identity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    later: ClassVar[frozenset[str]] = frozenset()

    def parameters(self) -> dict[str, Any]:
        """The options as a manifest keeps them, as plain JSON values."""
        fields = type(self).model_fields
        idle = {name for name in self.later if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", exclude=idle)


O_ = TypeVar("O_", bound=Options)


@dataclass(frozen=True)
class Recipe:
    """A kind of dataset: its card, its options and what finds its files."""

    card: DatasetCard
    options: type[Options]
    find: Callable[[Path | None, Any], Source]
    built_in: bool = False

    def parse(self, given: Mapping[str, Any]) -> Options:
        """The options as given, checked, with the defaults filled in.

        Raises:
            CovbenchError: An option is unknown or its value unfit.
        """
        known = list(self.options.model_fields)
        for key in given:
            if key not in known:
                listing = ", ".join(known) or "none"
                raise unknown(f"option of the dataset {self.card.name}", key, known, listing)
        try:
            return self.options.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            key = str(first["loc"][0]) if first["loc"] else "options"
            reason = first["msg"].removeprefix("Value error, ").rstrip(".")
            raise CovbenchError(
                f"The option {key}={given.get(key)} of the dataset {self.card.name} does not "
                f"fit: {reason}.",
                f"Mend {key}, or leave it out for its default.",
            ) from error


def source_folder(source: Path | None, card: DatasetCard) -> Path:
    """The folder that a user named.

    Raises:
        CovbenchError: None was named, or it is no folder.
    """
    if source is None:
        raise CovbenchError(
            f"The dataset {card.name} needs the folder with the files that you downloaded.",
            f"Name it: `{card.obtain}`.",
        )
    if not source.is_dir():
        raise CovbenchError(f"{source} is no folder.", f"Name one: `{card.obtain}`.")
    return source


def _pair(value: object) -> object:
    """`-1250,250` from a command line becomes a pair."""
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return value


def _ascending(window: tuple[float, float]) -> tuple[float, float]:
    low, high = window
    if not -1e9 < low < high < 1e9:
        raise ValueError("a window is two numbers, the lower one first")
    return window


def _mapping(value: object) -> object:
    """`1:1,2:1` from a command line becomes a mapping."""
    if isinstance(value, str):
        pairs = [pair.partition(":") for pair in value.replace(",", " ").split()]
        return {key: label for key, _, label in pairs}
    return value


def _classes(label_map: dict[int, int]) -> dict[int, int]:
    """Background added; classes must run from 0 without a gap."""
    full = {0: 0, **label_map}
    used = sorted(set(full.values()) - {IGNORE})
    if used != list(range(len(used))) or len(used) < 2:
        raise ValueError(
            f"classes must be 0, 1, … without a gap (255 = ignore), and here they are {used}"
        )
    return dict(sorted(full.items()))


WindowOption = Annotated[tuple[float, float], BeforeValidator(_pair), AfterValidator(_ascending)]
LabelMapOption = Annotated[dict[int, int], BeforeValidator(_mapping), AfterValidator(_classes)]
