"""Hostile weights and checkpoints: code in them, lying headers, other shapes, NaN."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from results.spec import sha256
from runners.checkpoint import load_checkpoint
from runners.weights import load_weights, read_weights
from tests.hostile.case import Case, special_file, written
from zoo.cards import Card
from zoo.errors import CovbenchError

SHAPES = {"weight": (2, 3), "bias": (2,)}
CARD = Card(name="linear", builder=nn.Linear)


def tensors(path: Path, out: Path) -> Any:
    return read_weights(path)


def loaded(path: Path, out: Path) -> Any:
    network = nn.Linear(3, 2)
    load_weights(network, path, CARD)
    assert all(value.isfinite().all() for value in network.state_dict().values())
    return network


def checkpoint(path: Path, out: Path) -> Any:
    """A checkpoint that is refused is passed over, and why is told in a line."""
    state, refused = load_checkpoint(path.parent)
    if refused:
        assert state is None and "\n" not in refused[0]
        raise CovbenchError(refused[0], "The training begins anew.")
    return state


def zeros_of(**changes: Any) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(shape) for name, shape in SHAPES.items()} | changes


def saved(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


class Code:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.canary}'",)


def with_code(name: str, dump: Callable[[Any], bytes]) -> Callable[[Path], Path]:
    """A file whose code would leave a canary beside it, which the check of the folder sees."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(dump({"weight": torch.zeros(2, 3), "bias": Code(folder / "canary")}))
        return path

    return make


def named_by_hash(content: bytes | Callable[[Path], bytes]) -> Callable[[Path], Path]:
    """A checkpoint whose name fits its bytes, whatever they are."""

    def make(folder: Path) -> Path:
        made = content(folder) if callable(content) else content
        path = folder / f"checkpoint-000000001-{sha256(made)}.pt"
        path.write_bytes(made)
        return path

    return make


