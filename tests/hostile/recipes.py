"""Hostile downloads: zip archives of scans, tables of slices, lists of folds, Hounsfield units."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets import PreparedDataset, prepare_dataset
from benchmark.datasets.lists import find_lists, match_lists
from benchmark.protocols.schema import SplitRule
from tests.hostile.case import Case
from tests.hostile.folders import (
    IMAGE,
    LABELS,
    MASK,
    VOLUME,
    content,
    files,
    folder,
    pair,
    replaced,
)
from tests.hostile.pictures import BINARY, saved
from tests.hostile.volumes import claiming, nifti

IDS = ("mine-1-0000", "mine-1-0001", "mine-2-0000", "mine-2-0001")
TWENTY = "coronacases_001.nii"


def prepare(recipe: str, path: Path, out: Path, **options: Any) -> Any:
    return prepare_dataset(recipe, path, root=out, **options)


def matched(path: Path, out: Path) -> Any:
    return match_lists(find_lists(path), IDS, "mine")


def one_list(path: Path, out: Path) -> Any:
    """The bytes of one list."""
    from benchmark.datasets.lists import _key, _read

    return _read(path, {_key(name.removeprefix("mine-")): name for name in IDS})


def folds_of(path: Path, out: Path) -> Any:
    return PreparedDataset(path).folds(SplitRule())


def zipped(members: list[tuple[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", how) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice, as is meant
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def bomb(name: str, size: int) -> Callable[[Path], object]:
    """An archive whose member is a volume of zeros, never held whole."""

    def write(path: Path) -> None:
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(name, "w", force_zip64=True) as file,
        ):
            file.write(claiming(1024, 1024, size // 2**21)[:352])
            for _ in range(size // 2**20):
                file.write(bytes(2**20))

    return write


def three(**changed: Any) -> dict[str, Any]:
    """What medseg9 consists of."""
    given = {
        "rp_im": zipped([("rp_im/1.nii", VOLUME)]),
        "rp_msk": zipped([("rp_msk/1.nii", LABELS)]),
        "rp_lung_msk": zipped([("rp_lung_msk/1.nii", LABELS)]),
        **changed,
    }
    return {f"{name}.zip": each for name, each in given.items() if each is not None}


def _archives() -> Iterator[Case]:
    medseg9, fused = partial(prepare, "medseg9"), partial(prepare, "fused")
    good = zipped([("rp_im/1.nii", VOLUME)])
    yield Case("medseg9 is read", medseg9, files(three()), "ok",
               right=lambda made: len(made.cases) == 3)  # fmt: skip
    for share in (0, 20, 50, 80, 95, 99):
        cut = good[: len(good) * share // 100]
        yield Case(f"medseg9 with an archive cut to {share} %", medseg9, files(three(rp_im=cut)),
                   named="rp_im.zip")  # fmt: skip
    for at in range(0, len(good), max(1, len(good) // 40)):
        turned = good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]
        yield Case(f"medseg9 with byte {at} of an archive turned", medseg9,
                   files(three(rp_im=turned)), "either", named="",
                   right=lambda made: len(made.cases) == 3)  # fmt: skip
    for name in (
        "../../../evil.nii",
        "/etc/evil.nii",
        "rp_im/../../1.nii",
        "a\\..\\1.nii",
        "C:/1.nii",
    ):
        made = three(rp_im=zipped([(name, VOLUME)]))
        yield Case(
            f"medseg9 with {name} in an archive", medseg9, files(made), "either", named="rp_im"
        )
    for name, members, named in (
        ("twice the same", [("1.nii", VOLUME), ("1.nii", VOLUME)], "1"),
        ("a name of 300 characters", [("x" * 300 + ".nii", VOLUME)], "xxx"),
        ("a volume cut", [("1.nii", VOLUME[:380])], "1.nii"),
        ("terabytes claimed", [("1.nii", claiming(32767, 32767, 32767))], "1.nii"),
        ("an archive within", [("1.zip", good)], "rp_im"),
        ("nothing", [], "rp_im"),
        ("an escape in a name", [("\x1b[2J.nii", VOLUME)], "x1b"),
        ("a volume of NaN", [("1.nii", nifti(np.full((3, 4, 5), np.nan, np.float32)))], "1.nii"),
    ):
        made = three(rp_im=zipped(members))
        yield Case(f"medseg9 with {name}", medseg9, files(made), named=named)
    for how, word in ((zipfile.ZIP_LZMA, "LZMA"), (zipfile.ZIP_BZIP2, "bzip2")):
        made = three(rp_im=zipped([("1.nii", VOLUME)], how))
        yield Case(f"medseg9 packed with {word}", medseg9, files(made), named="rp_im.zip")
    links = io.BytesIO()
    with zipfile.ZipFile(links, "w") as archive:
        link = zipfile.ZipInfo("1.nii")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    yield Case("medseg9 with a link in an archive", medseg9, files(three(rp_im=links.getvalue())),
               named="1.nii")  # fmt: skip
    yield Case("medseg9 with a bomb", medseg9, files(three(rp_im=bomb("1.nii", 2**28 + 2**20))),
               says=("--limit gzip_large_ratio=",), named="rp_im.zip")  # fmt: skip
    secret = bytearray(good)
    for mark in (b"PK\3\4", b"PK\1\2"):
        secret[secret.index(mark) + (6 if mark == b"PK\3\4" else 8)] |= 1
    yield Case("medseg9 with a password", medseg9, files(three(rp_im=bytes(secret))),
               named="rp_im.zip")  # fmt: skip
    for part in ("rp_im", "rp_msk", "rp_lung_msk"):
        yield Case(f"medseg9 without {part}", medseg9, files(three(**{part: None})), named="rp_")
        yield Case(f"fused without {part}", fused, files(three(**{part: None})), named="")
        pipe = three(**{part: os.mkfifo})
        yield Case(f"medseg9 with {part} that is a pipe", medseg9, files(pipe), named="rp_")
    yield Case("medseg9 with a mask of another size", medseg9,
               files(three(rp_msk=zipped([("1.nii", nifti(np.ones((4, 4, 2), np.uint8)))]))),
               named="rp_msk")  # fmt: skip
    yield Case("medseg9 with labels out of the map", medseg9,
               files(three(rp_msk=zipped([("1.nii", nifti(np.full((4, 4, 3), 9, np.uint8)))]))),
               named="1.nii")  # fmt: skip
    for recipe in ("coronacases20", "fused", "mosmed", "ct100"):
        read = partial(prepare, recipe)
        for name, given in (
            ("an empty folder", {"a": os.mkdir}),
            ("noise", {"a.zip": bytes(range(256)) * 9, "tr_im.nii": b"x" * 500}),
            ("pipes", {"studies": os.mkfifo, "tr_im.nii.gz": os.mkfifo}),
        ):
            yield Case(f"{recipe} of {name}", read, files(given), named="")


def _others() -> Iterator[Case]:
    twenty, mosmed, ct100 = (
        partial(prepare, each) for each in ("coronacases20", "mosmed", "ct100")
    )
    parts = {
        f"COVID-19-CT-Seg_20cases/{TWENTY}": VOLUME,
        f"Infection_Mask/{TWENTY}": LABELS,
        f"Lung_Mask/{TWENTY}": LABELS,
    }
    yield Case("coronacases20 is read", twenty, files(parts), "ok")
    for name, change, named in (
        ("without lungs", {f"Lung_Mask/{TWENTY}": None}, TWENTY),
        ("with a lung mask cut", {f"Lung_Mask/{TWENTY}": LABELS[:353]}, TWENTY),
        ("with a lung mask of another size",
         {f"Lung_Mask/{TWENTY}": nifti(np.ones((4, 4, 2), np.uint8))}, TWENTY),
        ("with an unknown scan", {"COVID-19-CT-Seg_20cases/evil.nii": VOLUME}, "evil.nii"),
        ("with a scan that is a device", {f"COVID-19-CT-Seg_20cases/{TWENTY}": "/dev/zero"}, ""),
    ):  # fmt: skip
        given = {key: each for key, each in {**parts, **change}.items() if each is not None}
        yield Case(f"coronacases20 {name}", twenty, files(given), named=named)
    study = {"studies/CT-1/study_0255.nii": VOLUME, "masks/study_0255_mask.nii": LABELS}
    yield Case("mosmed is read", mosmed, files(study), "ok")
    for name, change in (
        ("without the study", {"studies/CT-1/study_0255.nii": None}),
        ("with the study cut", {"studies/CT-1/study_0255.nii": VOLUME[:380]}),
        ("with the mask cut", {"masks/study_0255_mask.nii": LABELS[:360]}),
        ("with a mask of NaN", {"masks/study_0255_mask.nii": nifti(np.full((4, 4, 3), np.nan,
                                                                          np.float32))}),
    ):  # fmt: skip
        given = {key: each for key, each in {**study, **change}.items() if each is not None}
        yield Case(f"mosmed {name}", mosmed, files(given), named="study_0255")
    lungs = {"tr_im.nii": VOLUME, "tr_mask.nii": LABELS, "tr_lungmasks_updated.nii": LABELS[:353]}
    yield Case("ct100 with lungs cut", ct100, files(lungs), named="nii")
    for name, lung, named in (
        ("cut", MASK[:40], "a.png"),
        ("of another size", saved(np.vstack([BINARY, BINARY]), "PNG"), "a"),
        ("that are a pipe", os.mkfifo, "a"),
        ("that are a device", "/dev/zero", "a"),
    ):
        given = {**pair("a"), "lungs/a.png": lung}
        # What is no file is passed over, as everywhere: the dataset then has no lungs.
        expected = "ok" if " a " in f"{name} " and "size" not in name else "error"
        yield Case(f"folder with lungs {name}", folder, files(given), expected, named=named)
    some = {**pair("a"), **pair("b"), "lungs/a.png": MASK}
    yield Case("folder with lungs of one image", folder, files(some), named="b")


def table(text: bytes | str, **more: Any) -> Callable[[Path], Path]:
    """The PNG form of coronacases20."""
    given = {f"{kind}/a.png": MASK for kind in ("covid", "lungs")} | {"ct/a.png": IMAGE}
    index = text if isinstance(text, bytes) else text.encode()
    return files({**given, "index.csv": index, **more})


def _tables() -> Iterator[Case]:
    read = partial(prepare, "coronacases20")
    head = "png,case,slice_index,patient_group,in_pack\n"
    yield Case("index.csv is read", read, table(head + "a.png,coronacases_001,3,p,1\n"), "ok")
    for name, text, *expected in (
        ("that is empty", ""),
        ("with its head alone", head),
        ("without a column", "png,case\na.png,b\n"),
        ("with a number of 5000 digits", head + f"a.png,c,{'9' * 5000},p,1\n"),
        ("with a number in other digits", head + "a.png,c,٣,p,1\n"),
        ("with a number below zero", head + "a.png,c,-1,p,1\n"),
        ("with a path that climbs out", head + "../a.png,c,1,p,1\n"),
        ("with an absolute path", head + "/etc/a.png,c,1,p,1\n"),
        ("with a file that is missing", head + "b.png,c,1,p,1\n"),
        ("with a slice twice", head + "a.png,c,1,p,1\n" * 2),
        ("with a zero in a name", head + "a\0.png,c,1,p,1\n"),
        ("in UTF-16", (head + "a.png,c,1,p,1\n").encode("utf-16")),
        ("of noise", bytes(range(256)) * 9),
        ("with an endless field", head + 'a.png,"' + "x" * 200_000),
        ("with too few fields", head + "a.png\n"),
        ("with too many fields", head + "a.png,c,1,p,1" + ",x" * 1000 + "\n", "either"),
        ("with an escape in a scan", head + "a.png,\x1b[2J,1,p,1\n"),
    ):
        yield Case(f"index.csv {name}", read, table(text), *(expected or ("error",)), named="")  # type: ignore[arg-type]
    text = head + "a.png,c,1,p,1\n"
    for kind in ("ct", "covid", "lungs"):
        cut = table(text, **{f"{kind}/a.png": (IMAGE if kind == "ct" else MASK)[:40]})
        yield Case(f"index.csv with {kind}/ cut", read, cut, named="a.png")


def listed(**lists: bytes | str | Callable[[Path], object]) -> Callable[[Path], Path]:
    """Lists of two folds, with changes."""
    given: dict[str, Any] = {
        "train0": "1_1\n1_2\n",
        "val0": "im/1_0.png\n",
        "train1": "2_1.png\n",
        "val1": "2_0 mask\n",
        **lists,
    }
    given |= {"train0": given["train0"] if "train0" in lists else "1_1\n"}
    return files(
        {f"{name}.txt": each.encode() if isinstance(each, str) and not each.startswith("/dev") else
         each for name, each in given.items() if each is not None}
    )  # fmt: skip


def _lists() -> Iterator[Case]:
    yield Case("lists are read", matched, listed(), "ok",
               right=lambda found: found.tests == (("mine-1-0000",), ("mine-2-0000",)))  # fmt: skip
    for name, text in (
        ("that is empty", ""),
        ("of blanks", " \n \t\n"),
        ("with an unknown slice", "9_9.png\n"),
        ("with a slice twice", "1_1\n1_1\n"),
        ("with a slice that is tested", "1_0\n"),
        ("of noise", bytes(range(256)) * 9),
        ("in UTF-16", "1_1".encode("utf-16")),
        ("with a zero", "1_1\0\n"),
        ("with a word that is endless", "a1" * 2**20),
        ("with a number that is endless", "9" * 2**20),
        ("with words that are endless", "x/" * 2**20 + "1_7"),
        ("with an escape", "\x1b[2J\n"),
        ("of 17 MiB", lambda path: path.write_bytes(b"1_1\n" * (17 * 2**18))),
        ("that is a pipe", os.mkfifo),
        ("that is a folder", os.mkdir),
        ("that is a device", "/dev/zero"),
        ("that is missing", None),
    ):
        expected = "either" if name in ("with a zero",) else "error"
        yield Case(f"a list {name}", matched, listed(train0=text), expected,
                   named="val0.txt" if "tested" in name else "train0.txt")  # fmt: skip
    yield Case("folders above a slice, a million of them", matched,
               listed(train0="x/" * 2**20 + "1_1"), "ok")  # fmt: skip
    yield Case("no lists", matched, files({"a": os.mkdir}), named="")
    yield Case("lists of one fold", matched, files({"train0.txt": b"1_1", "val0.txt": b"1_0"}),
               named="")  # fmt: skip
    for name, text in (("alone", b"im/1_1.png\n2_0\n"), ("with a mark", b"\xef\xbb\xbf1_1\r\n")):
        yield Case(f"a list {name}", one_list, lambda parent, text=text: _alone(parent, text), "ok")


def _alone(parent: Path, text: bytes) -> Path:
    path = parent / "train0.txt"
    path.write_bytes(text)
    return path


def kept(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A prepared dataset with the user's folds, damaged."""

    def make(parent: Path) -> Path:
        source = files({**pair("a"), **pair("b")}, "source")(parent)
        lists = files({"train0.txt": b"a", "val0.txt": b"b", "train1.txt": b"b", "val1.txt": b"a"},
                      "lists")(parent)  # fmt: skip
        made = prepare_dataset("folder", source, as_name="mine", root=parent / "done", lists=lists)
        change(made.path)
        return made.path

    return make


