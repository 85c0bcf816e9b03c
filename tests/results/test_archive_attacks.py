"""Archives that are damaged or hostile: two lines, and the store as it was."""

from __future__ import annotations

import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.archive import Keep, pack
from results.cases import CASES, read_cases
from results.files import write_atomically
from results.predictions import PREDICTIONS
from results.record import RunRecord
from results.spec import canonical_json, sha256
from results.store import RECORD, Store
from results.unpack import unpack
from tests.archives import Entry, cases_text, entries, files, manifest, tar, whole, write
from tests.factory import make_failure
from zoo.errors import CovbenchError
from zoo.limits import limits

GOOD = entries(*whole())
FOLDER = whole()[0].spec.folder


def refused(path: Path, why: str = "can't be imported") -> CovbenchError:
    """The error of an import into a store that isn't there yet, and into one that holds a run."""
    new, old = path.parent / "new", path.parent / "old"
    Store(old).write(whole(model="enet")[0])
    before = files(old)
    for root in (new, old):
        with pytest.raises(CovbenchError, match=why) as caught:
            unpack(path, root)
        assert len(str(caught.value).splitlines()) == 2
        assert str(caught.value).replace("\n", "").isprintable()
    assert not new.exists()
    assert files(old) == before and [each.name for each in old.iterdir()] == ["enet"]
    return caught.value


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_the_honest_one_comes_in(tmp_path: Path) -> None:
    path = write(tmp_path / "a", GOOD)
    assert len(unpack(path, tmp_path / "runs").new) == 1
    assert len(read_cases(tmp_path / "runs").frame) == 2


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../record.json",
        "unet/../record.json",
        "../../record.json",
        "./unet/record.json",
        "unet/../../record.json",
        "a/b/c/record.json",
        "record.json",
        "unet//record.json",
        "unet/run/authorized_keys",
        "unet/run/record.json.old",
        "unet/run/.lock",
        "unet/run/imported.json",
        "unet/run/failed-0.json",
        "unet/run/failed-N.json",
        "unet/run/conftest.py",
        "unet/run/test_all.py",
        "unet/run/__init__.py",
        "unet/run\\x/record.json",
        "C:/run/record.json",
        "unet/r\x1b[31mn/record.json",
    ],
)
def test_names_that_have_no_place_in_an_archive(name: str, tmp_path: Path) -> None:
    refused(write(tmp_path / "a", [*GOOD, (name, b"x")]), "no place in an archive|control")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.XHDTYPE,
        tarfile.AREGTYPE,
    ],
)
def test_links_devices_folders_and_extensions(kind: bytes, tmp_path: Path) -> None:
    info = special(f"{FOLDER}/{PREDICTIONS}", kind, "/etc/passwd")
    refused(write(tmp_path / "a", [*GOOD, (info, b"")]), "not a plain file")


def test_the_folder_follows_from_the_spec_alone(tmp_path: Path) -> None:
    moved: list[Entry] = [(str(name).replace("unet/", "enet/"), text) for name, text in GOOD]
    refused(write(tmp_path / "a", moved), "belongs to another run")


@pytest.mark.parametrize(
    "word", ["../../../out", "/out", "a/../../b", "..", ".", "~", "C:\\out", "\\\\host\\x", "a\0b"]
)
def test_no_name_in_a_record_leads_out_of_the_store(word: str, tmp_path: Path) -> None:
    for field in ("model", "dataset", "protocol", "task"):
        path = write(tmp_path / "a", entries(*whole(**{field: word})))
        root = tmp_path / "deep" / "in" / "runs"
        try:
            unpack(path, root)
        except CovbenchError as error:
            assert "control character" in str(error)
    made = [each for each in tmp_path.rglob("*") if each.is_file() and each.name != "a"]
    assert all(each.is_relative_to(tmp_path / "deep" / "in" / "runs") for each in made)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    refused(write(tmp_path / "a", [*GOOD, GOOD[0]]), "twice")