def header(fields: Any, data: bytes = bytes(32), size: int | None = None) -> bytes:
    """A safetensors file with this header."""
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def part(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def repacked(content: bytes, change: Callable[[str, bytes], bytes], deflate: bool = False) -> bytes:
    """A PyTorch file with other contents."""
    file = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", how) as new:
        for entry in old.namelist():
            new.writestr(entry, change(entry, old.read(entry)))
    return file.getvalue()


def bomb() -> bytes:
    """A PyTorch file of 3 MB that unpacks to 3 GiB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
        with archive.open("a/data/0", "w", force_zip64=True) as entry:
            for _ in range(3 * 2**10):
                entry.write(bytes(2**20))
    return file.getvalue()


def _files() -> Iterator[Case]:
    good, torch_file = save(zeros_of()), saved(zeros_of())
    old = saved(zeros_of(), _use_new_zipfile_serialization=False)
    for suffix, content in ((".safetensors", good), (".pt", torch_file), (".pth", old)):
        yield Case(f"weights{suffix}", loaded, written(f"a{suffix}", content), "ok")
        for share in (0, 2, 20, 50, 80, 95):
            cut = written(f"a{suffix}", content[: len(content) * share // 100])
            yield Case(f"weights{suffix} cut to {share} %", tensors, cut)
        for at in range(0, len(content), len(content) // 16):
            turned = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
            flip = written(f"a{suffix}", turned)
            yield Case(f"weights{suffix} byte {at} turned", tensors, flip, "either")
            yield Case(f"weights{suffix} byte {at} turned, loaded", loaded, flip, "either")
    # Found by fuzzing: a zip file that asks for a version that nobody has.
    newer = bytearray(torch_file)
    newer[torch_file.index(b"PK\1\2") + 6] = 90
    yield Case("weights.pt that need zip 9.0", tensors, written("a.pt", bytes(newer)), "either")
    for name, content in (
        ("an endless header", header({}, size=2**63)),
        ("a header of gigabytes", header({}, size=2**31)),
        ("a header longer than the file", header({}, size=5000)),
        ("a header that is no JSON", header(b"{" * 50)),
        ("a nested header", header(b'{"a":' * 100_000)),
        ("a header that is a list", header([1])),
        ("a shape of terabytes", header({"a": part([2**20, 2**20], [0, 32])})),
        ("a shape that overflows", header({"a": part([2**32, 2**32, 2**32], [0, 32])})),
        ("a shape below nothing", header({"a": part([-1, -8], [0, 32])})),
        ("offsets beyond the end", header({"a": part([8], [0, 10**12])})),
        ("offsets backwards", header({"a": part([8], [32, 0])})),
        ("tensors that overlap", header({"a": part([8], [0, 32]), "b": part([8], [0, 32])})),
        ("an unknown type", header({"a": part([8], [0, 32], "F99")})),
        (
            "a name twice",
            header(b'{"a":%s,"a":%s}' % ((json.dumps(part([8], [0, 32])).encode(),) * 2)),
        ),
        ("only zeros", bytes(100)),
        ("a pickle", pickle.dumps(zeros_of())),
    ):
        made = written("a.safetensors", content)
        yield Case(
            f"safetensors with {name}", tensors, made, "either" if "twice" in name else "error"
        )
        yield Case(f"safetensors with {name}, loaded", loaded, made)


def _code() -> Iterator[Case]:
    for suffix in (".pt", ".pth", ".ckpt", ".bin"):
        for how, dump in (
            ("zip", saved),
            ("old form", lambda content: saved(content, _use_new_zipfile_serialization=False)),
            ("bare pickle", pickle.dumps),
        ):
            made = with_code(f"a{suffix}", dump)
            yield Case(f"code in a{suffix}, {how}", tensors, made)
            yield Case(f"code in a{suffix}, {how}, loaded", loaded, made)
    yield Case("code in a.safetensors", tensors, with_code("a.safetensors", pickle.dumps))
    for how, dump in (("zip", saved), ("bare pickle", pickle.dumps)):
        make = named_by_hash(lambda folder, dump=dump: dump({"model": Code(folder / "canary")}))
        yield Case(f"code in a checkpoint, {how}", checkpoint, make)
    for opcode in (
        b"cos\nsystem\n(S'touch canary'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"I1\n" * 10 + b".",
        b"(" * 100_000,
        b"\x80\x02]" + b"]a" * 50_000 + b".",
        b"\x80\x04\x8e" + b"\xff" * 8,
        b"\x95" + b"\xff" * 8,
    ):
        yield Case(f"pickle {opcode[:16]!r}", tensors, written("a.pt", opcode))


def _contents() -> Iterator[Case]:
    for name, state, *says in (
        ("NaN", zeros_of(bias=torch.tensor([1.0, float("nan")])), "not finite"),
        ("infinity", zeros_of(bias=torch.tensor([1.0, float("inf")])), "not finite"),
        ("another shape", zeros_of(bias=torch.zeros(5)), "another shape"),
        ("shapes that could be stretched", zeros_of(bias=torch.zeros(1)), "another shape"),
        ("a weight too few", {"weight": torch.zeros(2, 3)}, "missing"),
        ("a weight too many", zeros_of(more=torch.zeros(1)), "foreign"),
        ("no weights", {}),
        ("complex weights", zeros_of(bias=torch.zeros(2, dtype=torch.complex64)), "complex"),
    ):
        yield Case(f"weights with {name}", loaded, written("a.pt", saved(state)), says=tuple(says))
        if name not in ("no weights", "complex weights"):
            yield Case(
                f"safetensors with {name}",
                loaded,
                written("a.safetensors", save(state)),
                says=tuple(says),
            )
    endless = torch.zeros(1).expand(2**20, 2**20)
    for name, content in (
        ("sparse weights", zeros_of(weight=torch.zeros(2, 3).to_sparse())),
        ("a tensor alone", torch.zeros(2)),
        ("a list", [torch.zeros(2)]),
        ("a number", 5),
        ("values that are no tensors", {"weight": "x"}),
        ("an empty shell", zeros_of(bias=torch.zeros(2, device="meta"))),
        ("a tensor of terabytes over four bytes", zeros_of(weight=endless)),
        ("itself inside", {"state_dict": {"model": {"state_dict": {"a": 1}}}}),
    ):
        yield Case(f"weights that are {name}", loaded, written("a.pt", saved(content)))
    for name in ("module.", "\x1b[2J", "<b>", "x" * 100_000):
        state = {name + key: value for key, value in zeros_of().items()}
        expected = "ok" if name == "module." else "error"
        yield Case(
            f"weights whose names begin with {name[:9]!a}",
            loaded,
            written("a.pt", saved(state)),
            expected,
        )
    grown = repacked(saved(zeros_of()), lambda name, old: old + bytes(2**20), deflate=True)
    yield Case("weights, packed and grown", tensors, written("a.pt", grown), "either")
    yield Case(
        "weights that are a bomb", tensors, written("a.pt", bomb), says=("--limit weights_bytes=",)
    )
    emptied = repacked(saved(zeros_of()), lambda name, old: b"" if "/data/" in name else old)
    yield Case("weights without their data", tensors, written("a.pt", emptied))
    yield Case("checkpoint", checkpoint, named_by_hash(saved({"model": zeros_of()})), "ok")
    flip = written(f"checkpoint-000000001-{'0' * 64}.pt", saved(zeros_of()))
    yield Case("checkpoint with another hash", checkpoint, flip, says=("SHA-256",))
    for name, content in (
        ("empty", b""),
        ("text", b"hello"),
        ("cut", saved(zeros_of())[:300]),
        ("nested", b"(" * 100_000),
    ):
        yield Case(f"checkpoint that is {name}", checkpoint, named_by_hash(content))
    yield Case(
        "checkpoint that is a pipe",
        checkpoint,
        special_file(f"checkpoint-000000001-{'0' * 64}.pt", os.mkfifo),
    )


def _places() -> Iterator[Case]:
    good = save(zeros_of())

    def behind(target: str, content: bytes | None = good) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            (folder / "elsewhere").mkdir()
            if content is not None:
                (folder / "elsewhere" / "real.safetensors").write_bytes(content)
            (folder / "a.safetensors").symlink_to(target)
            return folder / "a.safetensors"

        return make

    yield Case("weights behind a link", loaded, behind("elsewhere/real.safetensors"), "ok")
    yield Case("weights behind a link to nothing", loaded, behind("nowhere"))
    yield Case("weights behind a link to itself", loaded, behind("a.safetensors"))
    yield Case("weights behind a link to a folder", loaded, behind("elsewhere"))
    yield Case("weights behind a link to /dev/zero", loaded, behind("/dev/zero"))
    yield Case(
        "weights behind a link, damaged", loaded, behind("elsewhere/real.safetensors", good[:20])
    )
    yield Case("weights that are a pipe", loaded, special_file("a.pt", os.mkfifo))
    yield Case("weights that are missing", loaded, lambda folder: folder / "a.pt")
    for word, name in (
        ("spaces", "a b .safetensors"),
        ("Unicode", "肺 é.safetensors"),
        ("a newline", "a\nb.safetensors"),
        ("255 bytes", "x" * 243 + ".safetensors"),
    ):
        yield Case(f"weights with {word} in their name", loaded, written(name, good), "ok")
        yield Case(f"weights with {word} in their name, damaged", loaded, written(name, good[:20]))


CASES = (*_files(), *_code(), *_contents(), *_places())
