"""Every file of an archive, read and checked before any of them has a place in a store."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from results.anonymous import account
from results.archive import SCHEMA, Manifest
from results.cases import CASES
from results.contents import check_cases, check_predictions, check_values
from results.files import parse_json
from results.predictions import PREDICTIONS
from results.record import Failure, RunRecord
from results.spec import RunSpec
from results.store import RECORD
from results.untrusted import MANIFEST, Member, Refused, members
from zoo.errors import CovbenchError


@dataclass(frozen=True)
class Waiting:
    """A file that was read: its SHA-256, where it waits, and its number of images if it has any."""

    sha256: str
    path: Path
    images: int | None = None


@dataclass
class Arrived:
    """What the archive has of one run."""

    record: RunRecord | None = None
    failures: list[Failure] = field(default_factory=list)
    files: dict[str, Waiting] = field(default_factory=dict)

    @property
    def spec(self) -> RunSpec:
        """What was run."""
        return self.record.spec if self.record else self.failures[0].spec


def receive(path: Path, room: Path, dry_run: bool) -> tuple[Manifest, dict[str, Arrived]]:
    """Read and check every file; the runs by their folder's name in the archive.

    Raises:
        Refused: Something is not as it should be.
    """
    manifest = None
    runs: dict[str, Arrived] = {}
    seen = set()
    for number, member in enumerate(members(path)):
        if manifest is None:
            manifest = _manifest(member)
            continue
        expected = manifest.files.get(member.name)
        if expected is None:
            raise Refused(f"{member.name} is not in its {MANIFEST}")
        folder, _, name = member.name.rpartition("/")
        run = runs.setdefault(folder, Arrived())
        _take(member, expected, room / str(number), run, name)
        if dry_run:
            (room / str(number)).unlink()
        seen.add(member.name)
    if manifest is None:
        raise Refused("it is empty")
    if missing := sorted(manifest.files.keys() - seen):
        raise Refused(f"{ascii(missing[0])[:200]} is missing")
    for folder, run in runs.items():
        _check_run(folder, run)
    counts = (
        sum(run.record is not None for run in runs.values()),
        sum(len(run.failures) for run in runs.values()),
    )
    if counts != (manifest.runs, manifest.failures):
        raise Refused(f"its {MANIFEST} counts other numbers of runs")
    return manifest, runs


def _manifest(member: Member) -> Manifest:
    if member.kind != MANIFEST:
        raise Refused(f"it doesn't begin with {MANIFEST}")
    content = b"".join(member.chunks)
    try:
        payload = parse_json(content)
        version = payload.get("schema") if isinstance(payload, dict) else None
        if version != SCHEMA:
            raise Refused(f"it has schema {ascii(version)[:40]}; this covbench reads {SCHEMA}")
        check_values(payload)
        return Manifest.model_validate(payload)
    except ValueError as error:
        raise _not_valid(MANIFEST, error) from error


def _take(member: Member, expected: str, target: Path, run: Arrived, name: str) -> None:
    """Write one file to where it waits, and look at what it holds."""
    digest = hashlib.sha256()
    with target.open("xb") as file:
        for chunk in member.chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != expected:
        raise Refused(f"{member.name} doesn't match its SHA-256")
    images = None
    try:
        if member.kind == CASES:
            images = check_cases(target.read_bytes())
        elif member.kind == PREDICTIONS:
            with target.open("rb") as file:
                images = check_predictions(file)
        elif member.kind == RECORD:
            text = target.read_text(encoding="utf-8")
            run.record = RunRecord.from_text(text)
            check_values(parse_json(text))
        elif member.kind == "failed-N.json":
            failure = Failure.model_validate_json(target.read_bytes())
            check_values(failure.spec.model_dump(mode="json"))
            if name != f"failed-{failure.attempt}.json":
                raise Refused("it is the account of another attempt")
            run.failures.append(account(failure))
    except CovbenchError as error:
        raise _not_valid(member.name, ValueError(error.problem)) from error
    except ValueError as error:
        raise _not_valid(member.name, error) from error
    if member.kind not in (RECORD, "failed-N.json"):
        run.files[name] = Waiting(expected, target, images)


def _check_run(folder: str, run: Arrived) -> None:
    """Refuse files that are not those of their record, and folders of other runs."""
    specs = [failure.spec for failure in run.failures]
    if run.record is not None:
        specs.append(run.record.spec)
        absent = CASES in run.record.files and CASES not in run.files
        if absent or any(run.record.files.get(k) != v.sha256 for k, v in run.files.items()):
            raise Refused(f"the files in {folder} are not those of its record")
        for name, file in run.files.items():
            if file.images not in (None, run.record.data.n_test):
                raise Refused(f"{folder}/{name} has not as many images as its record")
    elif run.files:
        raise Refused(f"{folder} has files without a record")
    if any(spec.folder != folder for spec in specs):
        raise Refused(f"what is in {folder} belongs to another run")


def _not_valid(name: str, error: ValueError) -> Refused:
    reason = " ".join(str(error).split())
    return error if isinstance(error, Refused) else Refused(f"{name} is not valid ({reason[:160]})")
