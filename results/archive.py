"""One file to hand on: the records of a store without what tells of people and machines."""

from __future__ import annotations

import io
import lzma
import secrets
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field

from results.anonymous import Pseudonyms, account, anonymous, hide_cases, hide_predictions
from results.cases import CASES
from results.contents import check_cases, check_predictions, check_values
from results.files import found_below, sha256_file, write_atomically
from results.predictions import PREDICTIONS, masks_alone
from results.provenance import covbench_version
from results.record import Failure, RunRecord
from results.spec import RunSpec, sha256
from results.store import RECORD, Damaged, Store
from results.untrusted import LIMITS, MANIFEST, WEIGHTS, Refused, kind_of
from zoo.errors import CovbenchError
from zoo.limits import limits, read_limited

SCHEMA = 1
NOTE = "The hashes show damage, not honesty: whoever made this file could have written anything."
Predictions = Literal["none", "first-seed", "all"]

_PRESET = 6 | lzma.PRESET_EXTREME


class Manifest(BaseModel):
    """The first file of an archive: what is in it.

    Attributes:
        covbench: Version that wrote it.
        runs: Number of records.
        failures: Number of accounts of failed attempts.
        hidden_cases: Whether images and patients have other names.
        note: What the hashes are worth.
        files: Name of every other file and its SHA-256.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    covbench: str
    runs: int
    failures: int
    hidden_cases: bool
    note: str = NOTE
    files: dict[str, str]


@dataclass(frozen=True)
class Keep:
    """What goes into an archive besides records, per-image scores and accounts of failures.

    Attributes:
        predictions: Of no run, of the first seed of each network and fold, or of all.
        masks: Whether predictions are kept as masks alone, which are many times smaller.
        weights: Whether trained weights do.
        sources: Whether the files of users' own networks do.
        hide_cases: Whether images and patients get other names.
    """

    predictions: Predictions = "none"
    masks: bool = False
    weights: bool = False
    sources: bool = False
    hide_cases: bool = False


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes:
        manifest: The manifest of the archive.
        specs: What was run, of every record in it.
        left_out: Sentences on what could not go in.
    """

    manifest: Manifest
    specs: tuple[RunSpec, ...]
    left_out: tuple[str, ...]

    @property
    def predictions(self) -> int:
        """Number of files of predictions."""
        return self._count(PREDICTIONS)

    @property
    def weights(self) -> int:
        """Number of files of weights."""
        return self._count(WEIGHTS)

    @property
    def sources(self) -> int:
        """Number of files of users' own networks."""
        return self._count(".py")

    def _count(self, end: str) -> int:
        return sum(name.endswith(end) for name in self.manifest.files)


@dataclass
class _Parcel:
    """What is on its way into the archive, by name: the bytes, or the file that has them."""

    keep: Keep
    names: Pseudonyms
    scratch: Path
    files: dict[str, bytes | Path] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add_record(self, record: RunRecord, folder: Path, with_predictions: bool) -> None:
        """Add a record and what lies beside it.

        Raises:
            Refused: The per-image scores are missing or damaged, or hold what no import takes.
            CovbenchError: The record holds a path.
        """
        wanted = {CASES: True, PREDICTIONS: with_predictions, WEIGHTS: self.keep.weights}
        hashes: dict[str, str] = {}
        found: dict[str, bytes | Path] = {}
        for name, expected in record.files.items():
            content = None
            # Of other files only sources may go along, and only where they are asked for.
            table = name.startswith("cases-") and name.endswith(".csv")
            if table or wanted.get(name, self.keep.sources):
                kind = kind_of(f"{record.spec.folder}/{name}")
                try:
                    content = self._fetch(folder / name, kind, expected)
                except Refused as error:
                    if name == CASES:
                        raise
                    self.left_out.append(f"{error}.")
            if content is not None:
                found[name] = content
                hashes[name] = _sha256(content)
            elif name == WEIGHTS or (name == PREDICTIONS and not self.keep.hide_cases):
                hashes[name] = expected  # whoever gets that file elsewhere can check it
        shared = anonymous(record.model_copy(update={"files": hashes}), self.names)
        check_values(shared.model_dump(mode="json"))
        found[RECORD] = shared.to_text().encode()
        self.files |= {f"{record.spec.folder}/{name}": each for name, each in found.items()}

    def _fetch(self, path: Path, kind: str, expected: str) -> bytes | Path:
        """The contents of a file, with other names where they are hidden.

        Raises:
            Refused: It is missing, damaged, or none that an import takes.
        """
        if not path.is_file() or sha256_file(path) != expected:
            raise Refused(f"{path} is missing or doesn't match the SHA-256 in its record")
        most = int(getattr(limits(), LIMITS[kind]))
        if path.stat().st_size > most:
            raise Refused(f"{path} has more than {most} bytes (limit {LIMITS[kind]})")
        if kind == PREDICTIONS:
            with path.open("rb") as file:
                check_predictions(file)
            if self.keep.masks or self.names.key is not None:
                return self._changed(path, expected)
        if kind == CASES:
            content = path.read_bytes()
            content = content if self.names.key is None else hide_cases(content, self.names)
            check_cases(content)
            return content
        return path

    def _changed(self, path: Path, expected: str) -> Path:
        """Predictions as masks, or with other names, or both; in a file of its own."""
        content = path.read_bytes()
        if self.keep.masks:
            content = masks_alone(content)
        if self.names.key is not None:
            content = hide_predictions(content, self.names)
        changed = self.scratch / expected
        changed.write_bytes(content)
        return changed

    def add_failure(self, failure: Failure) -> None:
        """Add the account of a failed attempt."""
        name = f"{failure.spec.folder}/failed-{failure.attempt}.json"
        self.files.setdefault(name, account(failure).model_dump_json(indent=1).encode())


