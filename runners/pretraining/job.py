"""PretrainJob: an encoder to be pretrained and where its parts lie on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmark.pretraining import Recipe
from results.files import file_name
from results.spec import Scalar, canonical_json, sha256
from zoo.selection import Row

REVISION = 1
"""Raised by hand when a change of the pretraining code changes its numbers."""


class PretrainSpec(BaseModel):
    """What exactly is pretrained, and the id that follows from it.

    Attributes:
        model: Name of the network in the registry.
        options: Its options that differ from their defaults.
        encoder: Name of the submodule that is trained.
        source: Hash of the network's source.
        recipe: Name of the recipe; its settings count, not its name.
        settings: Every setting of the recipe that changes a number, defaults filled in.
        data_hash: Hash of the manifest: every image's path and contents.
        revision: Revision of the pretraining code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    options: dict[str, Scalar] = {}
    encoder: str
    source: str
    recipe: str
    settings: dict[str, Any]
    data_hash: str
    revision: int = REVISION

    @property
    def id(self) -> str:
        """SHA-256 of what changes the encoder."""
        return sha256(canonical_json(self.model_dump(mode="json", exclude={"recipe"})))

    @property
    def title(self) -> str:
        """The network with its options: `miniseg[strict=true]`."""
        return Row(self.model, tuple(sorted(self.options.items()))).label

    def differences(self, other: PretrainSpec) -> list[str]:
        """What another pretraining of the same name has that this one has not, in words."""
        names = {
            "encoder": "the encoder's name",
            "source": "the network's source",
            "data_hash": "the images",
            "revision": "covbench's pretraining",
        }
        found = [word for key, word in names.items() if getattr(self, key) != getattr(other, key)]
        for section, fields in other.settings.items():
            for key, value in fields.items():
                if self.settings.get(section, {}).get(key) != value:
                    found.append(f"{section}.{key}={value}")
        return found


class PretrainJob(BaseModel):
    """A pretraining to be done; it travels to a worker as it is.

    Attributes:
        spec: What to train.
        recipe: The whole recipe.
        data: The folder of images.
        listing: Hash of the folder's listing when it was checked.
        out: Folder of the results.
        plugins: The user's model files and entry points, as given, to be loaded again.
        device: "cpu" or "cuda".
        gpu: Index of the GPU that the worker may see.
        threads: CPU threads; beside a GPU they decode.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: PretrainSpec
    recipe: Recipe
    data: Path
    listing: str
    out: Path
    plugins: tuple[str, ...] = ()
    device: str = "cpu"
    gpu: int | None = None
    threads: int = 1

    @property
    def folder(self) -> Path:
        """Where the encoder goes."""
        return self.out / file_name(self.spec.title)