def units(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A prepared dataset in Hounsfield units, damaged."""

    def make(parent: Path) -> Path:
        given = pair("a", VOLUME, LABELS, ".nii")
        source = files(given, "source")(parent)
        made = prepare_dataset("folder", source, as_name="mine", root=parent / "done")
        assert made.manifest.values == "hu"
        change(made.path)
        return made.path

    return make


def opened(path: Path, out: Path) -> Any:
    made = PreparedDataset(path)
    return [made.image(k) for k in range(len(made.cases))]


def _prepared() -> Iterator[Case]:
    yield Case("folds.json is read", folds_of, kept(lambda path: None), "ok",
               right=lambda found: [fold.test for fold in found] == [(1,), (0,)])  # fmt: skip
    good = {"train": [["a"], ["b"]], "test": [["b"], ["a"]]}
    for name, text in (
        ("that is empty", b""),
        ("that is cut", json.dumps(good).encode()[:30]),
        ("that is nested", b"[" * 100_000),
        ("of noise", bytes(range(256))),
        ("that is a list", b"[]"),
        ("without tests", json.dumps({"train": [["a"]]}).encode()),
        ("of no folds", json.dumps({"train": [], "test": []}).encode()),
        ("of numbers", json.dumps({"train": [[1]], "test": [[2]]}).encode()),
        ("of texts", json.dumps({"train": ["a"], "test": ["b"]}).encode()),
        ("with an unknown slice", json.dumps({**good, "test": [["z"], ["a"]]}).encode()),
        ("with more trains than tests", json.dumps({**good, "test": [["b"]]}).encode()),
        ("with more in it", json.dumps({**good, "x": []}).encode()),
    ):
        made = kept(content("folds.json", text))
        yield Case(f"folds.json {name}", folds_of, made, "either" if "unknown" in name else "error",
                   named="")  # fmt: skip
    gone = kept(lambda path: (path / "folds.json").unlink())
    yield Case("folds.json that is missing", folds_of, gone, named="folds.json")
    pipe = kept(lambda path: ((path / "folds.json").unlink(), os.mkfifo(path / "folds.json")))
    yield Case("folds.json that is a pipe", folds_of, pipe, named="folds.json")
    yield Case("Hounsfield units are read", opened, units(lambda path: None), "ok")
    for name, change in (
        ("of half the bytes", lambda path: _cut(path / "images.raw", 2)),
        ("said to be grey", replaced("manifest.json", '"values": "hu"', '"values": "grey"')),
        ("of another kind", replaced("manifest.json", '"values": "hu"', '"values": "float"')),
        ("without a byte", lambda path: _cut(path / "images.raw", 1.01)),
        ("without masks", content("masks.raw", b"")),
    ):
        yield Case(f"Hounsfield units {name}", opened, units(change), named="mine")


def _cut(path: Path, by: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) / by)])


CASES = (*_archives(), *_others(), *_tables(), *_lists(), *_prepared())
SEEDED = {"one_list": one_list}
"""Readers that are fuzzed, and those whose cases they start from."""
