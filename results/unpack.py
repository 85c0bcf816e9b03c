"""Bringing an archive into a store: everything is checked before anything is put in its place."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from results.archive import Manifest
from results.cases import CASES
from results.files import sha256_file, write_atomically
from results.locks import Lock
from results.provenance import covbench_version
from results.receive import Arrived, Waiting, receive
from results.record import RunRecord, now
from results.spec import RunSpec
from results.store import Store
from results.untrusted import Refused
from zoo.errors import CovbenchError
from zoo.limits import raising

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
            manifest, runs = receive(path, room, dry_run)
        except (Refused, RecursionError) as error:
            reason = "".join(each if each.isprintable() else " " for each in str(error))[:300]
            remedy = "Get the file again, or a newer covbench if that wrote it."
            if isinstance(error, Refused) and error.limit:
                remedy = f"Check who made it. {raising(error.limit, error.needed)}"
            raise CovbenchError(
                f"{path} can't be imported: {reason or 'it is nested too deeply'}.",
                f"Nothing was written. {remedy}",
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


def _settle(
    store: Store, manifest: Manifest, digest: str, runs: list[Arrived], dry_run: bool
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
    sources = sum(name.endswith(".py") for run in runs for name in run.files)
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


def _put(store: Store, run: Arrived, digest: str, version: str) -> None:
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


def _complete(folder: Path, own: RunRecord, files: dict[str, Waiting], dry_run: bool) -> int:
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
    lock = Lock.take(folder)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()
