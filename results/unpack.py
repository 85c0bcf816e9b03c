"""Bringing an archive into a store: everything is checked before anything is put in its place."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from results.anonymous import account
from results.archive import SCHEMA, Manifest
from results.cases import CASES
from results.files import sha256_file, write_atomically
from results.predictions import PREDICTIONS
from results.provenance import covbench_version
from results.record import Failure, RunRecord, now
from results.spec import RunSpec
from results.store import RECORD, Store
from results.untrusted import (
    MANIFEST,
    MAX_BYTES,
    Member,
    Refused,
    check_cases,
    check_predictions,
    check_values,
    members,
)
from zoo.errors import CovbenchError

IMPORTED = "imported.json"
"""Lies beside a record that came out of an archive, and says of which."""


@dataclass(frozen=True)
class Imported:
    """What an archive brought.

    Attributes:
        manifest: Its manifest.
        sha256: SHA-256 of the archive.
        records: All records in it.
        images: Lines of per-image scores in it.
        new: Runs that the store has now, or would have.
        there: Runs that it had before; its own records are kept.
        differing: Those of them that have other scores here.
        busy: Runs that a process is computing here, and which were left to it.
        completed: Files that were added to runs that were there: predictions, weights.
        failures: Accounts of failed attempts that were new.
        sources: Files of users' own networks. They are never run.
    """

    manifest: Manifest
    sha256: str
    records: tuple[RunRecord, ...]
    images: int
    new: tuple[RunSpec, ...]
    there: tuple[RunSpec, ...]
    differing: tuple[RunSpec, ...]
    busy: tuple[RunSpec, ...]
    completed: int
    failures: int
    sources: int


@dataclass(frozen=True)
class _File:
    """A file that was read: its SHA-256, where it waits, and its number of images if it has any."""

    sha256: str
    path: Path
    images: int | None = None


@dataclass
class _Run:
    """What the archive has of one run."""

    record: RunRecord | None = None
    failures: list[Failure] = field(default_factory=list)
    files: dict[str, _File] = field(default_factory=dict)

    @property
    def spec(self) -> RunSpec:
        """What was run."""
        return self.record.spec if self.record else self.failures[0].spec


def unpack(path: Path, root: Path, dry_run: bool = False) -> Imported:
    """Bring the runs of an archive into a store.

    Nothing in the archive is believed: not its names, its sizes nor its contents. The folder of a
    run follows from its spec. A run that is there is kept as it is.

    Args:
        path: The archive.
        root: The folder of the store; it need not exist yet.
        dry_run: Only check, and say what would come in.

    Returns:
        What came in, or would.

    Raises:
        CovbenchError: The archive can't be read, or something in it is not as it should be. Then
            the store is as it was.
    """
    if not path.is_file():
        raise CovbenchError(f"There is no file {path}.", "Give a file of `covbench export`.")
    with _waiting_room(root, dry_run) as room:
        try:
            digest = sha256_file(path)
            manifest, runs = _receive(path, room, dry_run)
        except (Refused, RecursionError) as error:
            reason = "".join(each if each.isprintable() else " " for each in str(error))[:300]
            raise CovbenchError(
                f"{path} can't be imported: {reason or 'it is nested too deeply'}.",
                "Nothing was written. Get the file again, or a newer covbench if that wrote it.",
            ) from error
        store = Store(root)
        for run in runs.values():
            _refuse_stranger(store, run.spec)
        return _settle(store, manifest, digest, list(runs.values()), dry_run)


@contextmanager
def _waiting_room(root: Path, dry_run: bool) -> Iterator[Path]:
    """A folder for files until all are checked: in the store, so that they need only be renamed.

    Folders that were made for it are taken away again where nothing comes into them.
    """
    if dry_run:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    made = [each for each in (root, *root.parents) if not each.exists()]
    root.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=".import-", dir=root))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
        with suppress(OSError):  # not empty
            for each in made:
                each.rmdir()


def _receive(path: Path, room: Path, dry_run: bool) -> tuple[Manifest, dict[str, _Run]]:
    """Read and check every file; the runs by their folder's name in the archive.

    Raises:
        Refused: Something is not as it should be.
    """
    manifest = None
    runs: dict[str, _Run] = {}
    seen = set()
    for number, member in enumerate(members(path)):
        if manifest is None:
            manifest = _manifest(member)
            continue
        expected = manifest.files.get(member.name)
        if expected is None:
            raise Refused(f"{member.name} is not in its {MANIFEST}")
        folder, _, name = member.name.rpartition("/")
        run = runs.setdefault(folder, _Run())
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
        payload = json.loads(content)
        version = payload.get("schema") if isinstance(payload, dict) else None
        if version != SCHEMA:
            raise Refused(f"it has schema {ascii(version)[:40]}; this covbench reads {SCHEMA}")
        check_values(payload)
        return Manifest.model_validate(payload)
    except ValueError as error:
        raise _not_valid(MANIFEST, error) from error


def _take(member: Member, expected: str, target: Path, run: _Run, name: str) -> None:
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
            check_values(json.loads(text))
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
        run.files[name] = _File(expected, target, images)


def _check_run(folder: str, run: _Run) -> None:
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


def _settle(
    store: Store, manifest: Manifest, digest: str, runs: list[_Run], dry_run: bool
) -> Imported:
    """Put what is not there yet into its place, run by run, each record last."""
    new, there, differing, busy = [], [], [], []
    completed = failures = 0
    for run in runs:
        record, spec = run.record, run.spec
        with _held(store.folder(spec), dry_run) as free:
            own = store.read(spec)
            if own is not None and record is not None:
                there.append(spec)
                if (own.scores, own.counts) != (record.scores, record.counts):
                    differing.append(spec)
                completed += _complete(store.folder(spec), own, run.files, dry_run)
            elif not free:
                busy.append(spec)
            elif own is None:
                known = {failure.attempt for failure in store.failures(spec)}
                failures += sum(failure.attempt not in known for failure in run.failures)
                if not dry_run:
                    _put(store, run, digest, manifest.covbench)
                if record is not None:
                    new.append(spec)
    records = tuple(run.record for run in runs if run.record)
    cases = (run.files[CASES].images or 0 for run in runs if CASES in run.files)
    sources = sum(name not in MAX_BYTES for run in runs for name in run.files)
    return Imported(
        manifest,
        digest,
        records,
        sum(cases),
        tuple(new),
        tuple(there),
        tuple(differing),
        tuple(busy),
        completed,
        failures,
        sources,
    )


def _refuse_stranger(store: Store, spec: RunSpec) -> None:
    """A folder's name ends with 12 characters of the id: two runs may be made to share it."""
    for each in Store(store.folder(spec)).records():
        if isinstance(each, RunRecord) and each.spec.id != spec.id:
            raise CovbenchError(
                f"{spec.title} can't be imported: {store.folder(spec)} holds another run.",
                "Nothing was written. Import into a folder of its own with --to.",
            )


def _put(store: Store, run: _Run, digest: str, version: str) -> None:
    for failure in run.failures:
        store.write_failure(failure)
    if run.record is None:
        return
    folder = store.folder(run.record.spec)
    for name, file in run.files.items():
        os.replace(file.path, folder / name)
    origin = {"archive_sha256": digest, "archive_covbench": version}
    origin |= {"imported": now(), "covbench": covbench_version()}
    write_atomically(folder / IMPORTED, json.dumps(origin, indent=1))
    store.write(run.record)


def _complete(folder: Path, own: RunRecord, files: dict[str, _File], dry_run: bool) -> int:
    """Add files that the store's own record names and that are not there."""
    added = 0
    for name, file in files.items():
        if own.files.get(name) == file.sha256 and not (folder / name).exists():
            added += 1
            if not dry_run:
                os.replace(file.path, folder / name)
    return added


@contextmanager
def _held(folder: Path, dry_run: bool) -> Iterator[bool]:
    """Whether no worker has this run; none gets it meanwhile."""
    if dry_run:
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _not_valid(name: str, error: ValueError) -> Refused:
    reason = " ".join(str(error).split())
    return error if isinstance(error, Refused) else Refused(f"{name} is not valid ({reason[:160]})")
