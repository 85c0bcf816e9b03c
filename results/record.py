"""RunRecord: everything that is known of a finished run, and Failure, of one that failed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from benchmark.complexity import Cost
from benchmark.labels import ALL, IGNORE
from benchmark.metrics import Score
from results.files import parse_json
from results.spec import RunSpec, canonical_json, sha256

SCHEMA = 1

_LATER = {"data": ("n_validation", "classes"), "training": ("validation_curve", "chosen_epoch")}
"""Fields that came later: at their defaults they are not written, as before there were any."""


def now() -> str:
    """The present time in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Code(_Block):
    """What program ran: covbench's version and commit, and the class that was really built."""

    version: str
    git_commit: str | None
    git_dirty: bool | None
    network_class: str


class Environment(_Block):
    """The machine and its software. Recorded, and never part of a run's id.

    `variables` are the environment variables that numbers or speeds can depend on, from a fixed
    list: nothing else of the environment is ever written down.
    """

    python: str
    platform: str
    cpu: str
    threads: int
    packages: dict[str, str]
    device: str
    cuda: str | None
    driver: str | None
    deterministic: bool
    variables: dict[str, str] = {}


class Data(_Block):
    """What was trained and tested on; patients on both sides of the fold are named.

    `n_validation` slices were held out of the training part, and are not among `n_train`.
    `classes` names the labels of several kinds of lesion; it is empty where there is one.
    """

    manifest_hash: str
    fold_hash: str
    n_train: int
    n_test: int
    groups_disjoint: bool
    shared_groups: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_validation: int = 0
    classes: dict[int, str] = {}

    @field_validator("classes")
    @classmethod
    def _labels(cls, classes: dict[int, str]) -> dict[int, str]:
        if len(classes) >= IGNORE or sorted(classes) != list(range(1, len(classes) + 1)):
            raise ValueError(f"classes are numbered from 1, and fewer than {IGNORE}")
        return dict(sorted(classes.items()))


class Training(_Block):
    """How the training went; the curve is the mean loss of each epoch.

    `validation_curve` is the loss on the slices held out, after each epoch; `chosen_epoch`, from 1,
    the one whose weights were scored, where those of the last step were not.
    `micro_batch` is set where GPU memory ran out and the protocol let batches be taken in parts:
    so many images at a time, at the end.
    """

    epochs: int
    steps: int
    selection: str
    seconds: float
    resumed: int
    peak_memory_bytes: int
    curve: tuple[float, ...]
    validation_curve: tuple[float, ...] = ()
    chosen_epoch: int | None = None
    micro_batch: int | None = None


class Counts(_Block):
    """Pixels over all test images, pooled."""

    tp: int
    fp: int
    fn: int
    tn: int


class RunRecord(_Block):
    """One finished run. `payload_sha256` shows damage to the file; it is no proof of honesty."""

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    spec: RunSpec
    started: str
    finished: str
    code: Code
    env: Environment
    data: Data
    training: Training | None
    scores: dict[str, dict[str, Score]]
    counts: dict[str, Counts]
    cost: Cost
    speed: tuple[dict[str, Any], ...] = ()
    evaluation_seconds: float
    weights_name: str | None = None
    files: dict[str, str] = {}

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @field_validator("scores", "counts")
    @classmethod
    def _all_first(cls, by_target: dict[str, Any]) -> dict[str, Any]:
        """All lesions before each class: no hash covers the order in the file."""
        return dict(sorted(by_target.items(), key=lambda item: item[0] != ALL))

    def to_text(self) -> str:
        """The record as JSON, with the SHA-256 of its own canonical payload."""
        idle = {
            name: {field for field in fields if _is_default(getattr(self, name), field)}
            for name, fields in _LATER.items()
        }
        payload = self.model_dump(mode="json", by_alias=True, exclude=idle)
        return json.dumps({**payload, "payload_sha256": sha256(canonical_json(payload))}, indent=1)

    @classmethod
    def from_text(cls, text: str) -> RunRecord:
        """Read a record back.

        Raises:
            ValueError: The text is no record, is damaged, or comes from a newer covbench.
        """
        payload = parse_json(text)
        if not isinstance(payload, dict):
            raise ValueError("not a JSON object")
        if payload.get("schema") != SCHEMA:
            raise ValueError(f"schema {payload.get('schema')!r}; this covbench reads {SCHEMA}")
        expected = payload.pop("payload_sha256", None)
        if sha256(canonical_json(payload)) != expected:
            raise ValueError("its contents don't match its SHA-256")
        return cls.model_validate(payload)


def _is_default(block: BaseModel | None, field: str) -> bool:
    return block is not None and getattr(block, field) == type(block).model_fields[field].default


Status = Literal[
    "out of memory",
    "diverged",
    "disk full",
    "killed",
    "hung",
    "needs weights",
    "needs runs",
    "error",
]


class Failure(_Block):
    """Why a run failed, beside the records; a table shows its status.

    `curve` is the mean loss of each epoch before, where the loss was no longer finite.
    """

    spec: RunSpec
    attempt: int
    status: Status
    exception: str
    hint: str
    log_tail: str
    time: str
    curve: tuple[float, ...] = ()