@pytest.mark.parametrize("place", [0, 1])
def test_a_file_that_is_not_what_the_manifest_says(place: int, tmp_path: Path) -> None:
    given = list(GOOD)
    given[place] = (given[place][0], given[place][1] + b" ")
    path = tmp_path / "a"
    path.write_bytes(lzma.compress(tar([("manifest.json", manifest(GOOD)), *given])))
    refused(path, "doesn't match its SHA-256")


def test_hashes_that_are_missing_or_too_many(tmp_path: Path) -> None:
    hashes = {str(name): sha256(text) for name, text in GOOD}
    short = dict(list(hashes.items())[:1])
    refused(write(tmp_path / "a", GOOD, files=short), "is not in its manifest")
    more = {**hashes, f"{FOLDER}/{PREDICTIONS}": "0" * 64}
    refused(write(tmp_path / "b", GOOD, files=more), "is missing")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schema": 2}, "has schema 2; this covbench reads 1"),
        ({"schema": None}, "has schema None"),
        ({"runs": 2}, "other numbers of runs"),
        ({"failures": 1}, "other numbers of runs"),
        ({"covbench": "0.1\x1b[2J"}, "control character"),
        ({"extra": 1}, "not valid"),
        ({"files": [1]}, "not valid"),
    ],
)
def test_manifests(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    refused(write(tmp_path / "a", GOOD, **changes), why)


def test_a_manifest_must_come_first(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(lzma.compress(tar([*GOOD, ("manifest.json", manifest(GOOD))])))
    refused(path, "doesn't begin with manifest.json")
    path.write_bytes(lzma.compress(tar([("manifest.json", b"[" * 100_000)])))
    refused(path, "nested too deeply|not valid|recursion")
    path.write_bytes(lzma.compress(tar([])))
    refused(path, "it is empty")


def changed_record(change: Callable[[dict[str, Any]], Any]) -> list[Entry]:
    """The good archive with a changed record, whose own hash is right."""
    payload = json.loads(GOOD[1][1])
    del payload["payload_sha256"]
    change(payload)
    payload["payload_sha256"] = sha256(canonical_json(payload))
    return [GOOD[0], (GOOD[1][0], json.dumps(payload).encode())]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: p.update(schema=2), "schema 2; this covbench reads 1"),
        (lambda p: p.update(more=1), "not valid"),
        (lambda p: p.pop("scores"), "not valid"),
        (lambda p: p["files"].clear(), "not those of its record"),
        (lambda p: p["files"].update({CASES: "0" * 64}), "not those of its record"),
        (lambda p: p["spec"].update(seed=7), "belongs to another run"),
        (lambda p: p["data"].update(n_test=3), "not as many images"),
        (lambda p: p["env"].update(cpu="\x1b]0;title\x07"), "control character"),
        (lambda p: p["env"].update(cpu="a\nb"), "control character"),
        (lambda p: p["env"].update(cpu="\u202eabc"), "control character"),
        (lambda p: p["cost"].update(params=10**30), "too large"),
        (lambda p: p["scores"]["infection"].update({"\x9b1m": {}}), "not valid|control"),
    ],
)
def test_records(change: Callable[[dict[str, Any]], Any], why: str, tmp_path: Path) -> None:
    refused(write(tmp_path / "a", changed_record(change)), why)