def pack(
    root: Path,
    target: Path,
    wanted: Callable[[RunSpec], bool] = lambda _: True,
    keep: Keep = Keep(),
) -> Packed:
    """Write the runs of a store into one archive: tar, compressed with xz as a whole.

    The same runs give the same bytes, unless cases are hidden: names are in order, and no time or
    owner is kept.

    Args:
        root: The folder of the store.
        target: The archive, which is replaced if it is there.
        wanted: Which runs; all by default.
        keep: What goes in besides records, per-image scores and accounts of failures.

    Raises:
        CovbenchError: There are no such runs, or one of them holds a path that can't be taken away.
    """
    found, damaged = _records(root, wanted)
    first = _first_seeds(record.spec for record, _ in found.values())
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as scratch:
        key = secrets.token_bytes(32) if keep.hide_cases else None
        parcel = _Parcel(keep, Pseudonyms(key), Path(scratch), left_out=damaged)
        specs = []
        for record, folder in found.values():
            chosen = keep.predictions == "all" or record.spec.id in first
            try:
                parcel.add_record(record, folder, keep.predictions != "none" and chosen)
            except Refused as error:
                parcel.left_out.append(f"{record.spec.title}: {error}.")
            else:
                specs.append(record.spec)
        for failure in _failures(root, wanted):
            parcel.add_failure(failure)
        if not parcel.files:
            lost = f" {parcel.left_out[0]}" if parcel.left_out else ""
            raise CovbenchError(
                f"There are no runs to export below {root}.{lost}",
                "`covbench status` shows what is there; check --from and the selection.",
            )
        manifest = Manifest(
            covbench=covbench_version(),
            runs=len(specs),
            failures=sum("/failed-" in name for name in parcel.files),
            hidden_cases=keep.hide_cases,
            files={name: _sha256(each) for name, each in sorted(parcel.files.items())},
        )
        text = manifest.model_dump_json(by_alias=True, indent=1)
        files = {MANIFEST: text.encode(), **dict(sorted(parcel.files.items()))}
        try:
            write_atomically(target, lambda file: _write(file, files))
        except ValueError as error:  # a tar's names have at most 255 characters
            raise CovbenchError(
                f"The runs can't be exported: {error}.", "Leave out those with the longest names."
            ) from error
    return Packed(manifest, tuple(specs), tuple(parcel.left_out))


def _records(
    root: Path, wanted: Callable[[RunSpec], bool]
) -> tuple[dict[str, tuple[RunRecord, Path]], list[str]]:
    """The records by id, each with its folder, and sentences on those that can't be read.

    A run counts once, however often it was copied.
    """
    found: dict[str, tuple[RunRecord, Path]] = {}
    damaged = []
    paths = found_below(root, RECORD)
    for path, each in zip(paths, Store(root).records(), strict=True):
        if isinstance(each, Damaged):
            damaged.append(f"{each.path}: {each.reason}.")
        elif each.spec.id not in found and wanted(each.spec):
            found[each.spec.id] = each, path.parent
    return found, damaged


def _failures(root: Path, wanted: Callable[[RunSpec], bool]) -> Iterator[Failure]:
    """The readable accounts of failed attempts."""
    for path in found_below(root, "failed-*.json"):
        try:
            failure = Failure.model_validate_json(read_limited(path, "failure_bytes"))
            check_values(failure.spec.model_dump(mode="json"))
        except (OSError, ValueError, CovbenchError):
            continue  # as in `covbench status`: an account that can't be read tells nothing
        if failure.attempt > 0 and wanted(failure.spec):
            yield failure


def _first_seeds(specs: Iterator[RunSpec]) -> set[str]:
    """The ids of the runs with the lowest seed of each network on each fold."""
    first: dict[str, RunSpec] = {}
    for spec in sorted(specs, key=lambda each: each.seed):
        first.setdefault(spec.model_copy(update={"seed": 0}).id, spec)
    return {spec.id for spec in first.values()}


def _sha256(content: bytes | Path) -> str:
    return sha256(content) if isinstance(content, bytes) else sha256_file(content)


def _write(file: BinaryIO, files: Mapping[str, bytes | Path]) -> None:
    """The archive itself; every entry has the same mode, owner and time."""
    with (
        lzma.open(file, "wb", preset=_PRESET) as xz,
        tarfile.open(fileobj=xz, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.size = content.stat().st_size
                with content.open("rb") as opened:
                    tar.addfile(info, opened)
