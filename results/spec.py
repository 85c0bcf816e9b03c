"""RunSpec: what exactly is trained or scored, and the id that follows from it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from benchmark.datasets.inside import Cascade
from results.files import file_name
from zoo.errors import one_line
from zoo.selection import Row

TRAINING_REVISION = 1
"""Raised by hand when a change of the training code changes its numbers; a golden run guards it."""

SCORING_REVISION = 1
"""Raised by hand when a change of the scoring code changes its numbers."""

Scalar = bool | int | float | str | None

_LATER = ("cascade", "needs", "inner", "trained")
"""Fields that specs of earlier versions lack: left out where they are at their default, so that
ids and records of earlier runs stay as they are."""


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII.

    Raises:
        ValueError: The value holds a NaN or an infinity, which JSON does not know.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(text: str | bytes) -> str:
    """SHA-256 of a text (as UTF-8) or of bytes, in hexadecimal."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


class Trained(BaseModel):
    """The run that trained the weights of a run on another dataset.

    Attributes:
        run: Its id.
        dataset: Name of the dataset that it was trained on.
        data_hash: Hash of that dataset.
        fold: Number of the fold whose training part it was trained on.
        fold_hash: Hash of that fold.
        lungs: SHA-256 of the weights of its lung network, where it is a cascade.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    dataset: str
    data_hash: str
    fold: int
    fold_hash: str
    lungs: str | None = None

    @model_serializer(mode="wrap")
    def _without_none(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        return {name: value for name, value in found.items() if value is not None}


class RunSpec(BaseModel):
    """One run: a network on one fold of a dataset under one protocol with one seed.

    Attributes:
        model: Name of the network in the registry.
        options: Its options that differ from their defaults.
        task: What is segmented, and how.
        dataset: Name of the dataset; the data themselves are identified by `data_hash`.
        data_hash: Hash of the prepared data's manifest.
        fold: Number of the fold, from 1; 0 where all slices are tested and none trains.
        fold_hash: Hash of the case ids on both sides of the fold.
        protocol: Name of the protocol; its settings count, not its name.
        settings: Every setting of the protocol that changes the number, defaults filled in.
        seed: Seed of initialisation, order, augmentation and dropout.
        source: Hash of the network's source.
        weights: SHA-256 of the weights file that was scored instead of a training's result.
        cascade: How predicted lungs reach this network, where its task is hierarchical.
        needs: Ids of the runs that predict these lungs: first that of the test slices, then those
            of the training slices, part by part.
        inner: Which part of the fold's training slices was tested, and of how many: such a run
            serves a cascade alone, and stands in no table.
        trained: The run on another dataset that these weights come from, whose seed is this one's;
            None where the weights are this run's own or were given by hand.
        training_revision: Revision of the training code.
        scoring_revision: Revision of the scoring code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    options: dict[str, Scalar] = {}
    task: str = "infection"
    dataset: str
    data_hash: str
    fold: int
    fold_hash: str
    protocol: str
    settings: dict[str, Any]
    seed: int
    source: str
    weights: str | None = None
    cascade: Cascade | None = None
    needs: tuple[str, ...] = ()
    inner: tuple[PositiveInt, PositiveInt] | None = None
    trained: Trained | None = None
    training_revision: int = TRAINING_REVISION
    scoring_revision: int = SCORING_REVISION

    @property
    def id(self) -> str:
        """SHA-256 of what changes the number; names of data and protocol are not part of it."""
        names: dict[str, Any] = dict.fromkeys(("dataset", "fold", "protocol"), True)
        names["trained"] = {"dataset", "fold"}
        return sha256(canonical_json(self.model_dump(mode="json", exclude=names)))

    @model_serializer(mode="wrap")
    def _without_later(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        unset = {name for name in _LATER if getattr(self, name) == _default(name)}
        return {name: value for name, value in found.items() if name not in unset}

    @property
    def row(self) -> str:
        """The row of a table that this run belongs to: `miniseg`, `miniseg[strict=true]`."""
        label = Row(self.model, tuple(sorted(self.options.items()))).label
        if self.task != "infection":
            words = self.cascade.words if self.cascade else ""
            label += f" ({self.task}, {words})" if words else f" ({self.task})"
        given = self.weights if self.trained is None else None
        return label + (f" (weights {given[:8]})" if given else "")

    @property
    def title(self) -> str:
        """The run in a few words, for progress lines and errors."""
        part = f" part {self.inner[0]} of {self.inner[1]}" if self.inner else ""
        where = f"{self.dataset} fold {self.fold}{part}"
        if self.trained is not None:
            where = f"{self.trained.dataset} fold {self.trained.fold} on {self.dataset}"
        return one_line(f"{self.row} · {where} seed {self.seed}")

    @property
    def truth(self) -> str:
        """What it is scored against: infection, whichever way it was found, lung, or multiclass."""
        return "infection" if self.task == "hierarchical" else self.task

    @property
    def folder(self) -> str:
        """Relative folder of the run in a store; readable, and unique by the id's first 12."""
        part = f"-part{self.inner[0]}of{self.inner[1]}" if self.inner else ""
        data = f"{_slug(self.dataset)}-fold{self.fold}{part}"
        if self.trained is not None:
            data = f"{_slug(self.trained.dataset)}-fold{self.trained.fold}-on-{_slug(self.dataset)}"
        return f"{file_name(self.row)}/{data}-seed{self.seed}-{self.id[:12]}"


def _slug(dataset: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", dataset).strip("-.")[:40]


def _default(name: str) -> Any:
    return RunSpec.model_fields[name].get_default()
