"""Archives made by hand: honest ones, and such as only an attacker writes."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results.cases import CASES
from results.record import RunRecord
from results.spec import sha256
from tests.factory import make_record

Entry = tuple[str | tarfile.TarInfo, bytes]


def cases_text(*images: str, group: str = "p1") -> str:
    """A small cases.csv."""
    lines = [f"{image},{group},1,2,3,4,ok,0.5,10.0" for image in images]
    return "\n".join(["id,group,tp,fp,fn,tn,status,dice,hd95_px", *lines]) + "\n"


def whole(cases: str = cases_text("a", "b"), **changes: Any) -> tuple[RunRecord, bytes]:
    """A record of two images that names its cases.csv, and that file."""
    data = {"n_test": 2, **changes.pop("data", {})}
    record = make_record(data=data, **changes)
    return record.model_copy(update={"files": {CASES: sha256(cases)}}), cases.encode()


def entries(record: RunRecord, cases: bytes) -> list[Entry]:
    """Both as entries of an archive."""
    folder = record.spec.folder
    return [(f"{folder}/{CASES}", cases), (f"{folder}/record.json", record.to_text().encode())]


def manifest(given: Sequence[Entry], **changes: Any) -> bytes:
    """A manifest that fits the entries."""
    files = {name if isinstance(name, str) else name.name: sha256(text) for name, text in given}
    content: dict[str, Any] = {
        "schema": 1,
        "covbench": "0.1.0",
        "runs": sum(name.endswith("record.json") for name in files),
        "failures": sum("/failed-" in name for name in files),
        "hidden_cases": False,
        "files": files,
    }
    return json.dumps(content | changes).encode()


def tar(given: Sequence[Entry]) -> bytes:
    """The entries as a tar."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for name, content in given:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.type == tarfile.REGTYPE:
                info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return text.getvalue()


def write(path: Path, given: Sequence[Entry], **changes: Any) -> Path:
    """Write an archive whose manifest fits its entries, but for the changes."""
    path.write_bytes(lzma.compress(tar([("manifest.json", manifest(given, **changes)), *given])))
    return path


def files(root: Path) -> Mapping[str, bytes]:
    """All that lies below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
