"""The manifest of a prepared dataset: what it is, where it came from, and its identity."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.datasets.folds import GroupsKnown

Values = Literal["grey", "hu"]

MANIFEST, CASES = "manifest.json", "cases.csv"
IMAGES, MASKS, LUNGS = "images.raw", "masks.raw", "lungs.raw"


class Manifest(BaseModel):
    """What a prepared dataset is.

    `sources` gives the SHA-256 of every source file by its name within the source folder;
    `files` that of the prepared files; `class_pixels` counts the pixels of each label. `values`
    says what images.raw holds: 8-bit grey, or 16-bit Hounsfield units.
    `manifest_hash` is the identity of the data: see `identity`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    name: str
    recipe: str
    revision: int
    parameters: dict[str, Any]
    sources: dict[str, str]
    files: dict[str, str]
    values: Values = "grey"
    slices: int
    groups: int
    groups_known: GroupsKnown
    fold_list: str | None
    classes: dict[int, str]
    class_pixels: dict[int, int]
    tasks: tuple[str, ...]
    licence: str
    citation: str
    notes: tuple[str, ...]
    manifest_hash: str = ""

    def identity(self) -> str:
        """SHA-256 over what defines the data, as canonical JSON.

        That is the prepared files (pixels, labels, ids, groups, sizes, spacing), the parameters,
        the classes, the folds and, other than grey, the kind of values: no name, path or time.
        The lungs are not part of it, so that a run on the infection is the same run whether or
        not they were outlined; see `PreparedDataset.data_hash`.
        """
        keys = ("schema", "parameters", "files", "groups_known", "fold_list", "classes")
        whole = self.model_dump(mode="json", by_alias=True)
        defining = {key: whole[key] for key in keys}
        defining["files"] = {name: sha for name, sha in self.files.items() if name != LUNGS}
        if self.values != "grey":
            defining["values"] = self.values
        text = json.dumps(defining, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
