"""Hostile archives of stores: names that climb out, bombs, records that are none."""

from __future__ import annotations

import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from results.cases import CASES as TABLE
from results.predictions import PREDICTIONS
from results.shared import opened
from results.store import Store
from results.unpack import unpack
from tests.archives import cases_text, entries, tar, whole, write
from tests.archives import manifest as manifest_text
from tests.hostile.case import Case, special_file, written
from tests.hostile.records import FOLDER, GOOD, changed, nested


def imported(path: Path, out: Path) -> Any:
    return unpack(path, out / "runs")


def dry(path: Path, out: Path) -> Any:
    return unpack(path, out / "runs", dry_run=True)


def named_store(path: Path, out: Path) -> Any:
    with opened(path) as folder:
        return list(Store(folder).records())


def special(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def archive(given: Any, **changes: Any) -> Callable[[Path], Path]:
    return lambda folder: write(folder / "runs.covbench", given, **changes)


def raw(content: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    return written("runs.covbench", content)


def packed(count: int, inner: bytes = b"") -> bytes:
    """So many zeros behind some bytes, as xz."""
    packer = lzma.LZMACompressor(preset=6)
    parts = [packer.compress(inner)]
    parts += [packer.compress(bytes(min(2**20, count - at))) for at in range(0, count, 2**20)]
    return b"".join(parts) + packer.flush()


def _archives() -> Iterator[Case]:
    good = entries(*GOOD)
    content = lzma.compress(tar([("manifest.json", manifest_text(good)), *good]))
    yield Case("archive", imported, archive(good), "ok", right=lambda found: len(found.new) == 1)
    yield Case(
        "archive as a store", named_store, archive(good), "ok", right=lambda found: len(found) == 1
    )
    for share in (0, 1, 10, 40, 70, 95, 99):
        cut = content[: len(content) * share // 100]
        yield Case(f"archive cut to {share} %", imported, raw(cut))
        yield Case(f"archive cut to {share} %, as a store", named_store, raw(cut))
    for at in range(0, len(content), len(content) // 12):
        turned = bytearray(content)
        turned[at] ^= 0xFF
        yield Case(f"archive byte {at} turned", imported, raw(bytes(turned)), "either")
    for name in (
        "/etc/passwd",
        "../evil",
        "../../evil/record.json",
        f"{FOLDER}/../../../evil.py",
        f"{FOLDER}/.bashrc",
        "C:\\evil",
        f"{FOLDER}/conftest.py",
        "unet/run\n/record.json",
        "x" * 99 + "/y",
    ):
        yield Case(f"archive with {name!a}", imported, archive([*good, (name, b"x")]))
        yield Case(f"dry run of {name!a}", dry, archive([*good, (name, b"x")]))
    for word, kind, link in (
        ("symbolic link", tarfile.SYMTYPE, "/etc/passwd"),
        ("hard link", tarfile.LNKTYPE, "../../x"),
        ("device", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("folder", tarfile.DIRTYPE, ""),
    ):
        made = archive([*good, (special(f"{FOLDER}/{PREDICTIONS}", kind, link), b"")])
        yield Case(f"archive with a {word}", imported, made, says=("not a plain file",))
    yield Case("archive of zeros without end", imported, raw(lambda: packed(2**28)))
    entry = special(f"{FOLDER}/{PREDICTIONS}", size=2**28).tobuf(tarfile.USTAR_FORMAT)
    listed = {f"{FOLDER}/{PREDICTIONS}": "0" * 64}
    head = tar([("manifest.json", manifest_text(good, files=listed))]).rstrip(b"\0")
    head += bytes(-len(head) % 512)
    yield Case(
        "archive that is a bomb",
        imported,
        raw(lambda: packed(2**28, head + entry)),
        says=("--limit archive_ratio=",),
    )
    claim = special("manifest.json", size=2**33).tobuf(tarfile.GNU_FORMAT)
    yield Case(
        "archive with a manifest of 8 GiB",
        imported,
        raw(lambda: lzma.compress(claim)),
        says=("--limit manifest_bytes=",),
    )
    for name, text in (
        ("that is nested", b"[" * 10**6),
        ("of tables in tables", nested(10**5).encode()),
        ("that is empty", b""),
        ("that is no JSON", b"<xml>"),
        ("with a number of 5,000 digits", b'{"schema": ' + b"1" * 5000 + b"}"),
    ):
        made = lzma.compress(tar([("manifest.json", text), *good]))
        yield Case(f"archive with a manifest {name}", imported, raw(made))
    for field, value in (
        ("schema", 2),
        ("schema", None),
        ("runs", 7),
        ("runs", -1),
        ("runs", 10**30),
        ("failures", "1"),
        ("files", {}),
        ("files", []),
        ("covbench", "\x1b[2J"),
        ("covbench", "x" * 2_000_000),
        ("extra", 1),
    ):
        yield Case(
            f"archive with {field} = {str(value)[:20]!a}", imported, archive(good, **{field: value})
        )
    for name, text in (
        ("with a newer record", changed(schema=9)),
        ("with a nested record", nested(10**5)),
        ("with a key twice", GOOD[0].to_text().replace('"seed": 0', '"seed": 1, "seed": 0')),
    ):
        swapped = [(f"{FOLDER}/{TABLE}", GOOD[1]), (f"{FOLDER}/record.json", text.encode())]
        yield Case(f"archive {name}", imported, archive(swapped))
    for name, text in (
        ("with a formula", cases_text("=cmd|' /C calc'!A0")),
        ("with NaN", cases_text("a", "b").replace("0.5", "nan")),
        ("with an image twice", cases_text("a", "a")),
        ("with an escape", cases_text("a\x1b[2J", "b")),
    ):
        yield Case(f"archive whose scores are {name}", imported, archive(entries(*whole(text))))
    for word in (
        "<script>alert(1)</script>",
        r"\input{/etc/passwd}",
        "../../../evil",
        "肺 é",
        "%s%n{0}",
    ):
        for field in ("model", "dataset", "protocol"):
            yield Case(
                f"archive with {field} {word!a}",
                imported,
                archive(entries(*whole(**{field: word}))),
                "ok",
                right=lambda found: len(found.new) == 1,
            )
    for name, text in (
        ("gzip", b"\x1f\x8b\x08" + bytes(50)),
        ("zip", b"PK\3\4" + bytes(50)),
        ("a bare tar", tar(good)),
        ("text", b"hello"),
        ("xz of text", lzma.compress(b"hello" * 400)),
    ):
        yield Case(f"archive that is {name}", imported, raw(text))
        yield Case(f"archive that is {name}, as a store", named_store, raw(text))
    yield Case("archive that is missing", imported, lambda folder: folder / "none.covbench")
    yield Case("archive that is a folder", imported, special_file("runs.covbench", os.mkdir))
    yield Case("archive that is a pipe", imported, special_file("runs.covbench", os.mkfifo))
    yield Case(
        "archive that leads to /dev/zero",
        imported,
        special_file("runs.covbench", lambda path: os.symlink("/dev/zero", path)),
    )


CASES = (*_archives(),)