def test_a_record_whose_own_hash_is_wrong(tmp_path: Path) -> None:
    text = GOOD[1][1].replace(b'"seed": 0', b'"seed": 1')
    refused(write(tmp_path / "a", [GOOD[0], (GOOD[1][0], text)]), "SHA-256")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (cases_text("a", "a"), "an image twice"),
        (cases_text("a", "b\x1b[31m"), "control character"),
        (cases_text("a", "=cmd|' /C calc'!A0"), "formula"),
        (cases_text("a", "b", group="@SUM(1)"), "formula"),
        (cases_text("a", '"b\nc"'), "control character"),
        (cases_text("a", "b,b"), "one field a column"),
        (cases_text("a", "b").replace("0.5", "x"), "could not convert"),
        (cases_text("a", "b").replace("0.5", "inf"), "not finite"),
        (cases_text("a", "b").replace("dice", "run"), "a column is called"),
        (cases_text("a", "b").replace("hd95_px", "dice"), "two have one name"),
        (cases_text("a", "b").replace("dice", "<b>"), "a column is called"),
        (cases_text("a", "b" * 200_000), "field larger"),
        ("", "first columns"),
    ],
)
def test_cases(text: str, why: str, tmp_path: Path) -> None:
    refused(write(tmp_path / "a", entries(*whole(text))), why)


def npz(**arrays: Any) -> bytes:
    text = io.BytesIO()
    np.savez(text, **arrays)
    return text.getvalue()


def bombs() -> Sequence[tuple[bytes, str]]:
    """Predictions that no honest run wrote, each with a part of the reason."""
    ids, image = np.array(["a", "b"]), np.zeros((4, 5), np.uint8)
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "|u1", "fortran_order": False, "shape": (2**20, 2**20)}
    )
    lying = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(npz(ids=ids, p0=image, p1=image))) as old,
        zipfile.ZipFile(lying, "w") as new,
    ):
        new.writestr("ids.npy", old.read("ids.npy"))
        new.writestr("p0.npy", huge.getvalue())
        new.writestr("p1.npy", old.read("p1.npy"))
    return [
        (b"", "not what it should be"),
        (b"x" * 200, "too many arrays, or a comment"),
        (npz(ids=np.array(["a", "b"], dtype=object), p0=image, p1=image), "other types"),
        (npz(ids=ids, p0=image.astype(np.float64), p1=image), "other types"),
        (npz(ids=ids, p0=image, p1=np.array([None])), "other types"),
        (npz(ids=ids, p0=image), "one array an image"),
        (npz(ids=ids, p0=image, evil=image), "other names"),
        (npz(ids=ids[:1], p0=image), "not as many images"),
        (lying.getvalue(), "other sizes"),
    ]


@pytest.mark.parametrize("case", range(len(bombs())))
def test_predictions(case: int, tmp_path: Path) -> None:
    content, why = bombs()[case]
    record, cases = whole()
    record = record.model_copy(update={"files": {**record.files, PREDICTIONS: sha256(content)}})
    given = [*entries(record, cases), (f"{FOLDER}/{PREDICTIONS}", content)]
    refused(write(tmp_path / "a", given), why)


def test_files_without_a_record(tmp_path: Path) -> None:
    refused(write(tmp_path / "a", GOOD[:1]), "files without a record")
    source: Entry = (f"{FOLDER}/my_net.py", b"print()")
    refused(write(tmp_path / "b", [*GOOD, source]), "not those of its record")


def test_accounts_of_failures_bring_no_words(tmp_path: Path) -> None:
    evil = {"exception": "\x1b[2J<script>: \\input{x}", "hint": "rm -rf /", "log_tail": "\x07"}
    failure = make_failure("fcn8s").model_copy(update=evil)
    name = f"{failure.spec.folder}/failed-1.json"
    path = write(tmp_path / "a", [(name, failure.model_dump_json().encode())])
    assert unpack(path, tmp_path / "runs").failures == 1
    (found,) = Store(tmp_path / "runs").all_failures()
    assert (found.exception, found.hint, found.log_tail) == ("not exported", "", "")
    other = name.replace("-1.json", "-2.json")
    refused(write(tmp_path / "b", [(other, failure.model_dump_json().encode())]), "another attempt")


def test_a_folder_that_another_run_has_is_not_touched(tmp_path: Path) -> None:
    path = write(tmp_path / "a", GOOD)
    stranger, cases = whole(model="enet")
    root = tmp_path / "runs"
    write_atomically(root / FOLDER / RECORD, stranger.to_text())
    write_atomically(root / FOLDER / CASES, cases)
    before = files(root)
    with pytest.raises(CovbenchError, match="holds another run"):
        unpack(path, root)
    assert files(root) == before


