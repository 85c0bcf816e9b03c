"""Hostile stores: records, failures, plans, per-image scores, predictions."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from results.cases import CASES as TABLE
from results.cases import read_cases
from results.index import INDEX, known_records, summary
from results.predictions import PREDICTIONS, read_predictions
from results.record import RunRecord
from results.spec import canonical_json, sha256
from results.store import RECORD, Store
from runners.plan import read_plan
from tests.archives import cases_text, whole
from tests.factory import make_failure, make_record
from tests.hostile.case import Case, special_file, written
from zoo.errors import CovbenchError

GOOD = whole()
FOLDER = GOOD[0].spec.folder


def record(path: Path, out: Path) -> Any:
    """Records of a store are passed over and named; this reads one and tells what was wrong."""
    (found,) = Store(path.parent).records()
    if not isinstance(found, RunRecord):
        raise CovbenchError(f"{found.path}: {found.reason}.", "Run it again.")
    return found


def cases(path: Path, out: Path) -> Any:
    found = read_cases(path)
    if found.left_out:
        raise CovbenchError(
            f"{found.left_out[0].path}: {found.left_out[0].reason}", "Run it again."
        )
    return found


def predictions(path: Path, out: Path) -> Any:
    (found,) = Store(path).records()
    assert isinstance(found, RunRecord)
    return read_predictions(path, found)


def bytes_of_predictions(path: Path, out: Path) -> Any:
    """A predictions.npz that a record vouches for."""
    return predictions(run_with(PREDICTIONS, path.read_bytes())(out), out)


def plan(path: Path, out: Path) -> Any:
    return read_plan(path.parent)


def index(path: Path, out: Path) -> Any:
    """What a store's index says of a record that lies beside it: it is read, whatever that says."""
    (found,) = known_records(path.parent.parent).values()
    return found


def failures(path: Path, out: Path) -> Any:
    return Store(path.parent.parent).all_failures()


def signed(payload: Any) -> str:
    """A record whose SHA-256 fits, as an attacker writes it."""
    return json.dumps({**payload, "payload_sha256": sha256(canonical_json(payload))})


def changed(**values: Any) -> str:
    """A signed record with other fields; a dot leads into a block."""
    payload = json.loads(GOOD[0].to_text())
    del payload["payload_sha256"]
    for key, value in values.items():
        block, *names = key.split("__")
        if names:
            payload[block][names[0]] = value
        else:
            payload[block] = value
    return signed(payload)


def nested(depth: int, opening: str = '{"a":', inner: str = "1", closing: str = "}") -> str:
    return opening * depth + inner + closing * depth


