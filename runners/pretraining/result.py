"""What is known of a pretrained encoder: `pretrain.json` beside its file."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from results.files import parse_json, sha256_file, write_atomically
from results.record import Code, Environment
from results.spec import canonical_json, sha256
from runners.pretraining.job import PretrainSpec
from zoo.errors import CovbenchError, first_line
from zoo.limits import read_limited

RESULT = "pretrain.json"
ENCODER = "encoder.safetensors"
BEGUN = "begun.json"

SCHEMA = 1


class Images(BaseModel):
    """What was trained and validated on, and how it was normalised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest_hash: str
    classes: int
    n_train: int
    n_val: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class PretrainResult(BaseModel):
    """One pretrained encoder. Shares are of all validation images, after the last epoch.

    `curve` holds the mean loss of every epoch, `top1_curve` the share after it; `files` the SHA-256
    of what lies beside. `payload_sha256` in the file shows damage; it is no proof of honesty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    spec: PretrainSpec
    started: str
    finished: str
    code: Code
    env: Environment
    data: Images
    epochs: int
    steps: int
    seconds: float
    resumed: int
    top1: float
    top5: float | None
    curve: tuple[float, ...]
    top1_curve: tuple[float, ...]
    files: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        payload = self.model_dump(mode="json", by_alias=True)
        signed = {**payload, "payload_sha256": sha256(canonical_json(payload))}
        write_atomically(folder / RESULT, json.dumps(signed, indent=1))


def read_result(folder: Path) -> PretrainResult | None:
    """The finished pretraining of a folder, or None where there is none.

    Raises:
        CovbenchError: The file is damaged, or its encoder is missing or another one.
    """
    path = folder / RESULT
    try:
        payload = parse_json(read_limited(path, "record_bytes"))
        if not isinstance(payload, dict):
            raise ValueError("it is no JSON object")
        expected = payload.pop("payload_sha256", None)
        if sha256(canonical_json(payload)) != expected:
            raise ValueError("its contents don't match its SHA-256")
        found = PretrainResult.model_validate(payload)
        if sha256_file(folder / ENCODER) != found.files[ENCODER]:
            raise ValueError(f"{ENCODER} is not the file that it names")
    except FileNotFoundError as error:
        if not path.exists():
            return None
        raise _damaged(path, f"{error.filename} is missing") from error
    except (ValueError, KeyError, OSError) as error:
        what = "it is no result" if isinstance(error, ValidationError) else str(error)
        raise _damaged(path, what) from error
    return found


def read_begun(folder: Path) -> PretrainSpec | None:
    """What the checkpoints of a folder belong to, or None where nothing was begun."""
    try:
        return PretrainSpec.model_validate_json(read_limited(folder / BEGUN, "record_bytes"))
    except (OSError, ValueError, CovbenchError):
        return None


def _damaged(path: Path, what: str) -> CovbenchError:
    return CovbenchError(
        f"{path} can't be trusted: {first_line(what)}.",
        f"Restore {path.parent}, or delete it and pretrain again.",
    )