def test_sizes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", GOOD)
    for name, value, why in (
        ("archive_bytes", 100, "more than 100"),
        ("archive_unpacked_bytes", 2000, "unpacks to far more"),
        ("archive_ratio", 1, "unpacks to far more"),
        ("archive_files", 2, "more than 2 files"),
        ("decoder_bytes", 1000, "can't be decompressed"),
        ("record_bytes", 10, "more than 10"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv("COVBENCH_LIMITS", f"{name}={value}")
            assert f"--limit {name}=" in refused(path, why).remedy


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = special(f"{FOLDER}/weights.safetensors", tarfile.REGTYPE)
    zeros = bytes(2**23)
    path = write(tmp_path / "a", [*GOOD, (bomb, zeros)])
    assert path.stat().st_size * limits().archive_ratio < len(zeros)
    refused(path, "unpacks to far more")
    header = special(f"{FOLDER}/weights.safetensors", tarfile.REGTYPE)
    header.size = 2**33
    path.write_bytes(lzma.compress(header.tobuf(tarfile.GNU_FORMAT)))
    refused(path, "more than")
    header.size = -512
    path.write_bytes(lzma.compress(header.tobuf(tarfile.GNU_FORMAT)))
    refused(path, "more than")


def test_something_behind_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a", GOOD)
    whole_file = path.read_bytes()
    for more in (b"x", b"\0" * 4, whole_file):
        path.write_bytes(whole_file + more)
        refused(path, "something follows its end")
    text = tar([("manifest.json", manifest(GOOD)), *GOOD])
    path.write_bytes(lzma.compress(text + b"x"))
    refused(path, "something follows its last file")


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"", b"x" * 1000, lzma.compress(b"x" * 1000), lzma.compress(b"")):
        path.write_bytes(content)
        refused(path)
    path.write_bytes(lzma.compress(tar(GOOD), format=lzma.FORMAT_ALONE))
    refused(path, "can't be decompressed")
    with pytest.raises(CovbenchError, match="There is no file"):
        unpack(tmp_path / "none", tmp_path / "runs")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive of three runs, one of them with predictions."""
    root = tmp_path_factory.mktemp("store")
    predictions = npz(
        ids=np.array(["a", "b"]), p0=np.zeros((9, 9), np.uint8), p1=np.eye(9, dtype=np.uint8)
    )
    for seed in range(3):
        record, cases = whole(seed=seed)
        folder = Store(root).folder(record.spec)
        write_atomically(folder / CASES, cases)
        write_atomically(folder / PREDICTIONS, predictions)
        listed = {**record.files, PREDICTIONS: sha256(predictions)}
        Store(root).write(record.model_copy(update={"files": listed}))
    pack(root, root / "a.covbench", keep=Keep(predictions="first-seed"))
    return (root / "a.covbench").read_bytes()


_DICE = random.Random(0)
PLACES = [_DICE.random() for _ in range(20)]


@pytest.mark.parametrize("place", PLACES)
def test_a_flipped_bit_anywhere(place: float, archive: bytes, tmp_path: Path) -> None:
    damaged = bytearray(archive)
    damaged[int(place * len(archive))] ^= 1 << int(place * 1000) % 8
    (tmp_path / "a").write_bytes(damaged)
    refused(tmp_path / "a")


@pytest.mark.parametrize("place", PLACES)
def test_a_cut_anywhere(place: float, archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(archive[: int(place * len(archive))])
    refused(tmp_path / "a")


def test_the_untouched_archive_comes_in(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(archive)
    found = unpack(tmp_path / "a", tmp_path / "runs")
    assert len(found.new) == 3 and all(isinstance(each, RunRecord) for each in found.records)