def _records() -> Iterator[Case]:
    good = GOOD[0].to_text()
    for share in (0, 1, 10, 30, 50, 70, 90, 99):
        cut = good[: len(good) * share // 100]
        yield Case(f"record cut to {share} %", record, written(RECORD, cut))
    for at in range(5, len(good), len(good) // 12):
        turned = bytearray(good.encode())
        turned[at] ^= 0x15
        yield Case(f"record byte {at} turned", record, written(RECORD, bytes(turned)), "either")
    yield Case("record", record, written(RECORD, good), "ok", right=lambda found: found == GOOD[0])
    for name, text, *says in (
        ("with a better score", good.replace("0.7", "0.9"), "SHA-256"),
        ("of a newer schema", changed(schema=2), "schema 2"),
        ("of an older schema", changed(schema=0), "schema 0"),
        ("of a schema that is a list", changed(schema=[1])),
        ("with an unknown field", changed(shiny=True)),
        ("without scores", changed(scores=None)),
        ("with scores that are a list", changed(scores=[1, 2])),
        ("with counts that are words", changed(counts={"infection": {"tp": "many"}})),
        ("with a whole number of 4,000 digits", good.replace('"tp": 1', '"tp": ' + "9" * 4000)),
        ("with a whole number of 5,000 digits", good.replace('"tp": 1', '"tp": ' + "9" * 5000)),
        ("with NaN", good.replace("0.7", "NaN"), "NaN"),
        ("with infinity", good.replace("0.7", "Infinity"), "Infinity"),
        ("with a key twice", good.replace('"seed": 0', '"seed": 1, "seed": 0'), "twice"),
        ("of lists in lists", "[" * 100_000, "nested"),
        ("of tables in tables", nested(100_000), "nested"),
        ("with options nested", changed(spec__settings=json.loads(nested(500))), "nested"),
        ("that is a list", "[]"),
        ("that is null", "null"),
        ("that is a number", "7"),
        ("that is no JSON", "<html>"),
        ("that is a pickle", b"\x80\x04\x95\x1c\0\0\0\0\0\0\0\x8c\x05posix\x94."),
        ("that is no text", b"\xff\xfe\0\x01"),
        ("with a mark", "\ufeff" + good),
        ("with a half of a pair", changed(spec__model="\ud800")),
    ):
        yield Case(f"record {name}", record, written(RECORD, text), says=tuple(says), named=RECORD)
    long = written(RECORD, lambda: b'{"schema": 1, "x": "' + b"y" * 10**8 + b'"}')
    yield Case("record with a text of 100 MB", record, long, says=("record_bytes",))
    for name, make in (("a pipe", os.mkfifo), ("a folder", os.mkdir)):
        yield Case(f"record that is {name}", record, special_file(RECORD, make))
    yield Case(
        "record that leads to /dev/zero",
        record,
        special_file(RECORD, lambda p: os.symlink("/dev/zero", p)),
    )
    for text, right in (
        (nested(100_000), {}),
        ("[]", {}),
        ("", {}),
        ('{"a": 1, "b": "t"}', {"b": "t"}),
        ("NaN", {}),
        ('{"a": "1", "a": "2"}', {}),
    ):
        yield Case(f"plan {text[:20]}", plan, written("plan.json", text), "ok", right=right.__eq__)
    for name, listed in (
        ("a list", []),
        ("an entry that is a number", {"run/record.json": 5}),
        ("an entry that is too short", {"run/record.json": [1, 2]}),
        ("an entry of other types", {"run/record.json": ["a", {}, [], None, "x", {}]}),
    ):
        text = json.dumps({"sha256": sha256(canonical_json(listed)), "records": listed})
        yield Case(f"index with {name}", index, indexed(text), "ok", right=_is_the_record)
    for name, text in (("no JSON", "{"), ("nothing in it", "{}"), ("a nest", nested(50_000))):
        yield Case(f"index with {name}", index, indexed(text), "ok", right=_is_the_record)
    yield Case(
        "plan that is a pipe", plan, special_file("plan.json", os.mkfifo), "ok", right={}.__eq__
    )
    account = make_failure().model_dump_json()
    for text, count in (
        (account, 1),
        (account[:50], 0),
        ("[" * 100_000, 0),
        (account.replace("1", "NaN"), 0),
    ):
        make = written("unet/failed-1.json", text)
        yield Case(
            f"account {text[:30]!r} of {len(text)}",
            failures,
            make,
            "ok",
            right=lambda found, count=count: len(found) == count,
        )
    large = written("unet/failed-1.json", lambda: b" " * 2**21 + account.encode())
    yield Case("account of 2 MiB", failures, large, "ok", right=[].__eq__)
    yield Case(
        "account that is a pipe",
        failures,
        special_file("unet/failed-1.json", os.mkfifo),
        "ok",
        right=[].__eq__,
    )


def indexed(text: str) -> Callable[[Path], Path]:
    """A store of one record with this index."""

    def make(folder: Path) -> Path:
        path = folder / INDEX
        for each, content in ((folder / "run" / RECORD, GOOD[0].to_text()), (path, text)):
            each.parent.mkdir(parents=True, exist_ok=True)
            each.write_text(content, encoding="utf-8")
        return path

    return make


def _is_the_record(found: Any) -> bool:
    return bool(found == summary(GOOD[0]))


def run_with(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """A store of one run whose record vouches for a file, whatever that holds."""

    def make(folder: Path) -> Path:
        made = content() if callable(content) else content
        found = make_record(data={"n_test": 2}).model_copy(update={"files": {name: sha256(made)}})
        place = folder / "runs" / found.spec.folder
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(made)
        (place / RECORD).write_text(found.to_text())
        return folder / "runs"

    return make


def zipfile_with(name: str, content: bytes) -> bytes:
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, b"x")
    return file.getvalue()


def npz(arrays: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def lying(shape: str, size: int = 64, dtype: str = "|u1") -> bytes:
    """A predictions.npz whose second array claims a shape."""
    file = io.BytesIO()
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    ids = io.BytesIO()
    np.lib.format.write_array(ids, np.array(["a"]), version=(1, 0))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ids.npy", ids.getvalue())
        body = b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head.encode()
        with archive.open("p0.npy", "w", force_zip64=size > 2**30) as entry:
            entry.write(body)
            for at in range(0, size, 2**20):
                entry.write(bytes(min(2**20, size - at)))
    return file.getvalue()


def _files() -> Iterator[Case]:
    honest = npz(
        {
            "ids": np.array(["a", "b"]),
            "p0": np.zeros((4, 5), np.uint8),
            "p1": np.ones((4, 5), np.uint8),
        }
    )
    yield Case(
        "predictions",
        predictions,
        run_with(PREDICTIONS, honest),
        "ok",
        right=lambda found: list(found) == ["a", "b"],
    )
    objects = npz({"ids": np.array(["a"], dtype=object), "p0": np.zeros((4, 5), np.uint8)})
    more = zipfile_with("../../evil.npy", honest)
    for name, content, *says in (
        ("with pickled names", objects),
        (
            "with fewer arrays than names",
            npz({"ids": np.array(["a", "b"]), "p0": np.zeros((4, 5), np.uint8)}),
        ),
        ("without names", npz({"p0": np.zeros((4, 5), np.uint8)})),
        ("of other types", npz({"ids": np.array(["a"]), "p0": np.zeros((4, 5))})),
        ("of other shapes", npz({"ids": np.array(["a"]), "p0": np.zeros((4, 5, 6), np.uint8)})),
        ("that are empty", b""),
        ("that are no zip", b"PK\3\4" + bytes(100)),
        ("cut", honest[:-60]),
        ("that climb out", more),
        ("that claim a terabyte", lying("(1048576, 1048576)")),
        ("that claim less than nothing", lying("(-8, -8)")),
        ("that claim a number of 5,000 digits", lying("(" + "9" * 100 + ", 1)")),
        ("with code in their header", lying("__import__('os').system('true')")),
        ("that hold objects", lying("(8, 8)", dtype="|O")),
        (
            "that are a bomb",
            lambda: lying("(65536, 32768)", 2**31),
            "--limit predictions_unpacked_bytes=",
        ),
    ):
        yield Case(
            f"predictions {name}",
            predictions,
            run_with(PREDICTIONS, content),
            says=tuple(says),
            named=PREDICTIONS,
        )
    for at in range(0, len(honest), 25):
        turned = bytearray(honest)
        turned[at] ^= 0xFF
        yield Case(
            f"predictions byte {at} turned",
            predictions,
            run_with(PREDICTIONS, bytes(turned)),
            "either",
            named=PREDICTIONS,
        )
    yield Case(
        "scores",
        cases,
        run_with(TABLE, cases_text("a", "b").encode()),
        "ok",
        right=lambda found: len(found.frame) == 2,
    )
    for name, text in (
        ("that are words", "id,group,dice\na,b,good\n"),
        ("that are no text", b"\xff\xfe\xff"),
        ("with a field too many", "id,group,dice\na,b,1,2,3\n"),
        ("with a field too few", "id,group,dice\na\n"),
        ("with an endless field", 'id,group,dice\na,b,"' + "1" * 200_000),
    ):
        made = text.encode() if isinstance(text, str) else text
        yield Case(f"scores {name}", cases, run_with(TABLE, made), named="unet")


CASES = (*_records(), *_files())
SEEDED = {"bytes_of_predictions": predictions}
"""Readers that are fuzzed, and those whose cases they start from."""
